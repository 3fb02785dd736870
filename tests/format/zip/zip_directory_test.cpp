// SPDX-License-Identifier: Apache-2.0
#include "format/zip/zip_directory.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "format/byte_source.hpp"
#include "format/zip/zip_bytes.hpp"

namespace ferrule::format {
namespace {

using std::string_view_literals::operator""sv;
using test::kZip;
using test::patched;

Result<std::vector<ZipEntry>> read(std::string_view zip, ZipProfile profile = ZipProfile::kTorch) {
  return read_zip_directory(MemorySource(test::bytes_of(zip)), profile, ReadLimits{});
}

TEST(ZipDirectory, ListsWhatPythonsZipfileWrote) {
  const auto entries = read(kZip);
  ASSERT_TRUE(entries) << entries.error().to_string();
  ASSERT_EQ(entries->size(), 2U);
  const auto& first = entries->front();
  EXPECT_EQ(first.name, "m/a");
  EXPECT_EQ(first.header_offset, 0U);
  EXPECT_EQ(first.data_offset, 33U);
  EXPECT_EQ(first.bytes, 5U);
  EXPECT_EQ(first.packed_bytes, 5U);
  EXPECT_EQ(first.crc32, 0x3610a686U);
  EXPECT_TRUE(first.is_stored());
  EXPECT_FALSE(first.is_directory());
  EXPECT_EQ(entries->back().name, "m/b");
  EXPECT_EQ(entries->back().data_offset, 71U);
}

TEST(ZipDirectory, ListsEntriesInTheOrderOfTheirData) {
  std::string zip(kZip);
  const auto directory = zip.substr(126, 49) + zip.substr(77, 49);
  const auto entries = read(patched(zip, 77, directory));
  ASSERT_TRUE(entries) << entries.error().to_string();
  EXPECT_EQ(entries->front().name, "m/a");
}

TEST(ZipDirectory, AnEmptyArchiveHasNoEntry) {
  const auto entries = read("PK\5\6" + std::string(18, '\0'));
  ASSERT_TRUE(entries);
  EXPECT_TRUE(entries->empty());
}

/// The archive with `bytes` written over it at each of `offsets`.
struct Patch {
  const char* name;
  std::vector<std::size_t> offsets;
  std::string_view bytes;
  const char* rule;
  ErrorCode code = ErrorCode::kCorrupt;
};
void PrintTo(const Patch& row, std::ostream* out) { *out << row.name; }

class BrokenZips : public testing::TestWithParam<Patch> {};

TEST_P(BrokenZips, NameTheRule) {
  std::string zip(kZip);
  for (const auto offset : GetParam().offsets) zip = patched(zip, offset, GetParam().bytes);
  const auto entries = read(zip);
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().rule, GetParam().rule) << entries.error().message;
  EXPECT_EQ(entries.error().code, GetParam().code) << entries.error().message;
}

constexpr auto kOther = ErrorCode::kUnsupported;

// Offsets of fields: APPNOTE 4.3.7 for the local header (at 0 and 38), 4.3.12 for the central
// entry (at 77 and 126).
INSTANTIATE_TEST_SUITE_P(Directory, BrokenZips,
                         testing::ValuesIn(std::vector<Patch>{
                             {"CentralSignature", {77}, "X", "TZ-4"},
                             {"NameRunsOverTheEnd", {154}, "\4", "TZ-4"},
                             {"CommentRunsOverTheEnd", {158}, "\1", "TZ-4"},
                             {"EntryOnAnotherDisk", {111}, "\1", "TZ-3", kOther},
                         }),
                         [](const testing::TestParamInfo<Patch>& row) {
                           return std::string(row.param.name);
                         });

INSTANTIATE_TEST_SUITE_P(
    Headers, BrokenZips,
    testing::ValuesIn(std::vector<Patch>{
        {"LocalSignature", {38}, "X", "TZ-6"},
        {"LocalName", {30}, "n", "TZ-6"},
        {"LocalNameLength", {26}, "\4", "TZ-6"},
        {"LocalMethod", {8}, "\x08", "TZ-6"},
        {"LocalFlags", {6}, "\x08", "TZ-6"},
        {"LocalChecksum", {14}, "\0"sv, "TZ-6"},
        {"LocalSize", {22}, "\6", "TZ-6"},
        {"OffsetBehindTheDirectory", {168}, "\x4d", "TZ-6"},
        {"OffsetFarBehindTheFile", {168}, "\0\0\0\x7f"sv, "TZ-6"},
        {"DataRunIntoTheDirectory", {38 + 18, 38 + 22, 126 + 20, 126 + 24}, "\7", "TZ-6"},
        {"SizeOfAllOnesWithoutZip64", {77 + 24}, "\xff\xff\xff\xff", "TZ-6"},
        {"DescriptorThatIsNotThere", {6, 77 + 8}, "\x08", "TZ-6"},
    }),
    [](const testing::TestParamInfo<Patch>& row) { return std::string(row.param.name); });

INSTANTIATE_TEST_SUITE_P(Methods, BrokenZips,
                         testing::ValuesIn(std::vector<Patch>{
                             {"Deflated", {8, 77 + 10}, "\x08", "TZ-7", kOther},
                             {"Zstandard", {8, 77 + 10}, "\x5d", "TZ-7", kOther},
                             {"Encrypted", {6, 77 + 8}, "\x01", "TZ-7", kOther},
                             {"StrongEncryption", {6, 77 + 8}, "\x40", "TZ-7", kOther},
                             {"MaskedHeaders", {6, 77 + 8}, "\0\x20"sv, "TZ-7", kOther},
                             {"StoredWithTwoSizes", {77 + 24}, "\6", "TZ-7"},
                         }),
                         [](const testing::TestParamInfo<Patch>& row) {
                           return std::string(row.param.name);
                         });

INSTANTIATE_TEST_SUITE_P(
    Places, BrokenZips,
    testing::ValuesIn(std::vector<Patch>{
        {"SameDataTwice", {168}, "\0"sv, "TZ-8"},
        {"GapAfterTheFirst", {18, 22, 77 + 20, 77 + 24}, "\4", "TZ-8"},
        {"GapBeforeTheDirectory", {38 + 18, 38 + 22, 126 + 20, 126 + 24}, "\5", "TZ-8"},
    }),
    [](const testing::TestParamInfo<Patch>& row) { return std::string(row.param.name); });

INSTANTIATE_TEST_SUITE_P(Names, BrokenZips,
                         testing::ValuesIn(std::vector<Patch>{
                             {"Twice", {68, 172}, "m/a", "TZ-9"},
                             {"TwiceInAnotherCase", {68, 172}, "M/A", "TZ-9"},
                             {"Absolute", {30, 123}, "/ab", "TZ-9"},
                             {"Upward", {30, 123}, "../", "TZ-9"},
                             {"UpwardAtTheEnd", {30, 123}, "/..", "TZ-9"},
                             {"Dot", {30, 123}, "a/.", "TZ-9"},
                             {"EmptyPart", {30, 123}, "a//", "TZ-9"},
                             {"Backslash", {30, 123}, "m\\a", "TZ-9"},
                             {"Nul", {30, 123}, "m\0a"sv, "TZ-9"},
                             {"Newline", {30, 123}, "m\na", "TZ-9"},
                             {"Delete", {30, 123}, "m\x7fz", "TZ-9"},
                             {"NotUtf8", {30, 123}, "m/\xe4", "TZ-9"},
                             {"FolderWithContent", {30, 123}, "ma/", "TZ-9"},
                         }),
                         [](const testing::TestParamInfo<Patch>& row) {
                           return std::string(row.param.name);
                         });

TEST(ZipDirectory, EveryPrefixIsRefused) {
  for (std::size_t size = 0; size < kZip.size(); ++size) {
    EXPECT_FALSE(read(kZip.substr(0, size))) << size;
    EXPECT_FALSE(read(kZip.substr(0, size), ZipProfile::kAny)) << size;
  }
}

TEST(ZipDirectory, ContentNeverDecides) {
  auto zip = patched(std::string(kZip), 33, "PK\1\2x");
  EXPECT_TRUE(read(zip));
}

/// The archive with `extra` in the central entry of m/b, whose end record says so.
std::string with_extra(std::string_view extra) {
  std::string zip(kZip);
  zip[156] = static_cast<char>(extra.size());
  zip[187] = static_cast<char>(98 + extra.size());
  return zip.insert(175, extra);
}

TEST(ZipDirectory, ExtraFieldsFillTheirRoom) {
  EXPECT_TRUE(read(with_extra("\x34\x12\2\0ab"sv)));
  EXPECT_EQ(read(with_extra("\x34\x12\3\0ab"sv)).error().rule, "TZ-6");
  EXPECT_EQ(read(with_extra("\x34\x12\1\0ab"sv)).error().rule, "TZ-6");
  EXPECT_EQ(read(with_extra("\x34\x12\0"sv)).error().rule, "TZ-6");
}

TEST(ZipDirectory, AZip64FieldWidensWhatIsAllOnes) {
  auto zip = with_extra("\1\0\x08\0\6\0\0\0\0\0\0\0"sv);
  zip = patched(zip, 126 + 24, "\xff\xff\xff\xff");
  const auto entries = read(zip);
  ASSERT_TRUE(entries) << entries.error().to_string();
  EXPECT_EQ(entries->back().bytes, 6U);
  EXPECT_EQ(
      read(patched(with_extra("\1\0\4\0\6\0\0\0"sv), 126 + 24, "\xff\xff\xff\xff")).error().rule,
      "TZ-6");
  EXPECT_EQ(read(with_extra("\1\0\0\0\1\0\0\0"sv)).error().rule, "TZ-6");
}

TEST(ZipDirectory, ASecondNameInAnExtraFieldIsRefused) {
  EXPECT_EQ(read(with_extra("\x75\x70\0\0"sv)).error().rule, "TZ-9");
}

/// The archive whose entry m/b defers its sizes to `descriptor`, as a program does that writes to
/// a pipe.
std::string with_descriptor(std::string_view descriptor) {
  auto zip = patched(std::string(kZip), 38 + 6, "\x08");
  zip = patched(zip, 38 + 14, std::string(12, '\0'));
  zip = patched(zip, 126 + 8, "\x08");
  zip[191] = static_cast<char>(77 + descriptor.size());
  return zip.insert(77, descriptor);
}

TEST(ZipDirectory, ADataDescriptorAgreesInEitherWidth) {
  EXPECT_TRUE(read(with_descriptor("PK\x07\x08\xe8\x98\x84q\6\0\0\0\6\0\0\0"sv)));
  EXPECT_TRUE(read(with_descriptor("PK\x07\x08\xe8\x98\x84q\6\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0"sv)));
  EXPECT_EQ(read(with_descriptor("PK\x07\x08\xe8\x98\x84q\5\0\0\0\5\0\0\0"sv)).error().rule,
            "TZ-6");
  EXPECT_EQ(read(with_descriptor("PK\x07\x08\0\0\0\0\6\0\0\0\6\0\0\0"sv)).error().rule, "TZ-6");
}

TEST(ZipDirectory, OtherArchivesMayHaveGapsAndDeflatedEntries) {
  const auto gap =
      patched(patched(patched(patched(std::string(kZip), 18, "\4"), 22, "\4"), 77 + 20, "\4"),
              77 + 24, "\4");
  EXPECT_TRUE(read(gap, ZipProfile::kAny));
  const auto deflated = patched(patched(std::string(kZip), 8, "\x08"), 77 + 10, "\x08");
  const auto entries = read(deflated, ZipProfile::kAny);
  ASSERT_TRUE(entries) << entries.error().to_string();
  EXPECT_FALSE(entries->front().is_stored());
}

}  // namespace
}  // namespace ferrule::format
