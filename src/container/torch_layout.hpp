// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "format/byte_source.hpp"
#include "format/torch/torch_tensors.hpp"
#include "io/input_file.hpp"

namespace ferrule::container {

/// Reads the names, shapes and places of a torch file's tensors, in any of torch's containers.
/// Fails with kUnsupported for anything else; the message says what it is. Does not read tensors'
/// bytes.
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
