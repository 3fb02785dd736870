// SPDX-License-Identifier: Apache-2.0
#include "io/digest.hpp"

#include <openssl/evp.h>

#include <new>

namespace ferrule::io {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(evp); }

  // OpenSSL fails here for want of memory alone: SHA-256 is in its default provider.
  void start() {
    if (evp == nullptr || EVP_DigestInit_ex(evp, EVP_sha256(), nullptr) != 1)
      throw std::bad_alloc();
  }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) { context_->start(); }
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) != 1) throw std::bad_alloc();
}

Sha256Sum Sha256::finish() {
  Sha256Sum sum;
  if (EVP_DigestFinal_ex(context_->evp, reinterpret_cast<unsigned char*>(sum.data()), nullptr) !=
      1) {
    throw std::bad_alloc();
  }
  context_->start();
  return sum;
}

std::string to_hex(const Sha256Sum& sum) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : sum) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

}  // namespace ferrule::io
