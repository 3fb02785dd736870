// SPDX-License-Identifier: Apache-2.0
// Any text as adapter_config.json: refused with a rule, or a config whose text reads back to the
// same text, and of which every question can be asked.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "peft/pattern_order.hpp"
#include "peft/strength.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 16384) return 0;
  const auto config =
      ferrule::AdapterConfig::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!config) {
    require(!config.error().rule.empty() && config.error().message.size() < 8192);
    return 0;
  }
  const auto text = config->to_json();
  const auto again = ferrule::AdapterConfig::parse(text);
  require(again && again->to_json() == text && again->peft_type() == config->peft_type());
  static_cast<void>(config->rank());
  static_cast<void>(config->alpha());
  static_cast<void>(config->modules_to_save());
  const std::vector<std::string> paths = {"model.layers.0.self_attn.q_proj"};
  for (const auto& finding : ferrule::peft::pattern_findings(*config)) {
    require(finding.rule == "CF-20" || finding.rule == "CF-21");
  }
  auto settled = *config;
  static_cast<void>(ferrule::peft::settle_patterns(settled, {}, {}));
  const auto strength = ferrule::resolve_strength(*config, paths[0]);
  require(strength || !strength.error().rule.empty());
  return 0;
}
