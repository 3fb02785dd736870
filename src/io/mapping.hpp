// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "io/input_file.hpp"

namespace ferrule::io {

/// The bytes of a whole file: a private mapping that is read-only (which counts against no limit of
/// the process but that of addresses), or memory of our own. Movable; the bytes do not move with
/// it.
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

/// Makes the pages of a file that Mapping mapped, and that `bytes` are in, private ones that can be
/// written to; a write never reaches the file. Bytes of any other memory stay as they are. Fails
/// with kLimitExceeded if the limits of the process do not allow so much data.
Result<void> make_writable(std::span<const std::byte> bytes);

/// Says that `bytes` will be read next, all of them: pages of a file that Mapping mapped are found
/// at once, rather than a few with every fault. Bytes of any other memory stay as they are.
void populate_pages(std::span<const std::byte> bytes) noexcept;

/// Says that `bytes` of a file mapped by Mapping (Backing::kMap) are done with. After some MiB the
/// memory of the file's pages is given back; their content is read from the file again when it is
/// touched. Bytes of any other memory stay. For who reads a large file once and keeps it open.
void release_pages(std::span<const std::byte> bytes) noexcept;

}  // namespace ferrule::io
