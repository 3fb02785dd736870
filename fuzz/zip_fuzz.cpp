// SPDX-License-Identifier: Apache-2.0
// A zip archive as a torch file, as a directory of any archive, and as something to scan.
#include <cstdint>

#include "format/pickle/scan_content.hpp"
#include "format/zip/zip_directory.hpp"
#include "torch_file_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  ferrule::fuzz::check_torch_file(bytes);
  const ferrule::format::MemorySource source(bytes);
  const auto entries =
      ferrule::format::read_zip_directory(source, ferrule::format::ZipProfile::kAny, {});
  if (entries) {
    for (const auto& entry : *entries) {
      if (entry.data_offset > size || entry.packed_bytes > size - entry.data_offset) std::abort();
    }
  }
  static_cast<void>(ferrule::format::scan_content(bytes, {}));
  return 0;
}
