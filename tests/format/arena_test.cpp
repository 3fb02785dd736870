// SPDX-License-Identifier: Apache-2.0
#include "format/arena.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ferrule::format {
namespace {

TEST(Arena, HandsOutCopies) {
  Arena<std::uint64_t> arena;
  std::vector<std::uint64_t> run = {1, 2, 3};
  const auto copy = arena.copy(run);
  run = {0, 0, 0};
  EXPECT_EQ(std::vector<std::uint64_t>(copy.begin(), copy.end()),
            (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST(Arena, AnEmptyRunIsEmpty) {
  Arena<char> arena;
  EXPECT_TRUE(arena.copy({}).empty());
}

TEST(Arena, RunsStayWhereTheyAreWhileItGrowsAndMoves) {
  Arena<std::uint32_t> arena;
  std::vector<std::span<const std::uint32_t>> runs;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    runs.push_back(arena.copy(std::vector<std::uint32_t>(i % 7 + 1, i)));
  }
  const Arena<std::uint32_t> moved = std::move(arena);
  for (std::uint32_t i = 0; i < 5000; ++i) {
    ASSERT_EQ(runs[i].size(), i % 7 + 1);
    for (const auto value : runs[i]) ASSERT_EQ(value, i);
  }
}

TEST(Arena, ARunLongerThanABlockIsKeptInOnePiece) {
  Arena<char> arena;
  arena.expect(10);
  const std::vector<char> run(std::size_t{3} << 20, 'x');
  const auto copy = arena.copy(run);
  ASSERT_EQ(copy.size(), run.size());
  EXPECT_EQ(copy.back(), 'x');
  EXPECT_EQ(arena.copy(std::span(run).first(1)).front(), 'x');
}

TEST(Arena, AnnouncedValuesLieSideBySide) {
  Arena<char> arena;
  arena.expect(1000);
  const std::vector<char> run(100, 'x');
  const auto first = arena.copy(run);
  auto end = first.data() + first.size();
  for (int i = 1; i < 10; ++i) {
    const auto next = arena.copy(run);
    EXPECT_EQ(next.data(), end);
    end = next.data() + next.size();
  }
}

}  // namespace
}  // namespace ferrule::format
