// SPDX-License-Identifier: Apache-2.0
// Any bytes as a card: splitting gives the text back, an edit that succeeds holds what was asked
// and a second one changes nothing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "format/card/card_text.hpp"
#include "format/card/front_matter.hpp"
#include "format/card/yaml_scalar.hpp"

using namespace ferrule::format;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1U << 16U)) return 0;
  const std::string text(data, data + size);
  const CardParts parts = split_card(text);
  require(std::string(parts.opening) + std::string(parts.yaml) + std::string(parts.closing) +
              std::string(parts.body) ==
          text);
  const std::string body = with_framework_line(parts.body, "0.21.0", parts.eol);
  require(with_framework_line(body, "0.21.0", parts.eol) == body);
  if (const auto part = find_generated(parts.body)) require(part->content.size() <= size);
  const std::vector<YamlEdit> edits = {{"base_model", std::string("toy/base")},
                                       {"gone", std::monostate()},
                                       {"tags", std::vector<std::string>{"a: b", "lora"}}};
  // Without fences the whole text is tried: a fuzzer finds YAML sooner than fences around it.
  const std::string_view yaml = parts.has_front_matter ? parts.yaml : std::string_view(text);
  if (const auto edited = edit_yaml_block(yaml, edits, parts.eol)) {
    const auto again = edit_yaml_block(*edited, edits, parts.eol);
    require(again && *again == *edited);
  }
  return 0;
}
