// SPDX-License-Identifier: Apache-2.0
#include "ferrule/normalize.hpp"

#include <gtest/gtest.h>

#include <string>

#include "ferrule/adapter.hpp"
#include "small_lora.hpp"

namespace ferrule {
namespace {

const std::string kPrefix = "base_model.model.";

TEST(Normalize, NamesTheModuleWithTheLargestError) {
  const test::TempDir dir;
  // Strength 3: of B only 0.1 is rounded.
  test::write_small_lora(
      dir / "a",
      R"({"peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["a_proj", "b_proj"]})",
      {{kPrefix + "a_proj", 0.1F}, {kPrefix + "b_proj", 1}});
  const auto report = normalize(dir / "a", dir / "b");
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->modules, 2U);
  EXPECT_EQ(report->folded, 2U);
  EXPECT_FALSE(report->exact);
  EXPECT_GT(report->largest_relative_error, 0);
  EXPECT_EQ(report->worst_module, "a_proj");
  const auto plain = Adapter::open(dir / "b");
  ASSERT_TRUE(plain) << plain.error().to_string();
  for (const auto& module : plain->modules()) EXPECT_EQ(module.strength(), 1) << module.path();
}

TEST(Normalize, APowerOfTwoIsExact) {
  const test::TempDir dir;
  test::write_small_lora(
      dir / "a", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 8, "target_modules": ["a_proj"]})",
      {{kPrefix + "a_proj", 0.75F}});
  const auto report = normalize(dir / "a", dir / "b");
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->exact);
  EXPECT_EQ(report->largest_relative_error, 0);
  EXPECT_EQ(report->worst_module, "");
  EXPECT_EQ(report->folded, 1U);
  EXPECT_EQ(report->padded, 0U);
  const auto plain = Adapter::open(dir / "b");
  ASSERT_TRUE(plain) << plain.error().to_string();
  EXPECT_EQ(plain->modules()[0].tensor("lora_B")->as<float>()->front(), 3);
}

}  // namespace
}  // namespace ferrule
