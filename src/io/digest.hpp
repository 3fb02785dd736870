// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace ferrule::io {

/// A SHA-256 sum (FIPS 180-4).
using Sha256Sum = std::array<std::byte, 32>;

/// The sum as 64 lower-case hexadecimal digits.
std::string to_hex(const Sha256Sum& sum);

/// A running SHA-256. Not for several threads at once.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);

  /// The sum of everything so far; starts anew.
  Sha256Sum finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace ferrule::io
