// SPDX-License-Identifier: Apache-2.0
#include "ferrule/fix.hpp"

#include <gtest/gtest.h>

#include <string>

#include "ferrule/adapter.hpp"
#include "small_lora.hpp"

namespace ferrule {
namespace {

const std::string kConfig =
    R"({"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "k_proj"]})";
const std::string kPrefix = "base_model.model.";

TEST(Fix, AddsThePrefixToTheKeysThatLackIt) {
  const test::TempDir dir;
  test::write_small_lora(dir / "a", kConfig, {{"q_proj"}, {kPrefix + "k_proj", 2}});
  const auto report = fix(dir / "a", dir / "b");
  ASSERT_TRUE(report) << report.error().to_string();
  ASSERT_EQ(report->adapters.size(), 1U);
  ASSERT_EQ(report->adapters[0].fixed.size(), 1U);
  EXPECT_EQ(report->adapters[0].fixed[0].what, "key-prefix");
  EXPECT_EQ(report->adapters[0].fixed[0].tensors, 2U);
  const auto fixed = Adapter::open(dir / "b");
  ASSERT_TRUE(fixed) << fixed.error().to_string();
  ASSERT_EQ(fixed->modules().size(), 2U);
  for (const auto& tensor : fixed->tensors()) EXPECT_TRUE(tensor.key.starts_with(kPrefix));
}

TEST(Fix, ChangesNothingOfAGoodAdapter) {
  const test::TempDir dir;
  test::write_small_lora(dir / "a", kConfig, {{kPrefix + "q_proj"}, {kPrefix + "k_proj"}});
  const auto report = fix(dir / "a", dir / "b");
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->adapters[0].fixed.empty());
  EXPECT_TRUE(report->good());
  EXPECT_EQ(test::read_file(dir / "a/adapter_model.safetensors"),
            test::read_file(dir / "b/adapter_model.safetensors"));
}

TEST(Fix, WritesNothingIfOnlyAGuessWouldHelp) {
  const test::TempDir dir;
  // The config or the weights have the wrong rank.
  test::write_small_lora(dir / "a",
                         R"({"peft_type": "LORA", "r": 3, "target_modules": ["q_proj"]})",
                         {{kPrefix + "q_proj"}});
  const auto report = fix(dir / "a", dir / "b");
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_FALSE(report->good());
  EXPECT_FALSE(report->adapters[0].remaining.empty());
  EXPECT_FALSE(std::filesystem::exists(dir / "b"));
}

}  // namespace
}  // namespace ferrule
