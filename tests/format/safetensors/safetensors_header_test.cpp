// SPDX-License-Identifier: Apache-2.0
#include "format/safetensors/safetensors_header.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <ostream>
#include <string>
#include <vector>

#include "format/safetensors_bytes.hpp"

namespace ferrule::format {
namespace {

using test::as_bytes;
using test::safetensors;

/// An entry of one F32 extent: `"name":{...}`.
std::string entry(std::string_view name, std::uint64_t begin, std::uint64_t end) {
  return "\"" + std::string(name) + "\":{\"dtype\":\"F32\",\"shape\":[" +
         std::to_string((end - begin) / 4) + "],\"data_offsets\":[" + std::to_string(begin) + "," +
         std::to_string(end) + "]}";
}

struct Refused {
  const char* name;
  std::string file;
  const char* rule;
  ErrorCode code = ErrorCode::kCorrupt;
};
void PrintTo(const Refused& row, std::ostream* out) { *out << row.name; }

class RefusedFiles : public testing::TestWithParam<Refused> {};

TEST_P(RefusedFiles, NameTheRule) {
  const auto parsed = parse_safetensors(as_bytes(GetParam().file), {});
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().rule, GetParam().rule) << parsed.error().message;
  EXPECT_EQ(parsed.error().code, GetParam().code);
  EXPECT_LT(parsed.error().message.size(), 1000U);
}

std::string one(std::string_view body, std::size_t data_bytes = 4) {
  return safetensors("{\"a\":" + std::string(body) + "}", data_bytes);
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

const Refused kContainer[] = {
    {"Empty", "", "ST-1"},
    {"SevenBytes", std::string(7, '\0'), "ST-1"},
    {"NoHeader", std::string(8, '\0'), "ST-4"},
    {"HeaderAboveFormatLimit", std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10), "ST-2"},
    {"HeaderOfAllOnes", std::string(8, '\xff') + "{}", "ST-2"},
    {"HeaderPastTheEnd", std::string("\x03\0\0\0\0\0\0\0{}", 10), "ST-3"},
};

const Refused kJson[] = {
    {"NoObject", safetensors("[]"), "ST-4"},
    {"SpaceFirst", safetensors(" {}"), "ST-4"},
    {"Unclosed", safetensors("{"), "ST-4"},
    {"TrailingText", safetensors("{}{}"), "ST-4"},
    {"TrailingNul", safetensors(std::string("{}\0", 3)), "ST-4"},
    {"EndsInADigit", safetensors("{}1"), "ST-4"},
    {"TrailingComma", safetensors("{" + entry("a", 0, 4) + ",}", 4), "ST-4"},
    {"LeadingComma", safetensors("{," + entry("a", 0, 4) + "}", 4), "ST-4"},
    {"MissingComma", safetensors("{" + entry("a", 0, 4) + entry("b", 4, 8) + "}", 8), "ST-4"},
    {"NameWithoutQuotes", safetensors("{a:1}"), "ST-4"},
    {"NameUnclosed", safetensors("{\"a}"), "ST-4"},
    {"CutAfterAName", safetensors("{\"a\" "), "ST-4"},
    {"UnknownEscape", safetensors("{\"\\q\":1}"), "ST-4"},
    {"ShortUnicodeEscape", safetensors("{\"\\u12\":1}"), "ST-4"},
    {"CommentInside", safetensors("{/**/}"), "ST-4"},
    {"TrailingCommaInShape", one("{\"dtype\":\"F32\",\"shape\":[1,],\"data_offsets\":[0,4]}"),
     "ST-8"},
    {"NoColon", one("{\"dtype\" \"F32\"}"), "ST-4"},
};

const Refused kStrings[] = {
    {"InvalidUtf8", safetensors("{" + entry("\xff", 0, 4) + "}", 4), "ST-5"},
    {"OverlongUtf8", safetensors("{" + entry("\xc0\xaf", 0, 4) + "}", 4), "ST-5"},
    {"Utf8Surrogate", safetensors("{" + entry("\xed\xa0\x80", 0, 4) + "}", 4), "ST-5"},
    {"Utf8PastUnicode", safetensors("{" + entry("\xf4\x90\x80\x80", 0, 4) + "}", 4), "ST-5"},
    {"CutUtf8", safetensors("{\"\xe2\x82\"}"), "ST-5"},
    {"ControlCharacter", safetensors("{" + entry("a\nb", 0, 4) + "}", 4), "ST-5"},
    {"LoneHighSurrogate", safetensors("{" + entry("\\ud800", 0, 4) + "}", 4), "ST-5"},
    {"LoneLowSurrogate", safetensors("{" + entry("\\udc00", 0, 4) + "}", 4), "ST-5"},
    {"HighSurrogateTwice", safetensors("{" + entry("\\ud800\\ud800", 0, 4) + "}", 4), "ST-5"},
    {"InvalidUtf8InMetadata", safetensors("{\"__metadata__\":{\"a\":\"\x80\"}}"), "ST-5"},
};

const Refused kDuplicates[] = {
    {"TensorTwice", safetensors("{" + entry("a", 0, 4) + "," + entry("a", 4, 8) + "}", 8), "ST-6"},
    {"TensorTwiceByEscape",
     safetensors("{" + entry("a", 0, 4) + "," + entry("\\u0061", 4, 8) + "}", 8), "ST-6"},
    {"TensorTwiceOutOfOrder", safetensors("{" + entry("a", 4, 8) + "," + entry("a", 0, 4) + "}", 8),
     "ST-6"},
    {"MemberTwice",
     one("{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"), "ST-6"},
    {"MetadataTwice", safetensors("{\"__metadata__\":{},\"__metadata__\":{}}"), "ST-6"},
    {"MetadataKeyTwice", safetensors("{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}"), "ST-6"},
};

const Refused kTiling[] = {
    {"Hole", safetensors("{" + entry("a", 0, 4) + "," + entry("b", 8, 12) + "}", 12), "ST-7"},
    {"HoleAtTheStart", safetensors("{" + entry("a", 4, 8) + "}", 8), "ST-7"},
    {"Overlap", safetensors("{" + entry("a", 0, 8) + "," + entry("b", 4, 12) + "}", 12), "ST-7"},
    {"SameBytesTwice", safetensors("{" + entry("a", 0, 4) + "," + entry("b", 0, 4) + "}", 4),
     "ST-7"},
    {"Tail", safetensors("{" + entry("a", 0, 4) + "}", 5), "ST-7"},
    {"TailWithoutTensors", safetensors("{}", 1), "ST-7"},
    {"Truncated", safetensors("{" + entry("a", 0, 8) + "}", 7), "ST-7"},
    {"EndsBeforeItStarts", one("{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,0]}"), "ST-7"},
    {"EmptyTensorOutside", safetensors("{" + entry("a", 0, 4) + "," + entry("b", 8, 8) + "}", 4),
     "ST-7"},
    {"EmptyTensorInsideAnother",
     safetensors("{" + entry("a", 0, 8) + "," + entry("b", 4, 4) + "}", 8), "ST-7"},
};

const Refused kNumbers[] = {
    {"NegativeExtent", one("{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}"), "ST-8"},
    {"PlusSign", one("{\"dtype\":\"F32\",\"shape\":[+1],\"data_offsets\":[0,4]}"), "ST-8"},
    {"Fraction", one("{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}"), "ST-8"},
    {"Exponent", one("{\"dtype\":\"F32\",\"shape\":[1e0],\"data_offsets\":[0,4]}"), "ST-8"},
    {"LeadingZero", one("{\"dtype\":\"F32\",\"shape\":[01],\"data_offsets\":[0,4]}"), "ST-8"},
    {"LeadingZeroOffset", one("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[00,4]}"), "ST-8"},
    {"NegativeZero", one("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-0,4]}"), "ST-8"},
    {"TwoToThe64",
     one("{\"dtype\":\"F32\",\"shape\":[0,18446744073709551616],\"data_offsets\":[0,0]}", 0),
     "ST-8"},
    {"TwentyOneDigits",
     one("{\"dtype\":\"F32\",\"shape\":[0,100000000000000000000],\"data_offsets\":[0,0]}", 0),
     "ST-8"},
    {"String", one("{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}"), "ST-8"},
    {"Null", one("{\"dtype\":\"F32\",\"shape\":[null],\"data_offsets\":[0,4]}"), "ST-8"},
    {"Bool", one("{\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,4]}"), "ST-8"},
    {"Nested", one("{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}"), "ST-8"},
};

const Refused kSizes[] = {
    {"ProductWraps",
     one("{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}", 0),
     "ST-9"},
    {"BitsWrap",
     one("{\"dtype\":\"F32\",\"shape\":[576460752303423488],\"data_offsets\":[0,0]}", 0), "ST-9"},
    {"HugeTimesHugeTimesZero",
     one("{\"dtype\":\"U8\",\"shape\":[1152921504606846976,1152921504606846976,0],"
         "\"data_offsets\":[0,0]}",
         0),
     "ST-9"},
    {"TooFewBytes", one("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}"), "ST-10"},
    {"TooManyBytes", one("{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,4]}"), "ST-10"},
    {"ScalarOfNoBytes", one("{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,0]}", 0), "ST-10"},
    {"HalfAByteOfF4", one("{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,1]}", 1), "ST-11"},
    {"F6NotOnAByte", one("{\"dtype\":\"F6_E2M3\",\"shape\":[3],\"data_offsets\":[0,3]}", 3),
     "ST-11"},
};

const Refused kEntries[] = {
    {"EntryIsNull", one("null", 0), "ST-12"},
    {"EntryIsArray", one("[\"F32\",[1],[0,4]]"), "ST-12"},
    {"DeepArray", one(nested(100000), 0), "ST-12"},
    {"NoDtype", one("{\"shape\":[1],\"data_offsets\":[0,4]}"), "ST-12"},
    {"NoShape", one("{\"dtype\":\"F32\",\"data_offsets\":[0,4]}"), "ST-12"},
    {"NoOffsets", one("{\"dtype\":\"F32\",\"shape\":[1]}"), "ST-12"},
    {"NoMembers", one("{}"), "ST-12"},
    {"FourthMember", one("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}"),
     "ST-12"},
    {"MemberInOtherCase", one("{\"Dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"), "ST-12"},
    {"OneOffset", one("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}"), "ST-12"},
    {"ThreeOffsets", one("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}"), "ST-12"},
    {"ShapeIsNumber", one("{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}"), "ST-12"},
    {"UnknownDtype", one("{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}"), "ST-13"},
    {"DtypeInLowerCase", one("{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}"), "ST-13"},
    {"DtypeIsObject", one("{\"dtype\":{\"F32\":null},\"shape\":[1],\"data_offsets\":[0,4]}"),
     "ST-13"},
    {"MetadataIsTrue", safetensors("{\"__metadata__\":true}"), "ST-14"},
    {"MetadataIsNullTwice", safetensors("{\"__metadata__\":null,\"__metadata__\":null}"), "ST-6"},
    {"MetadataIsNullAndMore", safetensors("{\"__metadata__\":nullx}"), "ST-4"},
    {"MetadataIsArray", safetensors("{\"__metadata__\":[]}"), "ST-14"},
    {"MetadataOfNumbers", safetensors("{\"__metadata__\":{\"a\":1}}"), "ST-14"},
    {"MetadataNested", safetensors("{\"__metadata__\":{\"a\":{}}}"), "ST-14"},
};

std::string row_name(const testing::TestParamInfo<Refused>& row) { return row.param.name; }

INSTANTIATE_TEST_SUITE_P(Container, RefusedFiles, testing::ValuesIn(kContainer), row_name);
INSTANTIATE_TEST_SUITE_P(Json, RefusedFiles, testing::ValuesIn(kJson), row_name);
INSTANTIATE_TEST_SUITE_P(Strings, RefusedFiles, testing::ValuesIn(kStrings), row_name);
INSTANTIATE_TEST_SUITE_P(Duplicates, RefusedFiles, testing::ValuesIn(kDuplicates), row_name);
INSTANTIATE_TEST_SUITE_P(Tiling, RefusedFiles, testing::ValuesIn(kTiling), row_name);
INSTANTIATE_TEST_SUITE_P(Numbers, RefusedFiles, testing::ValuesIn(kNumbers), row_name);
INSTANTIATE_TEST_SUITE_P(Sizes, RefusedFiles, testing::ValuesIn(kSizes), row_name);
INSTANTIATE_TEST_SUITE_P(Entries, RefusedFiles, testing::ValuesIn(kEntries), row_name);

struct Accepted {
  const char* name;
  std::string file;
  std::vector<std::string> tensors;
};
void PrintTo(const Accepted& row, std::ostream* out) { *out << row.name; }

class AcceptedFiles : public testing::TestWithParam<Accepted> {};

TEST_P(AcceptedFiles, ListTensorsInDataOrder) {
  const auto parsed = parse_safetensors(as_bytes(GetParam().file), {});
  ASSERT_TRUE(parsed.has_value()) << parsed.error().to_string();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parsed->tensors) names.emplace_back(name);
  EXPECT_EQ(names, GetParam().tensors);
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(parsed->index.find(parsed->tensors, names[i]), i);
  }
  EXPECT_EQ(parsed->index.find(parsed->tensors, "no such tensor"), std::nullopt);
}

const Accepted kAccepted[] = {
    {"NoTensors", safetensors("{}"), {}},
    {"OnlyMetadata", safetensors("{\"__metadata__\":{}}"), {}},
    {"MetadataIsNull", safetensors("{\"__metadata__\":null}"), {}},
    // As MLX writes it: null for no metadata, no padding, so that the data starts at any byte.
    {"MetadataIsNullAndDataUnaligned",
     safetensors("{\"__metadata__\":null," + entry("ab", 0, 4) + "}", 4),
     {"ab"}},
    {"Padded", safetensors("{" + entry("a", 0, 4) + "}     ", 4), {"a"}},
    {"WhiteSpaceEverywhere",
     safetensors("{ \"a\"\n:\t{ \"dtype\" : \"F32\" ,\r\"shape\" : [ 1 ] , \"data_offsets\" : [ 0 "
                 ", 4 ] } }\n",
                 4),
     {"a"}},
    {"MembersInOtherOrder", one("{\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\"}"), {"a"}},
    {"MemberNamesWithEscapes",
     one("{\"\\u0064type\":\"\\u004632\",\"shape\":[1],\"data_offsets\":[0,4]}"),
     {"a"}},
    {"EntriesInOtherOrder",
     safetensors("{" + entry("b", 4, 8) + "," + entry("a", 0, 4) + "}", 8),
     {"a", "b"}},
    {"MetadataLast",
     safetensors("{" + entry("a", 0, 4) + ",\"__metadata__\":{\"format\":\"pt\"}}", 4),
     {"a"}},
    {"EmptyName", safetensors("{" + entry("", 0, 4) + "}", 4), {""}},
    {"EscapedNames",
     safetensors("{" + entry("\\\"\\\\\\/\\b\\f\\n\\r\\t", 0, 4) + "," +
                     entry("\\u00e9\\ud83d\\ude00", 4, 8) + "," + entry("\xc3\xa9", 8, 12) + "}",
                 12),
     {"\"\\/\b\f\n\r\t", "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9"}},
    {"NulInName", safetensors("{" + entry("a\\u0000b", 0, 4) + "}", 4), {std::string("a\0b", 3)}},
    {"EmptyTensorsAnywhere",
     safetensors("{" + entry("z", 8, 8) + "," + entry("a", 0, 8) + "," + entry("e", 0, 0) + "}", 8),
     {"e", "a", "z"}},
    {"Scalar", one("{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}"), {"a"}},
    {"HugeTimesZero",
     one("{\"dtype\":\"F32\",\"shape\":[1152921504606846976,0],\"data_offsets\":[0,0]}", 0),
     {"a"}},
    {"LargestExtent",
     one("{\"dtype\":\"F32\",\"shape\":[0,18446744073709551615],\"data_offsets\":[0,0]}", 0),
     {"a"}},
    {"F4EndsOnAByte", one("{\"dtype\":\"F4\",\"shape\":[2,4],\"data_offsets\":[0,4]}"), {"a"}},
    {"F6EndsOnAByte",
     one("{\"dtype\":\"F6_E3M2\",\"shape\":[4],\"data_offsets\":[0,3]}", 3),
     {"a"}},
};

INSTANTIATE_TEST_SUITE_P(SafetensorsHeader, AcceptedFiles, testing::ValuesIn(kAccepted),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(SafetensorsHeader, GivesDtypeShapeBytesAndMetadata) {
  std::string file = safetensors(
      "{\"__metadata__\":{\"format\":\"pt\",\"k\\n\":\"v\\u0041\"},\"w\":{\"dtype\":\"BF16\","
      "\"shape\":[2,3],\"data_offsets\":[0,12]}}",
      12);
  file.back() = 'x';
  const auto parsed = parse_safetensors(as_bytes(file), {});
  ASSERT_TRUE(parsed.has_value()) << parsed.error().to_string();
  ASSERT_EQ(parsed->tensors.size(), 1U);
  const TensorView& tensor = parsed->tensors[0].tensor;
  EXPECT_EQ(tensor.dtype(), Dtype::kBF16);
  EXPECT_EQ(std::vector<std::uint64_t>(tensor.shape().begin(), tensor.shape().end()),
            (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(tensor.bytes().size(), 12U);
  EXPECT_EQ(tensor.bytes().back(), std::byte{'x'});
  EXPECT_EQ(parsed->metadata, (StringPairs{{"format", "pt"}, {"k\n", "vA"}}));
  EXPECT_EQ(static_cast<const void*>(tensor.bytes().data() + 12), file.data() + file.size());
}

TEST(SafetensorsHeader, NullMetadataIsNoMetadata) {
  const auto parsed = parse_safetensors(as_bytes(safetensors("{\"__metadata__\":null}")), {});
  ASSERT_TRUE(parsed.has_value()) << parsed.error().to_string();
  EXPECT_FALSE(parsed->has_metadata);
  const auto empty = parse_safetensors(as_bytes(safetensors("{\"__metadata__\":{}}")), {});
  ASSERT_TRUE(empty.has_value()) << empty.error().to_string();
  EXPECT_TRUE(empty->has_metadata);
}

TEST(SafetensorsHeader, LimitsInForceAreLimitExceeded) {
  const std::string file = safetensors("{" + entry("a", 0, 4) + "," + entry("b", 4, 8) + "}", 8);
  const auto header = parse_safetensors(as_bytes(file), {.header_bytes = 10});
  ASSERT_FALSE(header.has_value());
  EXPECT_EQ(header.error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(header.error().rule, "ST-2");
  const auto tensors = parse_safetensors(as_bytes(file), {.tensors = 1});
  ASSERT_FALSE(tensors.has_value());
  EXPECT_EQ(tensors.error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(tensors.error().rule, "ST-15");
  const std::string pairs = safetensors("{\"__metadata__\":{\"a\":\"\",\"b\":\"\"}}");
  const auto metadata = parse_safetensors(as_bytes(pairs), {.tensors = 1});
  ASSERT_FALSE(metadata.has_value());
  EXPECT_EQ(metadata.error().rule, "ST-15");
}

TEST(SafetensorsHeader, MessagesQuoteHostileNames) {
  const std::string file = safetensors("{" + entry("\\u001b[2J\\u202e", 4, 8) + "}", 8);
  const auto parsed = parse_safetensors(as_bytes(file), {});
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().message.find('\x1b'), std::string::npos);
  EXPECT_EQ(parsed.error().message.find("\xe2\x80\xae"), std::string::npos);
}

/// A header that every path of the parser sees: canonical and free entries, escapes, metadata.
std::string good_file() {
  return safetensors("{\"__metadata__\":{\"format\":\"pt\",\"\\u00e9\":\"\\n\"}," +
                         entry("first.weight", 0, 8) + "," + entry("\xc3\xa9\\n", 8, 8) +
                         ",\"c\": {\"shape\":[2,1],\"dtype\":\"F16\",\"data_offsets\":[8, 12]}," +
                         entry("last", 12, 16) + "}   ",
                     16);
}

/// What parse_safetensors() promises of a header it accepted.
void check_invariants(const SafetensorsHeader& header, std::string_view file) {
  std::uint64_t covered = 8 + *header_length(as_bytes(file), file.size(), {});
  for (std::size_t i = 0; i < header.tensors.size(); ++i) {
    const auto& [name, tensor] = header.tensors[i];
    ASSERT_EQ(header.index.find(header.tensors, name), i);
    ASSERT_EQ(byte_size(tensor.dtype(), tensor.shape()), tensor.bytes().size());
    ASSERT_EQ(static_cast<const void*>(tensor.bytes().data()), file.data() + covered);
    covered += tensor.bytes().size();
  }
  ASSERT_EQ(covered, file.size());
}

TEST(SafetensorsHeader, EveryPrefixIsRefused) {
  const std::string file = good_file();
  ASSERT_TRUE(parse_safetensors(as_bytes(file), {}).has_value());
  for (std::size_t size = 0; size < file.size(); ++size) {
    // A copy of its own, so that a read past the end is one past an allocation.
    const std::vector<char> prefix(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    const auto parsed = parse_safetensors(as_bytes({prefix.data(), prefix.size()}), {});
    ASSERT_FALSE(parsed.has_value()) << size;
    ASSERT_FALSE(parsed.error().rule.empty()) << size;
  }
}

TEST(SafetensorsHeader, EveryFlippedByteIsRefusedOrKeepsTheInvariants) {
  const std::string good = good_file();
  const std::size_t header_end = good.size() - 16;
  for (std::size_t at = 0; at < header_end; ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      std::string file = good;
      file[at] = static_cast<char>(static_cast<unsigned char>(file[at]) ^ flip);
      const auto parsed = parse_safetensors(as_bytes(file), {});
      if (parsed) {
        check_invariants(*parsed, file);
      } else {
        ASSERT_FALSE(parsed.error().rule.empty());
      }
    }
  }
}

TEST(SafetensorsHeader, HeadersCutInsideTheFileAreNeverReadPast) {
  // The length field shortened: the rest of the JSON becomes data right behind the header.
  const std::string good = good_file();
  const std::size_t header = good.size() - 16 - 8;
  for (std::size_t length = 0; length < header; ++length) {
    std::string file = good;
    for (std::size_t i = 0, rest = length; i < 8; ++i, rest >>= 8) {
      file[i] = static_cast<char>(rest & 0xff);
    }
    const auto parsed = parse_safetensors(as_bytes(file), {});
    if (parsed) check_invariants(*parsed, file);
  }
}

}  // namespace
}  // namespace ferrule::format
