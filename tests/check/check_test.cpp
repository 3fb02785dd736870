// SPDX-License-Identifier: Apache-2.0
#include "ferrule/check.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "ferrule/safetensors_writer.hpp"
#include "temp_dir.hpp"

namespace ferrule::checks {
namespace {

TEST(Check, ManyAnswersAreInTheOrderAsked) {
  const test::TempDir dir;
  test::write_file(dir / "config.json", R"({"model_type": "llama"})");
  const auto base = BaseModel::open(dir / "config.json");
  ASSERT_TRUE(base) << base.error().to_string();
  EXPECT_FALSE(base->has_tensors());
  const std::vector<std::filesystem::path> none = {dir / "a", dir / "b"};
  const auto reports = check(none, *base, {.threads = 2});
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_FALSE(reports[0]);
  EXPECT_EQ(reports[1].error().code, ErrorCode::kNotFound);
}

TEST(Check, AdaptersAlikeGetTheAnswerForTheirBaseAndOptions) {
  const std::filesystem::path lora =
      std::filesystem::path(FERRULE_TEST_DATA) / "golden/cases/lora/expected";
  const auto adapter = Adapter::open(lora);
  ASSERT_TRUE(adapter) << adapter.error().to_string();
  const test::TempDir dir;
  const auto write_base = [&](const std::string& name, bool all) {
    std::vector<std::string> names;
    std::vector<std::vector<std::uint64_t>> shapes;
    std::vector<std::byte> bytes(std::size_t{1} << 22);
    std::vector<NamedTensor> tensors;
    for (const auto& module : adapter->modules()) {
      names.push_back(std::string(module.path()) + ".weight");
      shapes.push_back({module.tensor("lora_B")->shape()[0], module.tensor("lora_A")->shape()[1]});
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i == 0 && !all) continue;
      const auto size = shapes[i][0] * shapes[i][1];
      tensors.push_back(
          {names[i],
           TensorView::make(Dtype::kU8, shapes[i], std::span(bytes).first(size)).value()});
    }
    ASSERT_TRUE(write_safetensors(dir / name, tensors));
  };
  write_base("whole.safetensors", true);
  write_base("part.safetensors", false);
  const auto whole = BaseModel::open(dir / "whole.safetensors");
  const auto part = BaseModel::open(dir / "part.safetensors");
  ASSERT_TRUE(whole && part);
  // Twice each, in turns: an answer is that of its base and its options.
  for (int round = 0; round < 2; ++round) {
    const auto again = Adapter::open(lora);
    ASSERT_TRUE(again);
    const auto good = check(*again, *whole);
    ASSERT_TRUE(good);
    EXPECT_TRUE(good->good()) << good->findings.size();
    EXPECT_EQ(good->matched, adapter->modules().size());
    const auto bad = check(*again, *part);
    ASSERT_TRUE(bad);
    EXPECT_EQ(bad->verdict, Verdict::kBad);
    EXPECT_EQ(bad->matched, adapter->modules().size() - 1);
    const auto allowed = check(*again, *part, {.allow_partial = true});
    ASSERT_TRUE(allowed);
    EXPECT_EQ(allowed->verdict, Verdict::kWarn);
    EXPECT_EQ(allowed->findings.size(), bad->findings.size());
    const auto read = check(*again, *whole, {.values = true});
    ASSERT_TRUE(read);
    EXPECT_EQ(read->matched, good->matched);
  }
}

}  // namespace
}  // namespace ferrule::checks
