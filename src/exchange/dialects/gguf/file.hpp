// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/dialect.hpp"
#include "exchange/values.hpp"
#include "format/gguf/gguf_header.hpp"

namespace ferrule::exchange::gguf {

/// A GGUF file mapped into memory, its header checked.
struct OpenedFile {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
  format::GgufHeader header;

  /// In numpy's order of dimensions.
  Values values(const format::GgufTensor& tensor) const;
};

Result<OpenedFile> open_file(const std::filesystem::path& path, const OpenOptions& options);

/// A tensor about to be written.
struct Entry {
  std::string name;
  Values values;  ///< In numpy's order of dimensions.
  std::uint32_t type = 0;
};

/// The file of those keys and tensors.
PlannedFile planned_file(std::vector<format::GgufKey> keys, std::vector<Entry> tensors);

/// Blocks of 32 elements as llama.cpp's Python package quantizes them: the largest magnitude is
/// 127.
void quantize_q8_0(std::span<const float> elements, std::span<std::byte> out);

}  // namespace ferrule::exchange::gguf
