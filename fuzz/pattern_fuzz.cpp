// SPDX-License-Identifier: Apache-2.0
// A regular expression and, behind a line break, a text for it: refused with a rule, or matched
// within its limits; an entry of a table gives what its whole expression gives.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "regex/pattern.hpp"

namespace {

using ferrule::regex::Pattern;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename T>
bool is_named(const ferrule::Result<T>& result) {
  return result ||
         (result.error().rule.starts_with("CF-2") && result.error().message.size() < 8192);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 256) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto line = input.find('\n');
  const auto expression = input.substr(0, line);
  const auto text =
      line == std::string_view::npos ? std::string_view("model.q_proj") : input.substr(line + 1);
  const auto pattern = Pattern::compile(expression);
  require(is_named(pattern));
  if (pattern) {
    const auto whole = pattern->fullmatch(text);
    const auto front = pattern->match(text);
    const auto anywhere = pattern->search(text);
    require(is_named(whole) && is_named(front) && is_named(anywhere));
    if (whole && front && anywhere) require((!*whole || *front) && (!*front || *anywhere));
  }
  const auto entry = Pattern::compile_entry(expression);
  const auto spelled = Pattern::compile("(.*\\.)?(" + std::string(expression) + ")$");
  require(entry.has_value() == spelled.has_value() && is_named(entry));
  if (entry) {
    const auto hit = entry->match(text);
    const auto same = spelled->match(text);
    if (hit && same) require(*hit == *same);
  }
  return 0;
}
