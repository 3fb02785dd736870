// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_state.hpp"

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

struct Row {
  const char* name;
  std::string pickle;
  const char* rule;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class BrokenStacks : public testing::TestWithParam<Row> {};

TEST_P(BrokenStacks, NameTheRule) {
  const auto pickle = Pickle::read(bytes_of(GetParam().pickle));
  ASSERT_FALSE(pickle);
  EXPECT_EQ(pickle.error().rule, GetParam().rule) << pickle.error().message;
  EXPECT_EQ(pickle.error().code, ErrorCode::kCorrupt);
}

// pickle.loads raises for each of them.
INSTANTIATE_TEST_SUITE_P(PickleState, BrokenStacks,
                         testing::ValuesIn(std::vector<Row>{
                             {"StopWithNothing", ".", "PK-5"},
                             {"PopOfNothing", "0.", "PK-5"},
                             {"DupOfNothing", "2.", "PK-5"},
                             {"AppendToNone", "N]a.", "PK-5"},
                             {"AppendWithoutAValue", "]a.", "PK-5"},
                             {"AppendToAnInt", "K\1Na.", "PK-5"},
                             {"SetItemOfAList", "]NNs.", "PK-5"},
                             {"OddSetItems", "}(Nu.", "PK-5"},
                             {"TupleWithoutMark", "Nt.", "PK-5"},
                             {"AppendsWithoutMark", "]Ne.", "PK-5"},
                             {"PopMarkWithoutMark", "N1.", "PK-5"},
                             {"Tuple2OfOne", "N\x86.", "PK-5"},
                             {"TakingFromBelowTheMark", "N(\x85.", "PK-5"},
                             {"AppendAcrossTheMark", "](Na.", "PK-5"},
                             {"MarkLeftBehind", "N(.", "PK-5"},
                             {"MemoNotWritten", "h\1.", "PK-6"},
                             {"MemoNotWrittenInText", "g1\n.", "PK-6"},
                             {"LongMemoNotWritten", "j\1\0\0\0."s, "PK-6"},
                             {"NegativeMemo", "Np-1\n.", "PK-4"},
                         }),
                         [](const testing::TestParamInfo<Row>& row) {
                           return std::string(row.param.name);
                         });

TEST(PickleState, TheMemoGivesBackWhatWasPut) {
  // 7 -> entry 0, 8 -> entry 200, 9 -> entry 0 in its place: (9, 8).
  const auto pickle = Pickle::read(bytes_of("K\x07q\0000K\x08q\xc8\060K\x09q\0000h\0h\xc8\x86."s));
  ASSERT_TRUE(pickle) << pickle.error().to_string();
  const auto& items = pickle->node(pickle->root()).items;
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].integer, 9);
  EXPECT_EQ(items[1].integer, 8);
}

TEST(PickleState, MemoizeCountsOn) {
  const auto pickle = Pickle::read(bytes_of("K\x07\x94K\x08\x94\x30\x30h\1h\0\x86."s));
  ASSERT_TRUE(pickle) << pickle.error().to_string();
  EXPECT_EQ(pickle->node(pickle->root()).items[0].integer, 8);
  EXPECT_EQ(pickle->node(pickle->root()).items[1].integer, 7);
}

TEST(PickleState, AMemoizedListIsTheSameList) {
  // a = []; (a, a) with something appended through the memo.
  const auto pickle = Pickle::read(bytes_of("]\x94h\0h\0K\x05\x61\x87."s));
  ASSERT_TRUE(pickle) << pickle.error().to_string();
  const auto& items = pickle->node(pickle->root()).items;
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(pickle->node(items[0]).items.size(), 1U);
}

TEST(PickleState, TextsThatAreNotUtf8AreBytes) {
  const auto text = Pickle::read(bytes_of("U\1a."));
  const auto bytes = Pickle::read(bytes_of("U\1\xff."));
  ASSERT_TRUE(text && bytes);
  EXPECT_EQ(text->root().kind, Kind::kString);
  EXPECT_EQ(bytes->root().kind, Kind::kBytes);
}

TEST(PickleState, LimitsAreTheCallers) {
  struct Bounded {
    const char* what;
    std::string pickle;
    PickleLimits limits;
  };
  const Bounded rows[] = {
      {"text", "U\3abc.", {.string_bytes = 2}},
      {"stack", "NNN00.", {.stack = 2}},
      {"depth", "]]]aa.", {.depth = 2}},
      {"containers", "]]]aa.", {.spare = 1, .bytes_each = 100}},
      {"memo", "N\x94\x94\x94.", {.spare = 1, .bytes_each = 100}},
      {"most", "]]]aa.", {.most = 2}},
      {"global", "ctorch\nfloat32\n.", {.global_bytes = 6}},
  };
  for (const auto& row : rows) {
    EXPECT_TRUE(Pickle::read(bytes_of(row.pickle))) << row.what;
    const auto bounded = Pickle::read(bytes_of(row.pickle), row.limits);
    ASSERT_FALSE(bounded) << row.what;
    EXPECT_EQ(bounded.error().code, ErrorCode::kLimitExceeded) << row.what;
    EXPECT_EQ(bounded.error().rule, "PK-7") << row.what;
  }
}

}  // namespace
}  // namespace ferrule::format
