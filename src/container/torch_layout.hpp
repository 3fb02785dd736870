// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "format/byte_source.hpp"
#include "format/torch/torch_tensors.hpp"
#include "io/input_file.hpp"

namespace ferrule::container {

/// Reads what a torch file holds and where, whichever of torch's containers it is; anything else is
/// kUnsupported and the message says what it is. No tensor's bytes are read.
Result<format::TorchLayout> read_torch_layout(const format::ByteSource& source,
                                              const OpenOptions& options);

/// A file that is read at need, so that memory stays small whatever its size.
class FileSource final : public format::ByteSource {
 public:
  explicit FileSource(const io::InputFile& file) noexcept : file_(file) {}
  std::uint64_t size() const noexcept override { return file_.size(); }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    return file_.read_at(offset, out);
  }

 private:
  const io::InputFile& file_;
};

}  // namespace ferrule::container
