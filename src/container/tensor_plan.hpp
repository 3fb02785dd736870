// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"
#include "ferrule/tensor_stream.hpp"
#include "ferrule/tensor_view.hpp"
#include "ferrule/write_options.hpp"
#include "io/output_file.hpp"

namespace ferrule::container {

/// The tensors of a file about to be written, in any order.
using TensorPlan = std::vector<TensorStream>;

/// The tensor, its bytes in memory that somebody else keeps.
TensorStream stream_of(std::string_view name, const TensorView& tensor);

/// Writes the plan in the bytes of safetensors' own writer (rules in docs/rules/ST.md, writer).
/// Of the options, durability belongs to the file, and is not looked at.
Result<void> write_safetensors(io::OutputFile& out, std::span<const TensorStream> plan,
                               std::span<const std::pair<std::string, std::string>> metadata,
                               const WriteOptions& options = {});

/// Writes the plan as the zip file that torch.save makes of an ordered dict of tensors. Tensors
/// whose bytes are the same memory share a storage.
/// With a `key` the state dict is one level down: {key: state dict}.
Result<void> write_torch(io::OutputFile& out, std::span<const TensorStream> plan,
                         std::string_view key = {});

}  // namespace ferrule::container
