// SPDX-License-Identifier: Apache-2.0
#include "format/name_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace ferrule::format {
namespace {

struct Names {
  const char* name;
  std::vector<std::string> list;
  /// 0 makes the index sort at its first collision.
  std::uint64_t collision_budget;
};
void PrintTo(const Names& row, std::ostream* out) { *out << row.name; }

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> list;
  for (std::size_t i = 0; i < count; ++i) list.push_back("layers." + std::to_string(1000000 + i));
  return list;
}

std::vector<std::string> shuffled(std::vector<std::string> list) {
  std::shuffle(list.begin(), list.end(), std::mt19937(7));
  return list;
}

/// Of every length around the steps of the hash.
std::vector<std::string> of_all_lengths() {
  std::vector<std::string> list;
  for (std::size_t length = 0; length < 140; ++length) {
    list.push_back(std::string(length, 'x'));
    if (length > 0) list.push_back(std::string(length - 1, 'x') + "y");
    if (length > 1) list.push_back("y" + std::string(length - 1, 'x'));
  }
  return shuffled(std::move(list));
}

std::vector<NamedTensor> tensors_of(const std::vector<std::string>& list) {
  std::vector<NamedTensor> tensors;
  for (const auto& name : list) tensors.push_back({name, {}});
  return tensors;
}

class NameIndexes : public testing::TestWithParam<Names> {};

TEST_P(NameIndexes, FindEveryNameAndNoOther) {
  const auto tensors = tensors_of(GetParam().list);
  NameIndex index(GetParam().collision_budget);
  std::size_t duplicate = 0;
  ASSERT_TRUE(index.build(tensors, duplicate));
  const NameIndex moved = std::move(index);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    ASSERT_EQ(moved.find(tensors, tensors[i].name), i) << tensors[i].name;
  }
  EXPECT_EQ(moved.find(tensors, "absent"), std::nullopt);
  EXPECT_EQ(moved.find(tensors, "\xff"), std::nullopt);
}

TEST_P(NameIndexes, RefuseARepeatedName) {
  auto list = GetParam().list;
  if (list.empty()) return;
  list.push_back(list[list.size() / 2]);
  const auto tensors = tensors_of(list);
  NameIndex index(GetParam().collision_budget);
  std::size_t duplicate = 0;
  ASSERT_FALSE(index.build(tensors, duplicate));
  EXPECT_EQ(tensors[duplicate].name, list.back());
}

INSTANTIATE_TEST_SUITE_P(
    NameIndex, NameIndexes,
    testing::ValuesIn(std::vector<Names>{{"None", {}, 24},
                                         {"One", {"a"}, 24},
                                         {"Ascending", numbered(3000), 24},
                                         {"Shuffled", shuffled(numbered(3000)), 24},
                                         {"AllLengths", of_all_lengths(), 24},
                                         {"SortedForCollisions", shuffled(numbered(3000)), 0}}),
    [](const testing::TestParamInfo<Names>& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace ferrule::format
