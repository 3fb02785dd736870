// SPDX-License-Identifier: Apache-2.0
#include "container/known_layouts.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "ferrule/safetensors_file.hpp"
#include "format/safetensors_bytes.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

using test::safetensors;
using test::TempDir;
using test::write_file;

/// A header of one tensor of many bytes and a few small ones.
std::string header_of(std::size_t large, std::string_view last = "c") {
  const auto end = std::to_string(large);
  const auto next = std::to_string(large + 3);
  return "{\"__metadata__\":{\"twin\":\"b\"},\"a\":{\"dtype\":\"U8\",\"shape\":[" + end +
         "],\"data_offsets\":[0," + end +
         "]},\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[" + end + "," + next +
         "]},\"" + std::string(last) + "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[" +
         next + "," + next + "]}}";
}

std::string file_of(std::size_t large, char fill, std::string_view last = "c") {
  auto content = safetensors(header_of(large, last), large + 3);
  const auto data = content.size() - large - 3;
  for (std::size_t i = data; i < content.size(); ++i) content[i] = fill;
  return content;
}

void expect_filled(const SafetensorsFile& file, std::size_t large, char fill) {
  ASSERT_EQ(file.tensors().size(), 3U);
  for (const auto* name : {"a", "b"}) {
    const auto tensor = file.find(name);
    ASSERT_TRUE(tensor);
    for (const auto byte : tensor->bytes()) ASSERT_EQ(static_cast<char>(byte), fill);
  }
  const auto listed = file.tensors()[1].tensor.bytes();
  EXPECT_EQ(file.tensors()[1].name, "b");
  EXPECT_EQ(static_cast<char>(listed[0]), fill);
  EXPECT_TRUE(file.find("c")->bytes().empty());
  EXPECT_FALSE(file.find("d"));
  const auto range = file.range("b");
  ASSERT_TRUE(range) << range.error().to_string();
  EXPECT_EQ(range->offset, file.file_bytes() - 3);
  EXPECT_EQ(file.file_bytes() - 3 - large, file.range("a").value().offset);
  ASSERT_EQ(file.aliases().size(), 1U);
  EXPECT_EQ(file.aliases()[0].removed, "twin");
  EXPECT_EQ(file.metadata().size(), 1U);
}

class KnownLayouts : public testing::TestWithParam<std::size_t> {
 protected:
  SafetensorsFile open(const char* name, const OpenOptions& options = {}) {
    auto file = SafetensorsFile::open(dir_ / name, options);
    EXPECT_TRUE(file) << file.error().to_string();
    return *std::move(file);
  }
  TempDir dir_;
};

TEST_P(KnownLayouts, FilesWithOneHeaderHaveTheirOwnValues) {
  write_file(dir_ / "x", file_of(GetParam(), 'x'));
  write_file(dir_ / "y", file_of(GetParam(), 'y'));
  auto first = std::make_unique<SafetensorsFile>(open("x"));
  const auto second = open("y");
  const auto again = open("x");
  const auto copied = open("y", {.backing = Backing::kCopy});
  expect_filled(*first, GetParam(), 'x');
  expect_filled(second, GetParam(), 'y');
  first.reset();
  std::filesystem::remove(dir_ / "x");
  expect_filled(second, GetParam(), 'y');
  expect_filled(again, GetParam(), 'x');
  expect_filled(copied, GetParam(), 'y');
  // What was read of a file does not outlive it: the place has other values now.
  write_file(dir_ / "x", file_of(GetParam(), 'z'));
  expect_filled(open("x"), GetParam(), 'z');
}

TEST_P(KnownLayouts, AHeaderIsKnownOnlyWithAllOfItsData) {
  write_file(dir_ / "whole", file_of(GetParam(), 'x'));
  expect_filled(open("whole"), GetParam(), 'x');
  auto content = file_of(GetParam(), 'x');
  write_file(dir_ / "short", content.substr(0, content.size() - 1));
  write_file(dir_ / "long", content + "x");
  for (const auto* name : {"short", "long"}) {
    const auto file = SafetensorsFile::open(dir_ / name);
    ASSERT_FALSE(file) << name;
    EXPECT_EQ(file.error().rule, "ST-7");
    EXPECT_EQ(file.error().path, (dir_ / name).string());
  }
}

TEST_P(KnownLayouts, LimitsHoldForWhatIsKnown) {
  write_file(dir_ / "a", file_of(GetParam(), 'x'));
  expect_filled(open("a"), GetParam(), 'x');
  OpenOptions few;
  few.limits.tensors = 2;
  OpenOptions small;
  small.limits.header_bytes = 20;
  EXPECT_EQ(SafetensorsFile::open(dir_ / "a", few).error().rule, "ST-15");
  EXPECT_EQ(SafetensorsFile::open(dir_ / "a", small).error().rule, "ST-2");
}

TEST_P(KnownLayouts, MoreThanAreKeptAreReadAllTheSame) {
  std::vector<SafetensorsFile> open_files;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < 20; ++i) {
      const auto fill = static_cast<char>('a' + i);
      write_file(dir_ / "one", file_of(GetParam() + i, fill));
      open_files.push_back(open("one"));
      expect_filled(open_files.back(), GetParam() + i, fill);
    }
  }
}

// Small files are read whole, larger ones mapped.
INSTANTIATE_TEST_SUITE_P(Container, KnownLayouts, testing::Values(40, 200'000));

TEST(KnownLayoutsOfNames, SameLengthOtherNames) {
  const TempDir dir;
  write_file(dir / "c", file_of(40, 'x'));
  write_file(dir / "e", file_of(40, 'x', "e"));
  const auto first = SafetensorsFile::open(dir / "c");
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->find("c"));
  const auto other = SafetensorsFile::open(dir / "e");
  ASSERT_TRUE(other);
  EXPECT_TRUE(other->find("e"));
  EXPECT_FALSE(other->find("c"));
}

}  // namespace
}  // namespace ferrule
