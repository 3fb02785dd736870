// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "io/input_file.hpp"

namespace ferrule::io {

/// The bytes of a whole file: a private mapping, or memory of our own. Movable; the bytes do not
/// move with it.
class Mapping {
 public:
  Mapping() noexcept = default;
  /// Fails with kIo, kLimitExceeded (no memory) or kCorrupt (the file shrank).
  /// Up to `threads` threads (0: one for each core) read a large file that is copied.
  static Result<Mapping> of(const InputFile& file, Backing backing, unsigned threads = 1);

  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ferrule::io
