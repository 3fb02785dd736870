// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/scan_content.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "format/zip/zip_bytes.hpp"

namespace ferrule::format {
namespace {

using namespace std::string_literals;
using test::stored_zip;
using test::StoredEntry;
using Entries = std::vector<StoredEntry>;

/// Calls a function that is not on the list of what a state dict needs.
const std::string kCall =
    "\x80\x02"
    "cnowhere\nnothing\n)R.";
const std::string kHarmless = "\x80\x02}.";

ContentScan scan(std::string_view bytes) { return scan_content(test::bytes_of(bytes), {}); }

TEST(ScanContent, ReportsACallWithItsPlace) {
  const auto found = scan(kCall);
  EXPECT_EQ(found.pickles, 1U);
  EXPECT_TRUE(found.gaps.empty());
  ASSERT_FALSE(found.hits.empty());
  EXPECT_EQ(found.hits[0].entry, "");
  EXPECT_EQ(found.hits[0].offset, 2U);
  EXPECT_EQ(found.hits[0].opcode, "GLOBAL");
  EXPECT_EQ(found.hits[0].global, "nowhere.nothing");
}

TEST(ScanContent, FindsNothingInAHarmlessPickle) {
  const auto found = scan(kHarmless);
  EXPECT_EQ(found.pickles, 1U);
  EXPECT_TRUE(found.hits.empty());
  EXPECT_TRUE(found.gaps.empty());
}

TEST(ScanContent, FindsNothingInText) {
  for (const std::string_view text :
       {"", "hello", "class A:\n  pass\n", "{\"a\": 1}", "i am a text.\n"}) {
    const auto found = scan(text);
    EXPECT_TRUE(found.hits.empty()) << text;
    EXPECT_TRUE(found.gaps.empty()) << text;
  }
}

TEST(ScanContent, ReadsEveryPickleInARow) {
  const auto found = scan(kHarmless + kCall);
  EXPECT_EQ(found.pickles, 2U);
  ASSERT_FALSE(found.hits.empty());
  EXPECT_EQ(found.hits[0].offset, kHarmless.size() + 2);
}

TEST(ScanContent, LooksIntoEveryEntryWhateverItsName) {
  for (const std::string name : {"m/data.pkl", "m/data/0", "readme.txt"}) {
    const auto found = scan(stored_zip(Entries{{"m/first", ""}, {name, kCall}}));
    ASSERT_FALSE(found.hits.empty()) << name;
    EXPECT_EQ(found.hits[0].entry, name);
  }
}

TEST(ScanContent, LooksIntoArchivesInsideArchives) {
  const auto inner = stored_zip(Entries{{"deep", kCall}});
  const auto found = scan(stored_zip(Entries{{"inner.zip", inner}}));
  ASSERT_FALSE(found.hits.empty());
  EXPECT_EQ(found.hits[0].entry, "inner.zip!deep");
}

TEST(ScanContent, SaysWhereItStopsLooking) {
  std::string zip = stored_zip(Entries{{"deep", kHarmless}});
  for (int i = 0; i < 3; ++i) zip = stored_zip(Entries{{"z", zip}});
  const auto found = scan(zip);
  ASSERT_EQ(found.gaps.size(), 1U);
  EXPECT_EQ(found.gaps[0].entry, "z!z!z");
}

TEST(ScanContent, FindsAnArchiveBehindSomethingElse) {
  const auto found = scan("\x08\0\0\0\0\0\0\0{}      "s + stored_zip(Entries{{"a", kCall}}));
  ASSERT_FALSE(found.hits.empty());
  EXPECT_EQ(found.hits[0].entry, "a");
  ASSERT_FALSE(found.gaps.empty());
  EXPECT_EQ(found.gaps[0].rule, "TZ-1");
}

TEST(ScanContent, SaysThatItDoesNotLookIntoOtherCompressedFiles) {
  const struct {
    const char* what;
    std::string bytes;
  } rows[] = {
      {"gzip", "\x1f\x8b\x08\0\0\0\0\0\0\3"s},
      {"bzip2", "BZh91AY&SY"},
      {"xz",
       "\xfd"
       "7zXZ\0"s},
      {"zstd", "\x28\xb5\x2f\xfd\x24\0"s},
      {"lz4", "\x04\x22\x4d\x18\x64\x40"},
      {"rar", "Rar!\x1a\x07"},
      {"zlib", "\x78\x9c\x4b\x4c"},
  };
  for (const auto& row : rows) {
    const auto found = scan(row.bytes);
    ASSERT_EQ(found.gaps.size(), 1U) << row.what;
    EXPECT_NE(found.gaps[0].message.find("not looked into"), std::string::npos) << row.what;
  }
}

// numpy/lib/format.py: magic, version, header length, header; an array of objects is a pickle.
TEST(ScanContent, ReadsTheObjectsOfANumpyArray) {
  const std::string header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
  const auto array = "\x93NUMPY\x01\0"s + static_cast<char>(header.size()) + "\0"s + header;
  const auto found = scan(array + kCall);
  ASSERT_FALSE(found.hits.empty());
  EXPECT_EQ(found.hits[0].offset, array.size() + 2);
  EXPECT_FALSE(scan(array.substr(0, 30)).gaps.empty());
}

TEST(ScanContent, AChecksumThatDiffersIsAGap) {
  auto zip = stored_zip(Entries{{"a", kHarmless}});
  zip[zip.find(kHarmless) + 2] = ']';
  const auto found = scan(zip);
  ASSERT_EQ(found.gaps.size(), 1U);
  EXPECT_EQ(found.gaps[0].rule, "TZ-11");
}

TEST(ScanContent, ABrokenPickleIsAGapBehindWhatItWouldRun) {
  const auto found = scan(kCall.substr(0, kCall.size() - 1) + "\xff");
  EXPECT_FALSE(found.hits.empty());
  ASSERT_EQ(found.gaps.size(), 1U);
  EXPECT_EQ(found.gaps[0].rule, "PK-2");
}

}  // namespace
}  // namespace ferrule::format
