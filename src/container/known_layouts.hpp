// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/read_limits.hpp"
#include "ferrule/tensor_source.hpp"
#include "format/safetensors/safetensors_header.hpp"

namespace ferrule::container {

/// What the header of a safetensors file says. Files that begin with the same bytes share it.
struct SafetensorsLayout {
  /// The names, if they are not in memory that lives as long anyway.
  std::unique_ptr<std::byte[]> names;
  /// Its tensors are views of the data of the file that was read first.
  format::SafetensorsHeader header;
  std::vector<TensorAlias> aliases;
  /// Where these data begin. Only ever compared with: that file may be closed.
  const std::byte* data = nullptr;
  std::size_t data_bytes = 0;
};

using SharedLayout = std::shared_ptr<const SafetensorsLayout>;

// The adapters that a trainer writes with one config have the same header, to the byte, and who
// serves them opens hundreds. Parsing is what most of the time goes into; the last few headers are
// kept with what was found in them. Both functions may be called from any thread.

/// The layout of a file that began with `head` (its length and its JSON) and had `data_bytes`
/// after it; nullptr if none is known, or if the limits are narrower than the file.
SharedLayout find_layout(std::string_view head, std::size_t data_bytes, const ReadLimits& limits);

void keep_layout(std::string head, SharedLayout layout);

/// The tensors of a layout as views of other data.
std::vector<NamedTensor> tensors_in(const SafetensorsLayout& layout, const std::byte* data);

}  // namespace ferrule::container
