// SPDX-License-Identifier: Apache-2.0
// The header of a GGUF file: every tensor that it accepts lies inside the file.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "format/gguf/gguf_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  const auto header = ferrule::format::parse_gguf(file);
  if (!header) return 0;
  for (const auto& tensor : header->tensors) {
    if (tensor.offset > size || tensor.bytes > size - tensor.offset) std::abort();
  }
  return 0;
}
