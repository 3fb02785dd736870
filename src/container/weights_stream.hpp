// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/weights_format.hpp"
#include "io/input_file.hpp"
#include "io/output_file.hpp"

namespace ferrule::container {

/// A weights file that is checked as its reader checks it and then written in another format piece
/// by piece: only its header or pickle is ever held in memory, its tensors pass through a small
/// buffer. Checksums are compared on the way, so that a failure may come after much was written.
class WeightsStream {
 public:
  /// Takes a safetensors or torch file, whatever its name. Fails with kCorrupt, kUnsupported,
  /// kLimitExceeded or kIo.
  static Result<WeightsStream> open(io::InputFile file, const OpenOptions& options);

  WeightsStream(WeightsStream&&) noexcept;
  WeightsStream& operator=(WeightsStream&&) noexcept;
  ~WeightsStream();

  std::uint64_t tensors() const noexcept;
  std::uint64_t file_bytes() const noexcept;

  /// Metadata of a safetensors file stays; storages that tensors of a torch file share stay shared
  /// in a torch file.
  /// Safetensors to safetensors uses up to `threads` threads (0: one for each core).
  Result<void> write(io::OutputFile& out, WeightsFormat format, unsigned threads = 1) const;

 private:
  struct Rep;
  explicit WeightsStream(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule::container
