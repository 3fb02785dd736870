// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"

namespace ferrule::format {

// ONNX Runtime's .onnx_adapter, a FlatBuffers file (onnxruntime 1.32, core/flatbuffers/schema/
// adapter_schema.fbs). Numbers are little-endian; an "offset" is 4 bytes and counts from its own
// place; a table begins with 4 bytes, the distance back to its vtable.
//
//   0   offset of the Adapter table
//   4   "TORT"
//   ..  Adapter    0 format_version  1 adapter_version  2 model_version  (int32)  3 [Parameter]
//   ..  Parameter  0 name: string  1 dims: [int64]  2 data_type: int32  3 raw_data: [uint8]
//
//   vtable         its bytes, the table's bytes, then for each field 2 bytes: where it is in the
//                  table, 0 if it is left out
//   vector         4 bytes count, then the elements; a string ends in a zero that is not counted
//   the whole      is a multiple of its largest unit, at least of 4 bytes
//
// The numbers in brackets are the rules of docs/rules/EX.md.

/// A tensor of such a file. Bytes and name point into it.
struct OnnxParameter {
  std::string_view name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape = {};
  std::span<const std::byte> bytes;
};

/// Everything is checked against the file's end before it is read. Fails with kCorrupt (EX-20: not
/// such a file, offsets that leave it, sizes that do not fit, two tensors of one name) or
/// kUnsupported (EX-21: a data type that adapters do not have).
Result<std::vector<OnnxParameter>> parse_onnx_adapter(std::span<const std::byte> file);

/// A tensor to be written.
struct OnnxOutput {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape = {};
  std::uint64_t bytes = 0;
};

/// Everything but the tensors' bytes: `head` comes first, then for each tensor its `before` and its
/// bytes, which then begin at a multiple of 8; `after` makes the whole a multiple of 4.
struct OnnxFrame {
  std::string head;
  std::vector<std::string> before;
  std::string after;
};

/// Fails with kUnsupported (EX-21: a dtype that ONNX lacks, 2 GiB and more, which offsets of
/// FlatBuffers cannot hold).
Result<OnnxFrame> frame_onnx_adapter(std::span<const OnnxOutput> tensors);

}  // namespace ferrule::format
