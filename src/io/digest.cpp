// SPDX-License-Identifier: Apache-2.0
#include "io/digest.hpp"

#ifdef FERRULE_MINIMAL
#include "io/own_sha256.hpp"
#else
#include <openssl/evp.h>
#endif

#include <new>
#include <utility>

namespace ferrule::io {

#ifdef FERRULE_MINIMAL

struct DigestContext {
  OwnSha256 sum;
};

Sha256::Sha256() : context_(std::make_unique<DigestContext>()) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;
void Sha256::update(std::span<const std::byte> bytes) { context_->sum.update(bytes); }
Sha256Sum Sha256::finish() { return context_->sum.finish(); }

#else

struct DigestContext {
  explicit DigestContext(const EVP_MD* algorithm) : type(algorithm) { start(); }
  DigestContext(const DigestContext&) = delete;
  DigestContext& operator=(const DigestContext&) = delete;
  ~DigestContext() = default;

  // OpenSSL fails here only without memory: SHA-2 and SHA-1 are in its default provider.
  void start() {
    if (!evp || EVP_DigestInit_ex(evp.get(), type, nullptr) != 1) throw std::bad_alloc();
  }
  void update(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(evp.get(), bytes.data(), bytes.size()) != 1) throw std::bad_alloc();
  }
  template <typename Sum>
  Sum finish() {
    Sum sum;
    if (EVP_DigestFinal_ex(evp.get(), reinterpret_cast<unsigned char*>(sum.data()), nullptr) != 1) {
      throw std::bad_alloc();
    }
    start();
    return sum;
  }

  struct Closer {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Closer> evp{EVP_MD_CTX_new()};
  const EVP_MD* type;
};

Sha256::Sha256() : context_(std::make_unique<DigestContext>(EVP_sha256())) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;
void Sha256::update(std::span<const std::byte> bytes) { context_->update(bytes); }
Sha256Sum Sha256::finish() { return context_->finish<Sha256Sum>(); }

Sha1::Sha1() : context_(std::make_unique<DigestContext>(EVP_sha1())) {}
Sha1::Sha1(Sha1&&) noexcept = default;
Sha1& Sha1::operator=(Sha1&&) noexcept = default;
Sha1::~Sha1() = default;
void Sha1::update(std::span<const std::byte> bytes) { context_->update(bytes); }
Sha1Sum Sha1::finish() { return context_->finish<Sha1Sum>(); }

std::optional<Md5> Md5::make() {
  try {
    return Md5(std::make_unique<DigestContext>(EVP_md5()));
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}
Md5::Md5(std::unique_ptr<DigestContext> context) noexcept : context_(std::move(context)) {}
Md5::Md5(Md5&&) noexcept = default;
Md5& Md5::operator=(Md5&&) noexcept = default;
Md5::~Md5() = default;
void Md5::update(std::span<const std::byte> bytes) { context_->update(bytes); }
Md5Sum Md5::finish() { return context_->finish<Md5Sum>(); }

Sha1 git_blob(std::uint64_t bytes) {
  Sha1 sum;
  const auto head = "blob " + std::to_string(bytes) + std::string(1, '\0');
  sum.update(std::as_bytes(std::span(head)));
  return sum;
}

#endif  // FERRULE_MINIMAL

std::string to_hex(std::span<const std::byte> sum) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : sum) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view text) {
  Sha256 sum;
  sum.update(std::as_bytes(std::span(text)));
  return to_hex(sum.finish());
}

}  // namespace ferrule::io
