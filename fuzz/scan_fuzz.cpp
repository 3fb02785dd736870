// SPDX-License-Identifier: Apache-2.0
// Any bytes are scanned to an end, with bounded answers; what the reader of torch files takes has
// nothing in it that would run.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "ferrule/torch_file.hpp"
#include "format/pickle/scan_content.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto scan = ferrule::format::scan_content(bytes, {});
  require(scan.hits.size() <= 1000 && scan.gaps.size() <= 100);
  for (const auto& hit : scan.hits) {
    require(!hit.opcode.empty() && !hit.why.empty() && hit.offset < (std::uint64_t{1} << 32U));
  }
  for (const auto& gap : scan.gaps) require(!gap.message.empty() && gap.message.size() < 8192);
  return 0;
}
