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

TEST(CheckValues, LilyFactorsThatAreNotSharedAreAWarning) {
  const test::TempDir dir;
  test::write_file(dir / "a/adapter_config.json",
                   R"({"peft_type": "LILY", "r": 2, "stride_A": 2, "target_modules": ["q_proj"]})");
  const std::uint64_t a[] = {2, 4};
  const std::uint64_t b[] = {8, 4};
  const std::uint64_t router[] = {4, 2};
  const std::vector<float> ones(32, 1);
  const std::vector<float> twos(32, 2);
  const auto view = [](const std::vector<float>& values, std::span<const std::uint64_t> shape) {
    const auto count = static_cast<std::size_t>(shape[0] * shape[1]);
    return *TensorView::make(Dtype::kF32, shape, std::as_bytes(std::span(values).first(count)));
  };
  const std::string first = "base_model.model.layers.0.q_proj.lily_";
  const std::string second = "base_model.model.layers.1.q_proj.lily_";
  const std::string names[] = {first + "A.weight",  first + "B.weight",  first + "router.weight",
                               second + "A.weight", second + "B.weight", second + "router.weight"};
  const std::vector<NamedTensor> tensors = {
      {names[0], view(ones, a)}, {names[1], view(ones, b)}, {names[2], view(ones, router)},
      {names[3], view(twos, a)}, {names[4], view(ones, b)}, {names[5], view(ones, router)}};
  ASSERT_TRUE(write_safetensors(dir / "a/adapter_model.safetensors", tensors));
  const auto adapter = Adapter::open(dir / "a");
  ASSERT_TRUE(adapter) << adapter.error().to_string();
  const auto findings = judge_values(*adapter);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].rule, "AD-22");
  EXPECT_EQ(findings[0].severity, Severity::kWarning);
}

}  // namespace
}  // namespace ferrule::checks
