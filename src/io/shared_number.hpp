// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "ferrule/result.hpp"

namespace ferrule::io {

/// A number in a file of eight bytes that processes share through a mapping: what one stores, the
/// others load without a system call. Movable.
class SharedNumber {
 public:
  /// Makes the file if it is missing, as 0.
  static Result<SharedNumber> make(const std::filesystem::path& path);
  /// For reading alone. Fails with kNotFound, kIo, or kCorrupt if the file is too short.
  static Result<SharedNumber> open(const std::filesystem::path& path);

  SharedNumber() noexcept = default;
  SharedNumber(SharedNumber&& other) noexcept;
  SharedNumber& operator=(SharedNumber&& other) noexcept;
  ~SharedNumber();

  std::uint64_t load() const noexcept;
  /// Only after make().
  void store(std::uint64_t number) noexcept;

 private:
  std::uint64_t* number_ = nullptr;
};

}  // namespace ferrule::io
