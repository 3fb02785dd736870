// SPDX-License-Identifier: Apache-2.0
#include "container/weights_stream.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "format/torch/torch_pickles.hpp"
#include "format/zip/zip_bytes.hpp"
#include "io/input_file.hpp"
#include "io/transaction/file_transaction.hpp"
#include "temp_dir.hpp"

namespace ferrule::container {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;

Result<WeightsStream> opened(const fs::path& path, const OpenOptions& options = {}) {
  auto file = io::InputFile::open(path);
  if (!file) return std::move(file).error();
  return WeightsStream::open(std::move(*file), options);
}

/// What `from` becomes in `format`, or the rule that refuses it.
std::string written(const fs::path& from, WeightsFormat format) {
  const auto stream = opened(from);
  if (!stream) return "refused " + stream.error().rule;
  const test::TempDir dir;
  auto out = io::FileTransaction::begin(dir / "out", Durability::kFast);
  EXPECT_TRUE(out);
  const auto wrote = stream->write(out->file(), format);
  if (!wrote) return "failed " + wrote.error().rule;
  EXPECT_TRUE(out->commit());
  return test::read_file(dir / "out");
}

std::string zip_of(const std::string& pickle) {
  return test::stored_zip(std::vector<test::StoredEntry>{
      {"m/data.pkl", pickle}, {"m/data/0", "abcd"}, {"m/version", "3\n"}});
}

std::string tensor(int offset, const std::string& shape, const std::string& strides) {
  return test::tensor(test::storage("ByteStorage", "0", 4), offset, shape, strides);
}

// They were written by safetensors itself, in the order that Ferrule keeps.
TEST(WeightsStreams, ASafetensorsFileComesOutAsItWentIn) {
  for (const auto* name : {"f32", "bf16_f32", "f32_i64", "empty", "prompt"}) {
    const fs::path path =
        fs::path(FERRULE_TEST_DATA "/golden/safetensors") / (std::string(name) + ".safetensors");
    EXPECT_EQ(written(path, WeightsFormat::kSafetensors), test::read_file(path)) << name;
  }
}

TEST(WeightsStreams, ATorchFileBecomesTheSafetensorsOfItsTensors) {
  const test::TempDir dir;
  test::write_file(dir / "m.bin", zip_of("}(U\1v" + tensor(1, "(K\2t", "(K\1t") + "U\1t" +
                                         tensor(0, "(K\2K\2t", "(K\1K\2t") + "u."));
  // t is [[a, c], [b, d]]; v is [b, c].
  EXPECT_EQ(written(dir / "m.bin", WeightsFormat::kSafetensors),
            "\x90\0\0\0\0\0\0\0"s
            R"({"__metadata__":{"format":"pt"},)"
            R"("t":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]},)"
            R"("v":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})"
            "      "
            "acbdbc");
}

TEST(WeightsStreams, TensorsThatShareAStorageStillDoInATorchFile) {
  const test::TempDir dir;
  test::write_file(dir / "m.bin", zip_of("}(U\1v" + tensor(1, "(K\2t", "(K\1t") + "U\1w" +
                                         tensor(0, "(K\4t", "(K\1t") + "u."));
  const auto out = written(dir / "m.bin", WeightsFormat::kBin);
  EXPECT_NE(out.find("/data/0"), std::string::npos);
  EXPECT_EQ(out.find("/data/1"), std::string::npos);
}

TEST(WeightsStreams, CountTensorsAndBytes) {
  const test::TempDir dir;
  const auto zip = zip_of(test::dict_of("w", tensor(0, "(K\4t", "(K\1t")) + ".");
  test::write_file(dir / "m.bin", zip);
  const auto stream = opened(dir / "m.bin");
  ASSERT_TRUE(stream);
  EXPECT_EQ(stream->tensors(), 1U);
  EXPECT_EQ(stream->file_bytes(), zip.size());
}

TEST(WeightsStreams, ADamagedStorageFailsInEitherFormat) {
  const test::TempDir dir;
  for (const auto& pickle : {test::dict_of("w", tensor(0, "(K\4t", "(K\1t")) + ".",
                             test::dict_of("w", tensor(1, "(K\2t", "(K\1t")) + "."}) {
    auto zip = zip_of(pickle);
    zip[zip.find("abcd")] = 'x';
    test::write_file(dir / "m.bin", zip);
    EXPECT_EQ(written(dir / "m.bin", WeightsFormat::kSafetensors), "failed TZ-11");
    EXPECT_EQ(written(dir / "m.bin", WeightsFormat::kBin), "failed TZ-11");
  }
}

TEST(WeightsStreams, WhatIsNotAWeightsFileIsNamed) {
  const test::TempDir dir;
  test::write_file(dir / "t", "{}");
  const auto stream = opened(dir / "t");
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(stream.error().path, (dir / "t").string());
}

TEST(WeightsStreams, ABrokenHeaderKeepsItsRule) {
  const test::TempDir dir;
  test::write_file(dir / "s", "\x08\0\0\0\0\0\0\0{\"a\":1} "s);
  EXPECT_EQ(written(dir / "s", WeightsFormat::kBin).substr(0, 10), "refused ST");
}

}  // namespace
}  // namespace ferrule::container
