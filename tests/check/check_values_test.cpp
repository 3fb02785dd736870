// SPDX-License-Identifier: Apache-2.0
#include "check/check_values.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "small_lora.hpp"

namespace ferrule::checks {
namespace {

std::vector<Finding> judged(const std::vector<test::SmallModule>& modules) {
  const test::TempDir dir;
  test::write_small_lora(
      dir / "a",
      R"({"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "k_proj"]})",
      modules);
  const auto adapter = Adapter::open(dir / "a");
  EXPECT_TRUE(adapter) << (adapter ? "" : adapter.error().to_string());
  return adapter ? judge_values(*adapter) : std::vector<Finding>();
}

const std::string kQ = "base_model.model.q_proj";
const std::string kK = "base_model.model.k_proj";

TEST(CheckValues, OfATrainedAdapterFindNothing) { EXPECT_TRUE(judged({{kQ}, {kK}}).empty()); }

TEST(CheckValues, AnUpdateOfZeroIsOneError) {
  const auto findings = judged({{kQ, 0}, {kK, 0}});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].rule, "AD-21");
  EXPECT_EQ(findings[0].severity, Severity::kError);
}

TEST(CheckValues, AModuleWhoseUpdateIsZeroIsAWarningThatNamesIt) {
  const auto findings = judged({{kQ, 0}, {kK, 1}});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].rule, "AD-21");
  EXPECT_EQ(findings[0].severity, Severity::kWarning);
  EXPECT_NE(findings[0].message.find("q_proj"), std::string::npos) << findings[0].message;
}

TEST(CheckValues, NanIsAnError) {
  const auto findings = judged({{kQ, std::numeric_limits<float>::quiet_NaN()}, {kK}});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].rule, "AD-20");
  EXPECT_EQ(findings[0].severity, Severity::kError);
}

}  // namespace
}  // namespace ferrule::checks
