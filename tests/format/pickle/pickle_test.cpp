// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

using std::string_literals::operator""s;
using Kind = PickleValue::Kind;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

struct Scalar {
  const char* name;
  std::string pickle;
  Kind kind;
  std::int64_t integer;
};

TEST(Pickle, ReadsNumbersOfEveryProtocol) {
  const Scalar cases[] = {
      {"BININT1", "K\xff.", Kind::kInt, 255},
      {"BININT2", "M\xff\xff.", Kind::kInt, 65535},
      {"BININT", "J\xff\xff\xff\xff.", Kind::kInt, -1},
      {"LONG1 empty", "\x8a\x00."s, Kind::kInt, 0},
      {"LONG1 negative", "\x8a\x02\x00\x80."s, Kind::kInt, -32768},
      {"LONG1 of eight", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."s, Kind::kInt, INT64_MAX},
      {"LONG1 of nine", "\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00."s, Kind::kBigInt, 0},
      {"LONG4", "\x8b\x01\x00\x00\x00\x07."s, Kind::kInt, 7},
      {"INT", "I-12\n.", Kind::kInt, -12},
      {"INT true", "I01\n.", Kind::kBool, 1},
      {"INT false", "I00\n.", Kind::kBool, 0},
      {"LONG", "L99L\n.", Kind::kInt, 99},
      {"NEWTRUE", "\x88.", Kind::kBool, 1},
      {"NONE", "N.", Kind::kNone, 0},
  };
  for (const auto& row : cases) {
    const auto pickle = Pickle::read(bytes_of(row.pickle));
    ASSERT_TRUE(pickle) << row.name << ": " << pickle.error().to_string();
    EXPECT_EQ(pickle->root().kind, row.kind) << row.name;
    if (row.kind == Kind::kBigInt) continue;
    EXPECT_EQ(pickle->root().integer, row.integer) << row.name;
  }
  EXPECT_EQ(Pickle::read(bytes_of("F-1.5\n.")).value().root().real, -1.5);
  EXPECT_EQ(Pickle::read(bytes_of("G\x3f\xf8\0\0\0\0\0\0."s)).value().root().real, 1.5);
}

struct Text {
  const char* name;
  std::string pickle;
  std::string expected;
};

TEST(Pickle, ReadsTextsOfEveryProtocol) {
  const Text cases[] = {
      {"STRING", "S'a\\'b\\n\\x41'\n.", "a'b\nA"},
      {"UNICODE", "V\\u00e9\xe9\\U0001f600\n.", "\u00e9\u00e9\U0001f600"},
      {"BINSTRING", "T\x02\0\0\0ab."s, "ab"},
      {"SHORT_BINSTRING",
       "U\x02"
       "ab.",
       "ab"},
      {"BINUNICODE", "X\x02\0\0\0ab."s, "ab"},
      {"SHORT_BINUNICODE",
       "\x8c\x02"
       "ab.",
       "ab"},
      {"BINUNICODE8", "\x8d\x02\0\0\0\0\0\0\0ab."s, "ab"},
  };
  for (const auto& row : cases) {
    auto pickle = Pickle::read(bytes_of(row.pickle));
    ASSERT_TRUE(pickle) << row.name << ": " << pickle.error().to_string();
    const Pickle moved = std::move(*pickle);
    ASSERT_EQ(moved.root().kind, Kind::kString) << row.name;
    EXPECT_EQ(moved.root().string(), row.expected) << row.name;
  }
}

TEST(Pickle, AContainerInItselfIsNoTrouble) {
  const auto pickle = Pickle::read(bytes_of("]q\x00h\x00"s + "a."));
  ASSERT_TRUE(pickle) << pickle.error().to_string();
  EXPECT_EQ(pickle->node(pickle->root()).items.size(), 1U);
}

struct Bomb {
  const char* name;
  std::string pickle;
};

TEST(Pickle, BombsEndAtALimit) {
  std::string global = "c";
  global += std::string(10'000'000, 'a') + "\nb\n.";
  const Bomb cases[] = {
      {"stack", std::string(1'100'000, 'N') + "."},
      {"marks", std::string(1'100'000, '(') + "."},
      {"containers", std::string(400'000, ']') + "."},
      {"memo", "N" + std::string(400'000, '\x94') + "."},
      {"depth", "]" + std::string(600, '\x85') + "."},
      {"string", "X\xff\xff\x1f\x00"s + std::string(0x1fffff, 'a') + "."},
      {"global", global},
  };
  for (const auto& bomb : cases) {
    const auto pickle = Pickle::read(bytes_of(bomb.pickle));
    ASSERT_FALSE(pickle) << bomb.name;
    EXPECT_EQ(pickle.error().code, ErrorCode::kLimitExceeded) << bomb.name;
    EXPECT_EQ(pickle.error().rule, "PK-7") << bomb.name;
    EXPECT_LT(pickle.error().message.size(), 500U) << bomb.name;
  }
}

TEST(PickleScan, NotesWhatWouldRunAndGoesOn) {
  const std::string pickle =
      "\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R0cnowhere\nnothing\n)R\x82\x07."s;
  const auto scan = Pickle::scan(bytes_of(pickle));
  EXPECT_FALSE(scan.failure);
  ASSERT_EQ(scan.events.size(), 3U);
  EXPECT_EQ(scan.events[0].global, "os.system");
  EXPECT_EQ(scan.events[0].opcode, Opcode::kStackGlobal);
  EXPECT_EQ(scan.events[0].offset, 14U);
  EXPECT_EQ(scan.events[1].global, "nowhere.nothing");
  EXPECT_EQ(scan.events[2].opcode, Opcode::kExt1);
  EXPECT_EQ(scan.calls, 2U);
  EXPECT_EQ(scan.end, pickle.size());
}

TEST(PickleScan, ABrokenEndDoesNotHideWhatCameBefore) {
  const auto scan = Pickle::scan(bytes_of("cos\nsystem\n(S'id'\ntR\xff"));
  ASSERT_TRUE(scan.failure);
  EXPECT_EQ(scan.failure->rule, "PK-2");
  ASSERT_EQ(scan.events.size(), 1U);
  EXPECT_EQ(scan.events[0].global, "os.system");
}

}  // namespace
}  // namespace ferrule::format
