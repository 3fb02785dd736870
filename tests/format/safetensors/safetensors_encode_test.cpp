// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/safetensors/safetensors_header.hpp"

namespace ferrule::format {
namespace {

using std::string_literals::operator""s;
using Shape = std::vector<std::uint64_t>;

Result<EncodedHeader> encoded(const std::vector<HeaderEntry>& entries,
                              const StringPairs& metadata = {}, bool keep_empty = false) {
  return encode_safetensors_header(entries, metadata, keep_empty);
}

/// The JSON of `header`, without the length before it.
std::string json(const Result<EncodedHeader>& header) { return header.value().bytes.substr(8); }

// What `safetensors.serialize` (0.8) writes for the same tensors.
TEST(SafetensorsEncode, WritesTheBytesOfTheReference) {
  const Shape shape = {2};
  const Shape scalar = {};
  const auto header =
      encoded({{"b", Dtype::kF32, shape}, {"a", Dtype::kF32, scalar}}, {{"format", "pt"}});
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_EQ(header->bytes,
            "\x90\0\0\0\0\0\0\0"s
            R"({"__metadata__":{"format":"pt"},)"
            R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
            R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})"
            "      ");
  EXPECT_EQ(header->data_bytes, 12U);
  EXPECT_EQ(header->order, (std::vector<std::size_t>{1, 0}));
}

TEST(SafetensorsEncode, NoTensorGivesAnEmptyObjectOfEightBytes) {
  EXPECT_EQ(encoded({}).value().bytes, "\x08\0\0\0\0\0\0\0{}      "s);
}

TEST(SafetensorsEncode, EmptyMetadataAreWrittenOnRequestOnly) {
  EXPECT_EQ(json(encoded({}, {}, true)), R"({"__metadata__":{}}     )");
  EXPECT_EQ(json(encoded({}, {{"", ""}}, false)), R"({"__metadata__":{"":""}})");
}

TEST(SafetensorsEncode, SortsByDescendingDtypeThenByNameBytes) {
  const Shape shape = {8};
  const auto header = encoded({{"z", Dtype::kU8, shape},
                               {"b", Dtype::kF16, shape},
                               {"B", Dtype::kF16, shape},
                               {"a10", Dtype::kF32, shape},
                               {"a2", Dtype::kF32, shape},
                               {"y", Dtype::kI64, shape},
                               {"x", Dtype::kBF16, shape}});
  // I64, F32 (a10, a2), BF16, F16 (B, b), U8
  EXPECT_EQ(header.value().order, (std::vector<std::size_t>{5, 3, 4, 6, 2, 1, 0}));
}

TEST(SafetensorsEncode, EscapesAsSerdeDoes) {
  const auto text = json(encoded({}, {{"k", "\"\\/\b\f\n\r\t\x01\x1f\x7f\u00e9\U0001f917"}}));
  EXPECT_EQ(
      text.substr(0, text.find_last_not_of(' ') + 1),
      "{\"__metadata__\":{\"k\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\u00e9\U0001f917\"}}");
}

TEST(SafetensorsEncode, PadsToEightBytesWithSpaces) {
  for (std::size_t length = 1; length < 18; ++length) {
    const auto header = encoded({}, {{std::string(length, 'k'), ""}}).value().bytes;
    EXPECT_EQ(header.size() % 8, 0U) << length;
    EXPECT_EQ(static_cast<std::size_t>(static_cast<unsigned char>(header[0])), header.size() - 8);
    EXPECT_LT(header.size() - header.find_last_not_of(' ') - 1, 8U) << length;
  }
}

struct Refusal {
  const char* what;
  std::vector<HeaderEntry> entries;
  StringPairs metadata;
  const char* rule;
};

TEST(SafetensorsEncode, RefusesWhatNoReaderWouldTake) {
  const Shape one = {1};
  const Shape huge = {1ULL << 60};
  const Shape wrapping = {1ULL << 32, 1ULL << 32};
  const Refusal rows[] = {
      {"two names",
       {{"a", Dtype::kU8, one}, {"b", Dtype::kU8, one}, {"a", Dtype::kF32, one}},
       {},
       "ST-6"},
      {"reserved name", {{"__metadata__", Dtype::kU8, one}}, {}, "ST-17"},
      {"name is not UTF-8", {{"\xff", Dtype::kU8, one}}, {}, "ST-5"},
      {"key is not UTF-8", {}, {{"\xff", ""}}, "ST-5"},
      {"value is not UTF-8", {}, {{"k", "\xc0\x80"}}, "ST-5"},
      {"half a byte", {{"a", Dtype::kF4, one}}, {}, "ST-9"},
      {"size beyond 64 bits", {{"a", Dtype::kU8, wrapping}}, {}, "ST-9"},
      {"sum beyond 64 bits",
       {{"a", Dtype::kU8, huge},
        {"b", Dtype::kU8, huge},
        {"c", Dtype::kU8, huge},
        {"d", Dtype::kU8, huge},
        {"e", Dtype::kU8, huge},
        {"f", Dtype::kU8, huge},
        {"g", Dtype::kU8, huge},
        {"h", Dtype::kU8, huge},
        {"i", Dtype::kU8, huge},
        {"j", Dtype::kU8, huge},
        {"k", Dtype::kU8, huge},
        {"l", Dtype::kU8, huge},
        {"m", Dtype::kU8, huge},
        {"n", Dtype::kU8, huge},
        {"o", Dtype::kU8, huge},
        {"p", Dtype::kU8, huge}},
       {},
       "ST-9"},
  };
  for (const auto& row : rows) {
    const auto header = encoded(row.entries, row.metadata);
    ASSERT_FALSE(header) << row.what;
    EXPECT_EQ(header.error().code, ErrorCode::kInvalidArgument) << row.what;
    EXPECT_EQ(header.error().rule, row.rule) << row.what;
  }
}

TEST(SafetensorsEncode, AHeaderBeyondTheFormatsLimitIsRefused) {
  const auto header = encoded({}, {{"k", std::string(100'000'000, 'x')}});
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(header.error().rule, "ST-2");
}

}  // namespace
}  // namespace ferrule::format
