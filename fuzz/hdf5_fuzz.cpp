// SPDX-License-Identifier: Apache-2.0
// An HDF5 file: whatever is read is inside the file and fits its shape.
#include <cstdint>
#include <cstdlib>

#include "format/hdf5/hdf5_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto datasets = ferrule::format::parse_hdf5(bytes);
  if (!datasets) return 0;
  for (const auto& dataset : *datasets) {
    if (dataset.bytes.empty()) continue;
    if (dataset.bytes.data() < bytes.data() ||
        dataset.bytes.data() + dataset.bytes.size() > bytes.data() + bytes.size()) {
      std::abort();
    }
  }
  return 0;
}
