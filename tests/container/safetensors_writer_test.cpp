// SPDX-License-Identifier: Apache-2.0
#include "ferrule/safetensors_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <ostream>
#include <string>
#include <vector>

#include "ferrule/safetensors_file.hpp"
#include "format/safetensors_bytes.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

using test::as_bytes;
using test::read_file;
using test::TempDir;

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class GoldenFiles : public testing::TestWithParam<const char*> {};

TEST_P(GoldenFiles, AreWrittenAgainToTheByte) {
  const std::string path =
      std::string(FERRULE_TEST_DATA) + "/golden/safetensors/" + GetParam() + ".safetensors";
  const std::string golden = read_file(path);
  ASSERT_FALSE(golden.empty());
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  // In an order that is not the file's.
  std::vector<NamedTensor> tensors(file->tensors().begin(), file->tensors().end());
  std::reverse(tensors.begin(), tensors.end());

  const auto bytes = serialize_safetensors(tensors, file->metadata());
  ASSERT_TRUE(bytes.has_value()) << bytes.error().to_string();
  EXPECT_EQ(text(*bytes), golden);

  const TempDir dir;
  ASSERT_TRUE(write_safetensors(dir / "views", tensors, file->metadata()).has_value());
  EXPECT_EQ(read_file(dir / "views"), golden);

  std::vector<TensorStream> streams;
  for (const auto& [name, tensor] : tensors) {
    const auto content = tensor.bytes();
    streams.push_back({.name = std::string(name),
                       .dtype = tensor.dtype(),
                       .shape = {tensor.shape().begin(), tensor.shape().end()},
                       .read = [content](std::uint64_t offset, std::span<std::byte> out) {
                         std::memcpy(out.data(), content.data() + offset, out.size());
                         return Result<void>();
                       }});
  }
  ASSERT_TRUE(write_safetensors(dir / "streams", streams, file->metadata()).has_value());
  EXPECT_EQ(read_file(dir / "streams"), golden);
}

INSTANTIATE_TEST_SUITE_P(SafetensorsWriter, GoldenFiles,
                         testing::Values("bf16", "bf16_f32", "empty", "f16", "f16_f32", "f32",
                                         "f32_i32", "f32_i64", "f32_u8", "prompt"),
                         [](const testing::TestParamInfo<const char*>& row) {
                           return std::string(row.param);
                         });

TEST(SafetensorsWriter, EveryDtypeRoundTripsInRankOrder) {
  std::vector<std::string> names;
  std::vector<std::vector<std::byte>> contents;
  const std::vector<std::uint64_t> shape = {2, 2};
  for (int i = 0; i < kDtypeCount; ++i) {
    names.push_back("t" + std::to_string(100 + i));
    contents.emplace_back(*byte_size(static_cast<Dtype>(i), shape), std::byte(i));
  }
  std::vector<NamedTensor> tensors;
  for (std::size_t i = 0; i < names.size(); ++i) {
    tensors.push_back({names[i], *TensorView::make(static_cast<Dtype>(i), shape, contents[i])});
  }
  const auto bytes = serialize_safetensors(tensors);
  ASSERT_TRUE(bytes.has_value()) << bytes.error().to_string();
  const auto file = SafetensorsFile::from_bytes(*bytes);
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& read = file->tensors()[tensors.size() - 1 - i];
    EXPECT_EQ(read.name, names[i]);
    EXPECT_EQ(read.tensor.dtype(), static_cast<Dtype>(i));
    EXPECT_EQ(text(read.tensor.bytes()), text(contents[i]));
  }
}

struct Shape {
  const char* name;
  Dtype dtype;
  std::vector<std::uint64_t> extents;
};
void PrintTo(const Shape& row, std::ostream* out) { *out << row.name; }

class Shapes : public testing::TestWithParam<Shape> {};

TEST_P(Shapes, RoundTrip) {
  const auto& [name, dtype, extents] = GetParam();
  const std::vector<std::byte> content(*byte_size(dtype, extents), std::byte{7});
  const NamedTensor tensor{name, *TensorView::make(dtype, extents, content)};
  const auto bytes = serialize_safetensors({&tensor, 1});
  ASSERT_TRUE(bytes.has_value()) << bytes.error().to_string();
  EXPECT_EQ((bytes->size() - content.size()) % 8, 0U);
  const auto file = SafetensorsFile::from_bytes(*bytes);
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  const auto read = file->find(name);
  ASSERT_TRUE(read.has_value());
  EXPECT_TRUE(
      std::equal(read->shape().begin(), read->shape().end(), extents.begin(), extents.end()));
  EXPECT_EQ(text(read->bytes()), text(content));
}

INSTANTIATE_TEST_SUITE_P(
    SafetensorsWriter, Shapes,
    testing::ValuesIn(std::vector<Shape>{{"Scalar", Dtype::kF32, {}},
                                         {"NoElements", Dtype::kF32, {0}},
                                         {"ZeroInside", Dtype::kF16, {3, 0, 2}},
                                         {"HugeTimesZero", Dtype::kI8, {1ULL << 60, 0}},
                                         {"F4", Dtype::kF4, {3, 2}},
                                         {"F6", Dtype::kF6E3M2, {4, 5}},
                                         {"C64", Dtype::kC64, {2}},
                                         {"NineAxes", Dtype::kU8, {1, 2, 1, 2, 1, 2, 1, 2, 1}}}),
    [](const testing::TestParamInfo<Shape>& row) { return std::string(row.param.name); });

TEST(SafetensorsWriter, NamesRoundTrip) {
  const std::vector<std::string> names = {"",
                                          "plain",
                                          "quote\"",
                                          "back\\slash",
                                          "new\nline",
                                          "\x01\x7f",
                                          "\xc3\xa9",
                                          "\xf0\x9f\x98\x80",
                                          std::string("nul\0in", 6),
                                          "/"};
  std::vector<NamedTensor> tensors;
  for (const auto& name : names) tensors.push_back({name, TensorView()});
  const auto bytes = serialize_safetensors(tensors, {{"k\"\n", "v\t"}});
  ASSERT_TRUE(bytes.has_value()) << bytes.error().to_string();
  const auto file = SafetensorsFile::from_bytes(*bytes);
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  for (const auto& name : names) EXPECT_TRUE(file->find(name).has_value()) << name;
  EXPECT_EQ(file->metadata(), (Metadata{{"k\"\n", "v\t"}}));
}

TEST(SafetensorsWriter, SortsMetadata) {
  const auto bytes = serialize_safetensors({}, {{"b", "1"}, {"a", "2"}});
  ASSERT_TRUE(bytes.has_value());
  EXPECT_NE(text(*bytes).find("{\"__metadata__\":{\"a\":\"2\",\"b\":\"1\"}}"), std::string::npos);
}

TEST(SafetensorsWriter, KeepsEmptyMetadataWhereAsked) {
  const auto without = serialize_safetensors({}, {});
  const auto with = serialize_safetensors({}, {}, EmptyMetadata::kKeep);
  ASSERT_TRUE(without.has_value() && with.has_value());
  EXPECT_NE(text(*with).find("{\"__metadata__\":{}}"), std::string::npos);
  EXPECT_FALSE(SafetensorsFile::from_bytes(*without)->has_metadata());
  EXPECT_TRUE(SafetensorsFile::from_bytes(*with)->has_metadata());
}

struct RefusedTensors {
  const char* name;
  std::vector<NamedTensor> tensors;
  Metadata metadata;
  const char* rule;
};
void PrintTo(const RefusedTensors& row, std::ostream* out) { *out << row.name; }

class RefusedToWrite : public testing::TestWithParam<RefusedTensors> {};

TEST_P(RefusedToWrite, LeavesNoFile) {
  const auto& [name, tensors, metadata, rule] = GetParam();
  const auto bytes = serialize_safetensors(tensors, metadata);
  ASSERT_FALSE(bytes.has_value());
  EXPECT_EQ(bytes.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(bytes.error().rule, rule);
  const TempDir dir;
  const auto wrote = write_safetensors(dir / "file", tensors, metadata);
  ASSERT_FALSE(wrote.has_value());
  EXPECT_EQ(wrote.error().rule, rule);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

constexpr std::uint64_t kOne[] = {1};
constexpr std::uint64_t kHuge[] = {1ULL << 62, 1ULL << 62};

INSTANTIATE_TEST_SUITE_P(
    SafetensorsWriter, RefusedToWrite,
    testing::ValuesIn(std::vector<RefusedTensors>{
        {"SameNameTwice", {{"a", {}}, {"a", {}}}, {}, "ST-6"},
        {"MetadataKeyTwice", {}, {{"a", "1"}, {"a", "2"}}, "ST-6"},
        {"ReservedName", {{"__metadata__", {}}}, {}, "ST-17"},
        {"NameNotUtf8", {{"\xff", {}}}, {}, "ST-5"},
        {"MetadataNotUtf8", {}, {{"a", "\xff"}}, "ST-5"},
        {"ShapeOverflows", {{"a", TensorView::trusted(Dtype::kF32, kHuge, {})}}, {}, "ST-9"},
        {"SubByteEndsInsideAByte", {{"a", TensorView::trusted(Dtype::kF4, kOne, {})}}, {}, "ST-9"},
        {"BytesDoNotFitTheShape", {{"a", TensorView::trusted(Dtype::kU8, kOne, {})}}, {}, "ST-10"},
    }),
    [](const testing::TestParamInfo<RefusedTensors>& row) { return std::string(row.param.name); });

TEST(SafetensorsWriter, AFailingStreamLeavesTheOldFile) {
  const TempDir dir;
  test::write_file(dir / "file", "old");
  const std::vector<TensorStream> streams = {
      {.name = "a",
       .dtype = Dtype::kU8,
       .shape = {9u << 20},
       .read = [](std::uint64_t offset, auto) {
         return offset == 0 ? Result<void>()
                            : Error{.code = ErrorCode::kIo, .message = "the source failed"};
       }}};
  const auto wrote = write_safetensors(dir / "file", streams);
  ASSERT_FALSE(wrote.has_value());
  EXPECT_EQ(wrote.error().code, ErrorCode::kIo);
  EXPECT_EQ(read_file(dir / "file"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(SafetensorsWriter, StreamsAreReadInAscendingPiecesOfAFewMegabytes) {
  const TempDir dir;
  std::uint64_t next = 0;
  const std::uint64_t total = (std::uint64_t{9} << 20) + 5;
  const std::vector<TensorStream> streams = {
      {.name = "a",
       .dtype = Dtype::kU8,
       .shape = {total},
       .read = [&next](std::uint64_t offset, std::span<std::byte> out) {
         EXPECT_EQ(offset, next);
         EXPECT_LE(out.size(), std::size_t{4} << 20);
         for (auto& byte : out) byte = std::byte(next++ % 251);
         return Result<void>();
       }}};
  ASSERT_TRUE(write_safetensors(dir / "file", streams).has_value());
  EXPECT_EQ(next, total);
  const auto file = SafetensorsFile::open(dir / "file");
  ASSERT_TRUE(file.has_value());
  const auto bytes = file->find("a")->bytes();
  for (std::uint64_t i = 0; i < total; ++i) ASSERT_EQ(bytes[i], std::byte(i % 251));
}

}  // namespace
}  // namespace ferrule
