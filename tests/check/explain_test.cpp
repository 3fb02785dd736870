// SPDX-License-Identifier: Apache-2.0
#include "ferrule/explain.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace ferrule {
namespace {

const std::filesystem::path kCases = std::filesystem::path(FERRULE_TEST_DATA) / "golden/cases";

TEST(Explain, AGlobMatchesAPathOrItsPartBehindADot) {
  const auto adapter = Adapter::open(kCases / "lora/expected");
  ASSERT_TRUE(adapter) << adapter.error().to_string();
  const struct {
    const char* glob;
    std::size_t modules;
  } cases[] = {{"", 6},
               {"*", 6},
               {"q_proj", 2},
               {"proj", 0},
               {"*proj", 6},
               {"layers.0.*", 3},
               {"layers.?.*.q_proj", 2},
               {"q_pro", 0},
               {"?_proj", 4},
               {"model.layers.1.mlp.up_proj", 1},
               {"**q*_*j", 2}};
  for (const auto& [glob, modules] : cases) {
    EXPECT_EQ(explain(*adapter, glob).modules.size(), modules) << glob;
  }
}

TEST(Explain, EveryPatternIsCountedWhateverTheFilter) {
  const auto adapter = Adapter::open(kCases / "rankpat/expected");
  ASSERT_TRUE(adapter) << adapter.error().to_string();
  const auto report = explain(*adapter, "no such module");
  EXPECT_TRUE(report.modules.empty());
  ASSERT_EQ(report.patterns.size(), 3U);
  for (const auto& use : report.patterns) EXPECT_GT(use.modules, 0U) << use.pattern;
}

}  // namespace
}  // namespace ferrule
