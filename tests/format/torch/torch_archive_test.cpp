// SPDX-License-Identifier: Apache-2.0
#include "format/torch/torch_archive.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "format/torch/torch_pickles.hpp"
#include "format/zip/zip_bytes.hpp"

namespace ferrule::format {
namespace {

using test::StoredEntry;
using Entries = std::vector<StoredEntry>;

const std::string kPickle =
    test::dict_of("w", test::tensor(test::storage("ByteStorage", "0", 4), 0, "(K\4t", "(K\1t")) +
    ".";

Result<TorchLayout> read(const std::string& zip, const ReadLimits& limits = {}) {
  return read_torch_archive(MemorySource(test::bytes_of(zip)), "", limits);
}

const Entries kGood = {{"m/data.pkl", kPickle}, {"m/data/0", "abcd"}, {"m/version", "3\n"}};

TEST(TorchArchive, LocatesItsStorages) {
  const auto zip = test::stored_zip(kGood);
  const auto layout = read(zip);
  ASSERT_TRUE(layout) << layout.error().to_string();
  ASSERT_EQ(layout->storages.size(), 1U);
  EXPECT_EQ(zip.substr(layout->storages[0].file_offset, 4), "abcd");
  EXPECT_TRUE(layout->has_checksums);
  EXPECT_TRUE(check_storage(MemorySource(test::bytes_of(zip)), *layout, 0));
}

TEST(TorchArchive, ADamagedStorageIsFoundWhenItIsChecked) {
  auto zip = test::stored_zip(kGood);
  zip[zip.find("abcd")] = 'x';
  const auto layout = read(zip);
  ASSERT_TRUE(layout) << layout.error().to_string();
  const auto checked = check_storage(MemorySource(test::bytes_of(zip)), *layout, 0);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().rule, "TZ-11");
  EXPECT_NE(checked.error().message.find("data/0"), std::string::npos);
}

struct Row {
  const char* name;
  Entries entries;
  const char* rule;
  ErrorCode code = ErrorCode::kCorrupt;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class RefusedArchives : public testing::TestWithParam<Row> {};

TEST_P(RefusedArchives, NameTheRule) {
  const auto layout = read(test::stored_zip(GetParam().entries));
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().rule, GetParam().rule) << layout.error().message;
  EXPECT_EQ(layout.error().code, GetParam().code) << layout.error().message;
}

Entries good_with(const std::string& name, const std::string& content) {
  auto entries = kGood;
  entries.push_back({name, content});
  return entries;
}

Entries with_version(const std::string& version) {
  return {{"m/data.pkl", kPickle}, {"m/data/0", "abcd"}, {"m/version", version}};
}

constexpr auto kOther = ErrorCode::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Records, RefusedArchives,
    testing::ValuesIn(std::vector<Row>{
        {"NoEntry", {}, "TZ-10", kOther},
        {"NoFolder", {{"data.pkl", kPickle}}, "TZ-10", kOther},
        {"TwoFolders", good_with("n/data/1", ""), "TZ-10"},
        {"NoPickle", {{"m/version", "3\n"}}, "TZ-12", kOther},
        {"NoVersion", {{"m/data.pkl", kPickle}, {"m/data/0", "abcd"}}, "TZ-13"},
        {"VersionZero", with_version("0\n"), "TZ-13", kOther},
        {"VersionEleven", with_version("11\n"), "TZ-13", kOther},
        {"VersionInWords", with_version("three"), "TZ-13", kOther},
        {"VersionWithASign", with_version("+3"), "TZ-13", kOther},
        {"VersionEmpty", with_version(""), "TZ-13", kOther},
        {"VersionOfManyBytes", with_version(std::string(65, '3')), "TZ-13"},
        {"BigEndian", good_with("m/byteorder", "big"), "TZ-14", kOther},
        {"OtherByteOrder", good_with("m/byteorder", "middle"), "TZ-14"},
        {"TorchScriptConstants", good_with("m/constants.pkl", "."), "TZ-15", kOther},
        {"TorchScriptCode", good_with("m/code/a.py", ""), "TZ-15", kOther},
        {"NoStorage", {{"m/data.pkl", kPickle}, {"m/version", "3\n"}}, "TZ-16"},
        {"StorageTooShort",
         {{"m/data.pkl", kPickle}, {"m/data/0", "abc"}, {"m/version", "3\n"}},
         "TZ-16"},
        {"StorageTooLong",
         {{"m/data.pkl", kPickle}, {"m/data/0", "abcde"}, {"m/version", "3\n"}},
         "TZ-16"},
        {"BytesBehindThePickle",
         {{"m/data.pkl", kPickle + "N."}, {"m/data/0", "abcd"}, {"m/version", "3\n"}},
         "PK-1"},
    }),
    [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(TorchArchive, AcceptsTheVersionsThatTorchKnows) {
  for (const std::string version : {"1", "2\n", "3\r\n", "10\n"}) {
    EXPECT_TRUE(read(test::stored_zip(with_version(version)))) << version;
  }
  EXPECT_TRUE(read(test::stored_zip(good_with("m/byteorder", "little"))));
}

TEST(TorchArchive, ADamagedPickleIsNotRead) {
  auto zip = test::stored_zip(kGood);
  zip[zip.find("ByteStorage")] = 'b';
  EXPECT_EQ(read(zip).error().rule, "TZ-11");
}

TEST(TorchArchive, ThePickleIsBounded) {
  const auto zip = test::stored_zip(kGood);
  const auto layout = read(zip, {.header_bytes = kPickle.size() - 1});
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().code, ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace ferrule::format
