// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "container/known_layouts.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "io/input_file.hpp"

namespace ferrule {

/// The way into SafetensorsFile for the library itself: reads a file that is open already (out of a
/// directory that must not change meanwhile).
struct SafetensorsFileAccess {
  static Result<SafetensorsFile> open(const io::InputFile& file, const OpenOptions& options);

  /// The same from the length and the header (`head`, which is copied) of a file of that size. The
  /// tensors have their sizes, but their bytes are zeros.
  static Result<SafetensorsFile> from_header(std::string_view head, std::uint64_t file_bytes,
                                             const ReadLimits& limits);

  /// What files with the same header share; nullptr if this one shares nothing.
  static container::SharedLayout layout(const SafetensorsFile& file) noexcept;

  /// Where its data begin in memory.
  static const std::byte* data(const SafetensorsFile& file) noexcept;
};

}  // namespace ferrule
