// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::io {

/// A SHA-256 sum (FIPS 180-4).
using Sha256Sum = std::array<std::byte, 32>;

/// A SHA-1 sum: what git calls its objects by. Broken as a promise against malice, so it only ever
/// names content here that git named by it.
using Sha1Sum = std::array<std::byte, 20>;

/// An MD5 sum: what S3 calls its objects by, and nothing else here.
using Md5Sum = std::array<std::byte, 16>;

/// The sum as lower-case hexadecimal digits.
std::string to_hex(std::span<const std::byte> sum);

struct DigestContext;

/// A running SHA-256. Not for several threads at once.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);

  /// The sum of everything so far; starts again.
  Sha256Sum finish();

 private:
  std::unique_ptr<DigestContext> context_;
};

/// A running SHA-1, used as Sha256 is.
class Sha1 {
 public:
  Sha1();
  Sha1(Sha1&&) noexcept;
  Sha1& operator=(Sha1&&) noexcept;
  ~Sha1();

  void update(std::span<const std::byte> bytes);
  Sha1Sum finish();

 private:
  std::unique_ptr<DigestContext> context_;
};

/// A running SHA-1 of a git blob: git's header, and then `bytes` of content.
Sha1 git_blob(std::uint64_t bytes);

/// Of a whole text, in hexadecimal digits.
std::string sha256_hex(std::string_view text);

/// A running MD5, used as Sha256 is.
class Md5 {
 public:
  /// nullopt on systems that are configured without MD5.
  static std::optional<Md5> make();
  Md5(Md5&&) noexcept;
  Md5& operator=(Md5&&) noexcept;
  ~Md5();

  void update(std::span<const std::byte> bytes);
  Md5Sum finish();

 private:
  explicit Md5(std::unique_ptr<DigestContext> context) noexcept;
  std::unique_ptr<DigestContext> context_;
};

}  // namespace ferrule::io
