// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "format/torch/torch_archive.hpp"
#include "format/torch/torch_pickles.hpp"
#include "format/zip/zip_bytes.hpp"

namespace ferrule::format {
namespace {

using namespace std::string_literals;

// The parts of a file of torch.save before 1.6, in order (torch/serialization.py, _legacy_save).
const std::string kMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const std::string kProtocol = "M\xe9\x03.";
const std::string kLittle = "}U\x0dlittle_endian\x88s.";
const std::string kState =
    test::dict_of("w",
                  test::tensor(test::storage("ShortStorage", "0", 2, "N"), 0, "(K\2t", "(K\1t")) +
    ".";
const std::string kKeys =
    "]U\1"
    "0a.";
const std::string kStorage = "\2\0\0\0\0\0\0\0abcd"s;
const std::string kGood = kMagic + kProtocol + kLittle + kState + kKeys + kStorage;

Result<TorchLayout> read(std::string_view file, const ReadLimits& limits = {}) {
  return read_torch_legacy(MemorySource(test::bytes_of(file)), "", limits);
}

TEST(TorchLegacy, LocatesStoragesBehindTheirCounts) {
  const auto layout = read(kGood);
  ASSERT_TRUE(layout) << layout.error().to_string();
  ASSERT_EQ(layout->storages.size(), 1U);
  EXPECT_EQ(kGood.substr(layout->storages[0].file_offset, layout->storages[0].bytes), "abcd");
  EXPECT_FALSE(layout->has_checksums);
  EXPECT_TRUE(check_storage(MemorySource(test::bytes_of(kGood)), *layout, 0));
}

TEST(TorchLegacy, EveryPrefixIsRefused) {
  for (std::size_t size = 0; size < kGood.size(); ++size) {
    EXPECT_FALSE(read(std::string_view(kGood).substr(0, size))) << size;
  }
}

struct Row {
  const char* name;
  std::string file;
  const char* rule;
  ErrorCode code = ErrorCode::kCorrupt;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class RefusedLegacyFiles : public testing::TestWithParam<Row> {};

TEST_P(RefusedLegacyFiles, NameTheRule) {
  const auto layout = read(GetParam().file);
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().rule, GetParam().rule) << layout.error().message;
  EXPECT_EQ(layout.error().code, GetParam().code) << layout.error().message;
}

constexpr auto kOther = ErrorCode::kUnsupported;
const std::string kHead = kMagic + kProtocol + kLittle;

INSTANTIATE_TEST_SUITE_P(
    TorchLegacy, RefusedLegacyFiles,
    testing::ValuesIn(std::vector<Row>{
        {"Empty", "", "PK-1"},
        {"AnotherPickle", kState, "PK-17", kOther},
        {"MagicOfAnotherNumber", "\x8a\x0a\x6d\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "PK-17",
         kOther},
        {"Protocol1002", kMagic + "M\xea\x03.", "PK-17"},
        {"ProtocolIsAText",
         kMagic + "U\4"
                  "1001.",
         "PK-17"},
        {"BigEndian", kMagic + kProtocol + "}U\x0dlittle_endian\x89s.", "PK-17", kOther},
        {"NoByteOrder", kMagic + kProtocol + "}.", "PK-17"},
        {"ByteOrderIsAnInt", kMagic + kProtocol + "}U\x0dlittle_endianK\1s.", "PK-17"},
        {"KeysAreATuple",
         kHead + kState +
             "U\1"
             "0\x85.",
         "PK-18"},
        {"KeyIsAnInt", kHead + kState + "]I0\na.", "PK-18"},
        {"KeyTwice",
         kHead + kState +
             "](U\1"
             "0U\1"
             "0e." +
             kStorage + kStorage,
         "PK-18"},
        {"KeyOfNoTensor",
         kHead + kState +
             "](U\1"
             "0U\1"
             "1e." +
             kStorage + kStorage,
         "PK-18"},
        {"KeyMissing", kHead + kState + "].", "PK-18"},
        {"OtherCount", kHead + kState + kKeys + "\3\0\0\0\0\0\0\0abcd"s, "PK-19"},
        {"CountOfAllOnes",
         kHead + kState + kKeys +
             "\xff\xff\xff\xff\xff\xff\xff\xff"
             "abcd",
         "PK-19"},
        {"StorageCutShort", kHead + kState + kKeys + "\2\0\0\0\0\0\0\0abc"s, "PK-19"},
        {"BytesBehindTheEnd", kGood + "x", "PK-20"},
    }),
    [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(TorchLegacy, AViewNamesAPartOfItsStorage) {
  // (view key, offset, elements) as torch 0.1 wrote it: the second element alone.
  const auto state =
      test::dict_of("w", test::tensor(test::storage("ShortStorage", "0", 2, "(U\1vK\1K\1t"), 0,
                                      "(K\1t", "(K\1t")) +
      ".";
  const auto file = kHead + state + kKeys + kStorage;
  const auto layout = read(file);
  ASSERT_TRUE(layout) << layout.error().to_string();
  EXPECT_EQ(layout->tensors[0].offset, 2U);
  EXPECT_EQ(layout->tensors[0].bytes, 2U);
}

TEST(TorchLegacy, ThePicklesAreBounded) {
  const auto layout = read(kGood, {.header_bytes = kHead.size()});
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(layout.error().rule, "PK-7");
}

}  // namespace
}  // namespace ferrule::format
