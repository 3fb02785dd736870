// SPDX-License-Identifier: Apache-2.0
#include "ferrule/safetensors_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <ostream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/tensor_view_access.hpp"
#include "ferrule/safetensors_file.hpp"
#include "format/safetensors_bytes.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

using test::as_bytes;
using test::read_file;
using test::TempDir;

constexpr std::span<const NamedTensor> kNone;

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
  const auto streamed = serialize_safetensors(streams, file->metadata());
  ASSERT_TRUE(streamed.has_value()) << streamed.error().to_string();
  EXPECT_EQ(text(*streamed), golden);
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
  const auto bytes = serialize_safetensors(std::span<const NamedTensor>(&tensor, 1));
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
  const auto bytes = serialize_safetensors(kNone, {{"b", "1"}, {"a", "2"}});
  ASSERT_TRUE(bytes.has_value());
  EXPECT_NE(text(*bytes).find("{\"__metadata__\":{\"a\":\"2\",\"b\":\"1\"}}"), std::string::npos);
}

TEST(SafetensorsWriter, KeepsEmptyMetadataWhereAsked) {
  const auto without = serialize_safetensors(kNone, {});
  const auto with = serialize_safetensors(kNone, {}, EmptyMetadata::kKeep);
  ASSERT_TRUE(without.has_value() && with.has_value());
  EXPECT_NE(text(*with).find("{\"__metadata__\":{}}"), std::string::npos);
  EXPECT_FALSE(SafetensorsFile::from_bytes(*without).value().has_metadata());
  EXPECT_TRUE(SafetensorsFile::from_bytes(*with).value().has_metadata());
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

INSTANTIATE_TEST_SUITE_P(SafetensorsWriter, RefusedToWrite,
                         testing::ValuesIn(std::vector<RefusedTensors>{
                             {"SameNameTwice", {{"a", {}}, {"a", {}}}, {}, "ST-6"},
                             {"MetadataKeyTwice", {}, {{"a", "1"}, {"a", "2"}}, "ST-6"},
                             {"ReservedName", {{"__metadata__", {}}}, {}, "ST-17"},
                             {"NameNotUtf8", {{"\xff", {}}}, {}, "ST-5"},
                             {"MetadataNotUtf8", {}, {{"a", "\xff"}}, "ST-5"},
                             {"ShapeOverflows",
                              {{"a", TensorViewAccess::unchecked(Dtype::kF32, kHuge, {})}},
                              {},
                              "ST-9"},
                             {"SubByteEndsInsideAByte",
                              {{"a", TensorViewAccess::unchecked(Dtype::kF4, kOne, {})}},
                              {},
                              "ST-9"},
                             {"BytesDoNotFitTheShape",
                              {{"a", TensorViewAccess::unchecked(Dtype::kU8, kOne, {})}},
                              {},
                              "ST-10"},
                         }),
                         [](const testing::TestParamInfo<RefusedTensors>& row) {
                           return std::string(row.param.name);
                         });

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

/// Tensors of 3 MiB each, whose bytes follow from their number; `threads` collects who read them.
std::vector<TensorStream> concurrent_streams(std::set<std::thread::id>& threads,
                                             std::mutex& mutex) {
  std::vector<TensorStream> streams;
  for (std::uint64_t i = 0; i < 8; ++i) {
    streams.push_back({.name = "t" + std::to_string(i),
                       .dtype = Dtype::kU8,
                       .shape = {3, 1 << 20},
                       .read =
                           [i, &threads, &mutex](std::uint64_t offset, std::span<std::byte> out) {
                             for (auto& byte : out) byte = std::byte((offset++ * 7 + i) % 251);
                             const std::lock_guard lock(mutex);
                             threads.insert(std::this_thread::get_id());
                             return Result<void>();
                           },
                       .is_concurrent = true});
  }
  return streams;
}

TEST(SafetensorsWriter, StreamsStayInTheCallersThreadUnlessItAllowsMore) {
  const TempDir dir;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  ASSERT_TRUE(write_safetensors(dir / "one", concurrent_streams(threads, mutex)));
  EXPECT_EQ(threads, std::set{std::this_thread::get_id()});
  ASSERT_TRUE(
      write_safetensors(dir / "two", concurrent_streams(threads, mutex), {}, {.threads = 2}));
  EXPECT_EQ(read_file(dir / "two"), read_file(dir / "one"));
}

TEST(SafetensorsWriter, AStreamOfAnotherThreadThatFailsLeavesTheOldFile) {
  const TempDir dir;
  test::write_file(dir / "file", "old");
  std::mutex mutex;
  std::set<std::thread::id> threads;
  auto streams = concurrent_streams(threads, mutex);
  streams[5].read = [](std::uint64_t, std::span<std::byte>) -> Result<void> {
    return Error{.code = ErrorCode::kIo, .message = "the source failed"};
  };
  const auto wrote = write_safetensors(dir / "file", streams, {}, {.threads = 2});
  ASSERT_FALSE(wrote);
  EXPECT_EQ(wrote.error().message, "the source failed");
  EXPECT_EQ(read_file(dir / "file"), "old");
}

TEST(SafetensorsWriter, BytesAndStreamsMix) {
  const auto owned = std::make_shared<std::vector<std::byte>>(4, std::byte{7});
  const std::vector<TensorStream> streams = {
      {.name = "owned", .dtype = Dtype::kU8, .shape = {4}, .bytes = *owned, .owner = owned},
      {.name = "read",
       .dtype = Dtype::kU8,
       .shape = {2},
       .read = [](std::uint64_t, std::span<std::byte> out) {
         std::fill(out.begin(), out.end(), std::byte{9});
         return Result<void>();
       }}};
  const auto bytes = serialize_safetensors(streams);
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  const auto file = SafetensorsFile::from_bytes(*bytes);
  ASSERT_TRUE(file);
  EXPECT_EQ(text(file->find("owned")->bytes()), "\x07\x07\x07\x07");
  EXPECT_EQ(text(file->find("read")->bytes()), "\x09\x09");
}

TEST(SafetensorsWriter, AStreamWithoutContentIsRefused) {
  const std::vector<TensorStream> streams = {{.name = "a", .dtype = Dtype::kU8, .shape = {4}}};
  const auto bytes = serialize_safetensors(streams);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().rule, "ST-10");
}

}  // namespace
}  // namespace ferrule
