// SPDX-License-Identifier: Apache-2.0
// Any text as JSON: refused with a rule, or a value that both of its spellings read back to.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ferrule/json.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool allow_nan : {false, true}) {
    const auto value = ferrule::Json::parse(text, {.allow_nan = allow_nan});
    if (!value) {
      require(!value.error().rule.empty() && value.error().message.size() < 4096);
      continue;
    }
    // Unequal to itself where a NaN is in it, which only the lax reading lets in.
    const bool ordinary = *value == *value;
    require(ordinary || allow_nan);
    const auto python =
        ferrule::Json::parse(value->dump_python(2, false), {.allow_nan = allow_nan});
    require(python && (!ordinary || *python == *value));
    require(python->dump_python() == value->dump_python());
    const auto line = ferrule::Json::parse(value->dump_python(-1, false), {.allow_nan = allow_nan});
    require(line && (!ordinary || *line == *value));
    const auto compact = ferrule::Json::parse(value->dump());
    require(compact && (allow_nan || *compact == *value));
  }
  return 0;
}
