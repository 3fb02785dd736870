// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_calls.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::format {
namespace {

using namespace std::string_literals;
using Kind = PickleValue::Kind;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(PickleCalls, ACallIsNotedWithItsCallableAndArguments) {
  const auto pickle = Pickle::read(bytes_of("ctorch\nSize\n((K\2K\3ttR."));
  ASSERT_TRUE(pickle) << pickle.error().to_string();
  EXPECT_EQ(pickle->root().kind, Kind::kCall);
  const auto& items = pickle->node(pickle->root()).items;
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(pickle->global(items[0]).name, "Size");
  EXPECT_EQ(items[1].kind, Kind::kTuple);
}

TEST(PickleCalls, GlobalsKeepTheirOffset) {
  const auto pickle = Pickle::read(bytes_of("\x80\2ctorch\nfloat32\n."));
  ASSERT_TRUE(pickle);
  EXPECT_EQ(pickle->global(pickle->root()).offset, 2U);
  EXPECT_EQ(pickle->global(pickle->root()).facts.dtype, Dtype::kF32);
}

TEST(PickleCalls, AnOrderedDictIsADict) {
  const struct {
    const char* what;
    std::string pickle;
    std::size_t items;
  } rows[] = {
      {"empty", "ccollections\nOrderedDict\n)R.", 0},
      {"filled afterwards", "ccollections\nOrderedDict\n)R(U\1aK\1U\1bK\2u.", 4},
      {"of pairs, as Python 2 wrote it", "ccollections\nOrderedDict\n(]](U\1aK\1eatR.", 2},
      {"with attributes", "ccollections\nOrderedDict\n)R}b.", 0},
  };
  for (const auto& row : rows) {
    const auto pickle = Pickle::read(bytes_of(row.pickle));
    ASSERT_TRUE(pickle) << row.what << ": " << pickle.error().to_string();
    EXPECT_EQ(pickle->root().kind, Kind::kDict) << row.what;
    EXPECT_EQ(pickle->node(pickle->root()).items.size(), row.items) << row.what;
  }
}

TEST(PickleCalls, PersistentIdsAreListedInTheOrderOfTheStream) {
  const auto pickle = Pickle::read(bytes_of("(U\1aQU\1bQt."));
  ASSERT_TRUE(pickle);
  const auto ids = pickle->persistent_ids();
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(pickle->node(ids[0]).items[0].string(), "a");
  EXPECT_EQ(pickle->node(ids[1]).items[0].string(), "b");
}

struct Row {
  const char* name;
  std::string pickle;
  const char* rule;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class RefusedCalls : public testing::TestWithParam<Row> {};

TEST_P(RefusedCalls, NameTheRule) {
  const auto pickle = Pickle::read(bytes_of(GetParam().pickle));
  ASSERT_FALSE(pickle);
  EXPECT_EQ(pickle.error().rule, GetParam().rule) << pickle.error().message;
  EXPECT_EQ(pickle.error().code, ErrorCode::kCorrupt);
}

INSTANTIATE_TEST_SUITE_P(
    PickleCalls, RefusedCalls,
    testing::ValuesIn(std::vector<Row>{
        {"GlobalNotListed", "cbuiltins\nprint\n.", "PK-3"},
        {"GlobalWithATrailingSpace", "ctorch\nfloat32 \n.", "PK-3"},
        {"GlobalOfComputedName", "U\5torchK\1\x93.", "PK-3"},
        {"CallOfAnInt", "K\1)R.", "PK-8"},
        {"CallOfACall", "ctorch\nSize\n)R)R.", "PK-8"},
        {"CallWithAList", "ctorch\nSize\n]R.", "PK-8"},
        {"OrderedDictOfAnInt", "ccollections\nOrderedDict\nK\1\x85R.", "PK-8"},
        {"OrderedDictOfTriples", "ccollections\nOrderedDict\n(](NNNtatR.", "PK-8"},
        {"OrderedDictOfTwoArguments", "ccollections\nOrderedDict\n(]]tR.", "PK-8"},
        {"StateOfAList", "]}b.", "PK-8"},
        {"StateOfAGlobal", "ctorch\nSize\n}b.", "PK-8"},
        {"DictWithAListAsState", "}]b.", "PK-8"},
        {"BuildOfNothing", "}b.", "PK-5"},
    }),
    [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(PickleCalls, AScanNotesThemAndGoesOn) {
  const auto scan = Pickle::scan(bytes_of("cbuiltins\nprint\n)R0U\5torchK\1\x93)R."));
  EXPECT_FALSE(scan.failure);
  ASSERT_GE(scan.events.size(), 2U);
  EXPECT_EQ(scan.events[0].global, "builtins.print");
  EXPECT_EQ(scan.events[1].opcode, Opcode::kStackGlobal);
  EXPECT_EQ(scan.events[1].global, "");
  EXPECT_EQ(scan.calls, 2U);
}

TEST(PickleCalls, AReaderThatSkipsGoesOnWithAStandIn) {
  const auto pickle =
      Pickle::read(bytes_of("}U\1acbuiltins\nprint\n)RsU\1bK\1s."), {}, PicklePolicy::kSkip);
  ASSERT_TRUE(pickle) << pickle.error().to_string();
  const auto& items = pickle->node(pickle->root()).items;
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(items[1].kind, Kind::kCall);
  EXPECT_EQ(items[3].integer, 1);
}

}  // namespace
}  // namespace ferrule::format
