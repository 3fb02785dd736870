// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "peft/strength.hpp"

namespace ferrule {
namespace {

TEST(PatternFindings, InvalidIsAnErrorAndUnsupportedAWarning) {
  const auto config =
      AdapterConfig::parse(
          R"({"peft_type": "LORA", "target_modules": "(", "modules_to_save": ["a", "b["],
          "rank_pattern": {"\\N{BULLET}": 4}})")
          .value();
  const auto findings = peft::pattern_findings(config);
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].key, "target_modules");
  EXPECT_EQ(findings[0].severity, Severity::kError);
  EXPECT_EQ(findings[0].rule, "CF-20");
  EXPECT_EQ(findings[1].key, "rank_pattern");
  EXPECT_EQ(findings[1].severity, Severity::kWarning);
  EXPECT_EQ(findings[1].rule, "CF-21");
  EXPECT_EQ(findings[2].key, "modules_to_save");
}

TEST(PatternFindings, NamesAreNotPatterns) {
  const auto config =
      AdapterConfig::parse(R"({"peft_type": "LORA", "target_modules": ["q(", "v["]})").value();
  EXPECT_TRUE(peft::pattern_findings(config).empty());
}

}  // namespace
}  // namespace ferrule
