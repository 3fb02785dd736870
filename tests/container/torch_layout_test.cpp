// SPDX-License-Identifier: Apache-2.0
#include "container/torch_layout.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "format/torch/torch_pickles.hpp"
#include "format/zip/zip_bytes.hpp"
#include "temp_dir.hpp"

namespace ferrule::container {
namespace {

using namespace std::string_literals;

Result<format::TorchLayout> layout_of(const std::string& file, const OpenOptions& options = {}) {
  return read_torch_layout(format::MemorySource(test::bytes_of(file)), options);
}

std::string zip_of(const std::string& pickle) {
  return test::stored_zip(std::vector<test::StoredEntry>{
      {"m/data.pkl", pickle}, {"m/data/0", "abcd"}, {"m/version", "3\n"}});
}

const std::string kDict =
    test::dict_of("w", test::tensor(test::storage("ByteStorage", "0", 4), 0, "(K\4t", "(K\1t"));

TEST(TorchLayouts, OfAZipAreRead) {
  const auto layout = layout_of(zip_of(kDict + "."));
  ASSERT_TRUE(layout) << layout.error().to_string();
  EXPECT_EQ(layout->tensors.size(), 1U);
}

TEST(TorchLayouts, OfALegacyFileAreRead) {
  const auto file = test::read_file(FERRULE_TEST_DATA "/golden/torch/torch-2.13/dtypes_legacy.pt");
  const auto layout = layout_of(file);
  ASSERT_TRUE(layout) << layout.error().to_string();
  EXPECT_FALSE(layout->has_checksums);
  EXPECT_GT(layout->tensors.size(), 5U);
}

TEST(TorchLayouts, TheKeyReachesTheDictInside) {
  const auto nested = zip_of(test::dict_of("inner", kDict) + ".");
  EXPECT_FALSE(layout_of(nested));
  EXPECT_TRUE(layout_of(nested, {.torch_key = "inner"}));
}

TEST(TorchLayouts, AnythingElseIsCalledByItsName) {
  const struct {
    const char* what;
    std::string file;
    std::string_view named;
  } rows[] = {
      {"nothing", "", "empty"},
      {"a pointer",
       "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '0') +
           "\nsize 10\n",
       "Git LFS"},
      {"a page", "<!DOCTYPE html>\n<html></html>", "HTML"},
      {"gguf", "GGUF\3\0\0\0"s + std::string(20, '\0'), "GGUF"},
  };
  for (const auto& row : rows) {
    const auto layout = layout_of(row.file);
    ASSERT_FALSE(layout) << row.what;
    EXPECT_EQ(layout.error().code, ErrorCode::kUnsupported) << row.what;
    EXPECT_EQ(layout.error().rule, "PK-17") << row.what;
    EXPECT_NE(layout.error().message.find(row.named), std::string::npos) << layout.error().message;
  }
}

TEST(FileSources, ReadTheFile) {
  const test::TempDir dir;
  test::write_file(dir / "f", "abcdef");
  const auto file = io::InputFile::open(dir / "f");
  ASSERT_TRUE(file);
  const FileSource source(*file);
  EXPECT_EQ(source.size(), 6U);
  const auto part = source.read(2, 3);
  ASSERT_TRUE(part);
  EXPECT_EQ((*part)[0], std::byte{'c'});
  EXPECT_EQ(source.read(4, 3).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ferrule::container
