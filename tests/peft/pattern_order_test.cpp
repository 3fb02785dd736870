// SPDX-License-Identifier: Apache-2.0
#include "peft/pattern_order.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ferrule::peft {
namespace {

std::vector<WantedStrength> ranks(std::initializer_list<std::pair<const char*, double>> modules) {
  std::vector<WantedStrength> out;
  for (const auto& [path, rank] : modules) out.push_back({.path = path, .rank = rank, .alpha = {}});
  return out;
}

PatternTable settled(const PatternTable& table, double fallback,
                     const std::vector<WantedStrength>& wanted) {
  auto out = order_free(table, fallback, wanted, true);
  EXPECT_TRUE(out.has_value());
  return out ? *out : PatternTable();
}

TEST(OrderFree, KeepsATableWhoseOrderDoesNotMatter) {
  const PatternTable table = {{"v_proj", 2}, {"q_proj", 4}};
  EXPECT_EQ(settled(table, 8, ranks({{"l.0.q_proj", 4}, {"l.0.v_proj", 2}, {"l.0.k", 8}})), table);
  // Another entry wins once they are sorted, with the same value.
  const PatternTable alike = {{"q_proj", 4}, {"l.0.q_proj", 4}};
  EXPECT_EQ(settled(alike, 8, ranks({{"l.0.q_proj", 4}, {"l.1.q_proj", 4}})), alike);
}

TEST(OrderFree, DropsWhatDecidesNothing) {
  EXPECT_EQ(
      settled({{"q_proj", 2}, {"l.0.q_proj", 3}}, 8, ranks({{"l.0.q_proj", 2}, {"l.1.q_proj", 2}})),
      (PatternTable{{"q_proj", 2}}));
}

TEST(OrderFree, GivesTheModulesOfAnEntryThatDecidesTooMuchTheirOwn) {
  // ".*1.*" comes first once they are sorted, and would take l.1.q_proj from "q_proj".
  EXPECT_EQ(settled({{"q_proj", 2}, {".*1.*", 3}}, 8,
                    ranks({{"l.0.q_proj", 2}, {"l.1.q_proj", 2}, {"l.1.v_proj", 3}})),
            (PatternTable{{"l.1.v_proj", 3}, {"q_proj", 2}}));
}

TEST(OrderFree, TakesAModuleOutOfTheTableOnlyByOtherEntries) {
  // l.0.v_proj has the default, whatever the table says.
  EXPECT_EQ(settled({{"v_proj", 2}}, 8, ranks({{"l.0.v_proj", 8}, {"l.1.v_proj", 2}})),
            (PatternTable{{"l.1.v_proj", 2}}));
}

TEST(OrderFree, EscapesWhatIsNoPlainPath) {
  EXPECT_EQ(settled({}, 8, ranks({{"a+b.c", 2}})), (PatternTable{{"a\\+b.c", 2}}));
}

TEST(OrderFree, SettlesTablesThatAreTangledBeyondRepair) {
  PatternTable table;
  std::vector<WantedStrength> wanted;
  for (int i = 0; i < 40; ++i) {
    const auto number = std::to_string(100 + i);
    table.emplace_back("(l.)?.*" + number + "|.*" + std::to_string(100 + i + 1), i + 1);
    wanted.push_back({.path = "l." + number, .rank = 41.0 - i, .alpha = {}});
  }
  const auto out = settled(table, 99, wanted);
  EXPECT_EQ(out.size(), wanted.size());
  EXPECT_EQ(out.front(), (PatternTable::value_type("l.100", 41)));
}

}  // namespace
}  // namespace ferrule::peft
