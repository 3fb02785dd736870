// SPDX-License-Identifier: Apache-2.0
// Every tests/malformed/CF-*.json breaks the rule in its name.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/model_facts.hpp"
#include "peft/module_selector.hpp"
#include "peft/pattern_order.hpp"
#include "peft/strength.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

/// A LoRA of one module, of the rank that the config gives it.
container::TensorPlan adapter_of(const std::string& path, const AdapterConfig& config) {
  const auto resolved = resolve_strength(config, path);
  const auto rank = resolved ? static_cast<std::uint64_t>(resolved->rank.value_or(1)) : 1U;
  const auto key = "base_model.model." + path + ".lora_A.weight";
  return {{.name = key, .dtype = Dtype::kF32, .shape = {rank, 4}}};
}

/// Every rule that a text breaks, in whatever step shows it.
std::set<std::string> broken_rules(const std::string& text, bool facts) {
  if (facts) {
    const auto parsed = ModelFacts::parse(text);
    return parsed ? std::set<std::string>() : std::set<std::string>{parsed.error().rule};
  }
  const auto config = AdapterConfig::parse(text);
  if (!config) return {config.error().rule};
  const std::vector<std::string> paths = {"model.layers.0.self_attn.q_proj"};
  std::set<std::string> rules;
  for (const auto& finding : config->findings()) rules.insert(finding.rule);
  for (const auto& finding : peft::pattern_findings(*config)) rules.insert(finding.rule);
  auto written = *config;
  const auto rank = peft::StrengthResolver::compile(*config);
  if (const auto settled = rank ? peft::settle_patterns(written, adapter_of(paths[0], *config), {})
                                : Result<std::vector<Finding>>(std::vector<Finding>())) {
    for (const auto& finding : *settled) rules.insert(finding.rule);
  }
  if (const auto targets = config->target_modules()) {
    const auto selector = peft::CompiledSelector::compile(*targets);
    if (!selector) {
      rules.insert(selector.error().rule);
    } else if (const auto hit = selector->selects(paths[0]); !hit) {
      rules.insert(hit.error().rule);
    }
  }
  return rules;
}

TEST(MalformedConfig, EveryFileBreaksTheRuleInItsName) {
  const auto folder = std::filesystem::path(FERRULE_TEST_DATA) / "malformed";
  std::set<std::string> seen;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("CF-", 0) != 0) continue;
    const std::string rule = name.substr(0, name.find('-', 3));
    const auto rules = broken_rules(test::read_file(entry.path()), rule == "CF-30");
    EXPECT_EQ(rules.count(rule), 1U) << name;
    seen.insert(rule);
  }
  const std::set<std::string> all = {"CF-1",  "CF-2",  "CF-3",  "CF-4",  "CF-5",  "CF-6",  "CF-7",
                                     "CF-8",  "CF-9",  "CF-10", "CF-11", "CF-12", "CF-13", "CF-14",
                                     "CF-15", "CF-20", "CF-21", "CF-23", "CF-30"};
  EXPECT_EQ(seen, all);
}

}  // namespace
}  // namespace ferrule
