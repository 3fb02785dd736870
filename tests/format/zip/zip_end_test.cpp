// SPDX-License-Identifier: Apache-2.0
#include "format/zip/zip_end.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "format/zip/zip_bytes.hpp"

namespace ferrule::format {
namespace {

using std::string_view_literals::operator""sv;
using test::kZip;
using test::patched;

Result<ZipDirectoryPlace> found(std::string_view zip, ZipProfile profile = ZipProfile::kTorch,
                                const ReadLimits& limits = {}) {
  return find_zip_directory(MemorySource(test::bytes_of(zip)), profile, limits);
}

struct Good {
  const char* name;
  std::string zip;
  ZipDirectoryPlace place;
};
void PrintTo(const Good& row, std::ostream* out) { *out << row.name; }

class ZipEnds : public testing::TestWithParam<Good> {};

TEST_P(ZipEnds, TellWhereTheDirectoryIs) {
  const auto place = found(GetParam().zip);
  ASSERT_TRUE(place) << place.error().to_string();
  EXPECT_EQ(place->offset, GetParam().place.offset);
  EXPECT_EQ(place->bytes, GetParam().place.bytes);
  EXPECT_EQ(place->entries, GetParam().place.entries);
}

const ZipDirectoryPlace kPlace{.offset = 77, .bytes = 98, .entries = 2};
constexpr std::string_view kOnes = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv;

INSTANTIATE_TEST_SUITE_P(ZipEnd, ZipEnds,
                         testing::ValuesIn(std::vector<Good>{
                             {"Plain", std::string(kZip), kPlace},
                             {"Zip64ThatRepeatsTheFields", test::zip64(), kPlace},
                             {"Zip64WithAllOnes", patched(test::zip64(), 251 + 8, kOnes), kPlace},
                             {"NoEntry", "PK\5\6" + std::string(18, '\0'), {}}}),
                         [](const testing::TestParamInfo<Good>& row) {
                           return std::string(row.param.name);
                         });

struct Bad {
  const char* name;
  std::string zip;
  const char* rule;
  ErrorCode code = ErrorCode::kCorrupt;
};
void PrintTo(const Bad& row, std::ostream* out) { *out << row.name; }

class BrokenZipEnds : public testing::TestWithParam<Bad> {};

TEST_P(BrokenZipEnds, NameTheRule) {
  const auto place = found(GetParam().zip);
  ASSERT_FALSE(place);
  EXPECT_EQ(place.error().rule, GetParam().rule) << place.error().message;
  EXPECT_EQ(place.error().code, GetParam().code) << place.error().message;
}

constexpr auto kParts = ErrorCode::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    ZipEnd, BrokenZipEnds,
    testing::ValuesIn(std::vector<Bad>{
        {"Empty", "", "TZ-1"},
        {"OneByteShort", std::string(kZip.substr(0, 196)), "TZ-1"},
        {"NoSignature", std::string(100, 'x'), "TZ-1"},
        {"ByteBehindTheEnd", std::string(kZip) + "x", "TZ-1"},
        {"CommentLongerThanTheFile", patched(std::string(kZip), 195, "\1"), "TZ-1"},
        {"TorchWritesNoComment", patched(std::string(kZip), 195, "\1") + "c", "TZ-1"},
        {"EntriesAllOnesWithoutZip64", patched(std::string(kZip), 183, "\xff\xff\xff\xff"), "TZ-2"},
        {"OffsetAllOnesWithoutZip64", patched(std::string(kZip), 191, "\xff\xff\xff\xff"), "TZ-2"},
        {"LocatorPointsElsewhere", patched(test::zip64(), 239, "\xae"), "TZ-2"},
        {"LocatorPointsFarAway", patched(test::zip64(), 239, kOnes.substr(0, 8)), "TZ-2"},
        {"Zip64RecordWithoutSignature", patched(test::zip64(), 175, "X"), "TZ-2"},
        {"Zip64RecordOfAnotherSize", patched(test::zip64(), 179, "\x2d"), "TZ-2"},
        {"EndRecordsDisagreeAboutEntries", patched(patched(test::zip64(), 199, "\1"), 207, "\1"),
         "TZ-2"},
        {"EndRecordsDisagreeAboutTheOffset", patched(test::zip64(), 223, "\x4c"), "TZ-2"},
        {"SecondDisk", patched(std::string(kZip), 179, "\1"), "TZ-3", kParts},
        {"DirectoryOnAnotherDisk", patched(std::string(kZip), 181, "\1"), "TZ-3", kParts},
        {"EntriesOnOtherDisks", patched(std::string(kZip), 183, "\1"), "TZ-3", kParts},
        {"Zip64OfTwoDisks", patched(test::zip64(), 247, "\2"), "TZ-3", kParts},
        {"DirectoryEndsTooEarly", patched(std::string(kZip), 187, "\x61"), "TZ-4"},
        {"DirectoryStartsTooEarly", patched(std::string(kZip), 191, "\x4c"), "TZ-4"},
        {"DirectoryBehindTheFile", patched(std::string(kZip), 191, "\0\0\0\x7f"sv), "TZ-4"},
        {"MoreEntriesThanRoom", patched(std::string(kZip), 183, "\3\0\3\0"sv), "TZ-4"},
        {"SizeBeyondTheLimit", patched(std::string(kZip), 187, "\0\0\0\x7f"sv), "TZ-5",
         ErrorCode::kLimitExceeded}}),
    [](const testing::TestParamInfo<Bad>& row) { return std::string(row.param.name); });

TEST(ZipEnd, AnyOtherArchiveMayHaveAComment) {
  const auto place = found(patched(std::string(kZip), 195, "\7") + "comment", ZipProfile::kAny);
  ASSERT_TRUE(place) << place.error().to_string();
  EXPECT_EQ(place->offset, 77U);
}

TEST(ZipEnd, TheLongestCommentIsSearched) {
  const auto zip = patched(std::string(kZip), 195, "\xff\xff");
  EXPECT_TRUE(found(zip + std::string(65535, 'c'), ZipProfile::kAny));
  EXPECT_FALSE(found(zip + std::string(65536, 'c'), ZipProfile::kAny));
}

// Other readers search from the end as well: whatever they would find must count here too.
TEST(ZipEnd, ASignatureInTheCommentCountsAsTheLast) {
  const auto zip = patched(std::string(kZip), 195, "\x16") + "PK\5\6" + std::string(18, '\0');
  EXPECT_EQ(found(zip, ZipProfile::kAny).error().rule, "TZ-4");
}

TEST(ZipEnd, LimitsCountEntriesAndBytes) {
  EXPECT_EQ(found(kZip, ZipProfile::kTorch, {.tensors = 1}).error().rule, "TZ-5");
  EXPECT_EQ(found(kZip, ZipProfile::kTorch, {.header_bytes = 97}).error().rule, "TZ-5");
  EXPECT_TRUE(found(kZip, ZipProfile::kTorch, {.header_bytes = 98, .tensors = 2}));
}

}  // namespace
}  // namespace ferrule::format
