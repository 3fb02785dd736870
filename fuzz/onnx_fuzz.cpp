// SPDX-License-Identifier: Apache-2.0
// An .onnx_adapter: whatever is read is inside the file and fits its shape.
#include <cstdint>
#include <cstdlib>

#include "format/onnx/onnx_adapter.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto parameters = ferrule::format::parse_onnx_adapter(bytes);
  if (!parameters) return 0;
  for (const auto& parameter : *parameters) {
    if (parameter.bytes.empty()) continue;
    if (parameter.bytes.data() < bytes.data() ||
        parameter.bytes.data() + parameter.bytes.size() > bytes.data() + bytes.size()) {
      std::abort();
    }
  }
  return 0;
}
