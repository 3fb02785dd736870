// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_view.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::format {
namespace {

using namespace std::string_literals;

Pickle read(std::string_view text) {
  auto pickle = Pickle::read(std::as_bytes(std::span(text)), {}, PicklePolicy::kTrainer);
  EXPECT_TRUE(pickle) << pickle.error().to_string();
  return *std::move(pickle);
}

TEST(PickleView, FindsKeysOfDicts) {
  // {"a": {"b": 7}, 1: 2, "a2": [1, 2.0, True]}
  const auto bytes =
      "}(U\1a}U\1bK\7sK\1K\2U\2a2](K\1G@\0\0\0\0\0\0\0\x88"
      "eu."s;  // Texts of the pickle point into it.
  const auto pickle = read(bytes);
  const PickleView view(pickle);
  const auto b = view.find_path(view.root(), {"a", "b"});
  ASSERT_TRUE(b);
  EXPECT_EQ(view.integer(*b), 7);
  EXPECT_FALSE(view.find(view.root(), "b"));
  EXPECT_FALSE(view.find_path(view.root(), {"a", "b", "c"}));
  const auto list = view.find(view.root(), "a2");
  ASSERT_TRUE(list);
  const auto items = view.items(*list);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(view.count(items[0]), 1U);
  EXPECT_EQ(view.integer(items[1]), 2);
  EXPECT_FALSE(view.count(items[1]));
  EXPECT_EQ(view.integer(items[2]), 1);
}

TEST(PickleView, TheLastOfEqualKeysCounts) {
  const auto pickle = read("}(U\1aK\1U\1aK\2u.");
  const PickleView view(pickle);
  EXPECT_EQ(view.integer(*view.find(view.root(), "a")), 2);
}

TEST(PickleView, OtherTypesAreNothing) {
  const auto pickle = read("K\5.");
  const PickleView view(pickle);
  EXPECT_TRUE(view.pairs(view.root()).empty());
  EXPECT_TRUE(view.items(view.root()).empty());
  EXPECT_TRUE(view.arguments(view.root()).empty());
  EXPECT_FALSE(view.text(view.root()));
  EXPECT_FALSE(view.counts(view.root()));
  EXPECT_FALSE(view.state(view.root()));
  EXPECT_EQ(view.made_by(view.root()), nullptr);
  EXPECT_EQ(view.global(view.root()), nullptr);
}

TEST(PickleView, ObjectsShowTheirMakerArgumentsAndAttributes) {
  // mine.Box(3) with {"x": torch.Size((2, 3))}
  const auto pickle = read("cmine\nBox\nK\3\x85R}U\1xctorch\nSize\nK\2K\3\x86\x85Rsb.");
  const PickleView view(pickle);
  EXPECT_TRUE(view.is_made_by(view.root(), "mine", "Box"));
  EXPECT_FALSE(view.is_made_by(view.root(), "mine.sub", "Box"));
  ASSERT_EQ(view.arguments(view.root()).size(), 1U);
  const auto size = view.attribute(view.root(), "x");
  ASSERT_TRUE(size);
  EXPECT_EQ(view.counts(*size), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_FALSE(view.attribute(view.root(), "y"));
}

TEST(PickleView, NegativeNumbersAreNoCounts) {
  const auto pickle = read("(J\xff\xff\xff\xffK\1t.");
  const PickleView view(pickle);
  EXPECT_FALSE(view.counts(view.root()));
}

TEST(PickleView, PlainDataAreCompared) {
  const struct {
    std::string a;
    std::string b;
    bool same;
  } rows[] = {
      {"}U\1aK\1s.", "}U\1aK\1s.", true},
      {"}U\1aK\1s.", "}U\1aK\2s.", false},
      {"}U\1aK\1s.", "}U\1bK\1s.", false},
      {"](K\1K\2e.", "](K\1e.", false},
      {"K\1.", "U\1a.", false},
      {"N.", "N.", true},
      {"cm\nA\n)R.", "cm\nB\n)R.", true},
  };
  for (const auto& row : rows) {
    const auto a = read(row.a);
    const auto b = read(row.b);
    std::size_t budget = 100;
    EXPECT_EQ(same_plain_data(a, a.root(), b, b.root(), budget), row.same) << row.a << row.b;
  }
}

TEST(PickleView, ComparingStopsAtItsBudget) {
  const auto a = read("](K\1K\2K\3e.");
  const auto b = read("](K\1K\2K\4e.");
  std::size_t budget = 2;
  EXPECT_TRUE(same_plain_data(a, a.root(), b, b.root(), budget));
}

}  // namespace
}  // namespace ferrule::format
