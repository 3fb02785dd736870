// SPDX-License-Identifier: Apache-2.0
#include "ferrule/torch_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/tensor_view_access.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/torch_file.hpp"
#include "format/zip/zip_directory.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// The content of one entry of an archive in memory.
std::string record(const std::string& archive, std::string_view name) {
  const auto entries = format::read_zip_directory(format::MemorySource(bytes_of(archive)),
                                                  format::ZipProfile::kTorch, {});
  EXPECT_TRUE(entries) << (entries ? "" : entries.error().to_string());
  if (!entries) return {};
  for (const auto& entry : *entries) {
    if (entry.name == name) return archive.substr(entry.data_offset, entry.bytes);
  }
  return {};
}

void expect_equal(const TensorSource& a, const TensorSource& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    const auto& x = a.tensors()[i];
    const auto& y = b.tensors()[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.tensor.dtype(), y.tensor.dtype()) << x.name;
    EXPECT_TRUE(std::equal(x.tensor.shape().begin(), x.tensor.shape().end(),
                           y.tensor.shape().begin(), y.tensor.shape().end()))
        << x.name;
    EXPECT_TRUE(std::equal(x.tensor.bytes().begin(), x.tensor.bytes().end(),
                           y.tensor.bytes().begin(), y.tensor.bytes().end()))
        << x.name;
  }
}

std::filesystem::path golden(const char* name) {
  return std::filesystem::path(FERRULE_TEST_DATA) / "golden/torch/torch-2.13" / name;
}

class TorchRoundTrip : public testing::TestWithParam<const char*> {};

TEST_P(TorchRoundTrip, ReadsBackAndIsTheSameEveryTime) {
  const auto source = TorchFile::open(golden(GetParam()));
  ASSERT_TRUE(source);
  const test::TempDir dir;
  ASSERT_TRUE(
      write_torch_file(dir / "a.bin", source->tensors(), {.durability = Durability::kFast}));
  ASSERT_TRUE(
      write_torch_file(dir / "b.bin", source->tensors(), {.durability = Durability::kFast}));
  EXPECT_EQ(test::read_file(dir / "a.bin"), test::read_file(dir / "b.bin"));
  const auto again = TorchFile::open(dir / "a.bin");
  ASSERT_TRUE(again) << again.error().to_string();
  expect_equal(*source, *again);
}

INSTANTIATE_TEST_SUITE_P(Files, TorchRoundTrip,
                         testing::Values("dtypes.pt", "layouts.pt", "shapes.pt", "tied.pt",
                                         "plain_dict.pt", "many.pt", "empty.pt", "parameter.pt"));

TEST(TorchWriter, WritesTheRecordsThatTorchWrites) {
  for (const std::string stem : {"dtypes", "shapes"}) {
    const auto source = TorchFile::open(golden((stem + ".pt").c_str()));
    ASSERT_TRUE(source);
    const test::TempDir dir;
    ASSERT_TRUE(
        write_torch_file(dir / "x.bin", source->tensors(), {.durability = Durability::kFast}));
    const std::string ours = test::read_file(dir / "x.bin");
    const std::string theirs = test::read_file(golden((stem + ".pt").c_str()));
    // torch names the folder after the file, and hashes the names in its own way.
    for (const char* name : {"/data.pkl", "/data/0", "/data/4", "/byteorder", "/version",
                             "/.format_version", "/.storage_alignment"}) {
      EXPECT_EQ(record(ours, std::string("archive") + name), record(theirs, stem + name)) << name;
    }
    EXPECT_EQ(record(ours, "archive/.data/serialization_id").size(), 40U);
  }
}

TEST(TorchWriter, PayloadsAreAligned) {
  const auto source = TorchFile::open(golden("dtypes.pt"));
  ASSERT_TRUE(source);
  const test::TempDir dir;
  ASSERT_TRUE(
      write_torch_file(dir / "x.bin", source->tensors(), {.durability = Durability::kFast}));
  const std::string ours = test::read_file(dir / "x.bin");
  const auto entries = format::read_zip_directory(format::MemorySource(bytes_of(ours)),
                                                  format::ZipProfile::kTorch, {});
  ASSERT_TRUE(entries);
  for (const auto& entry : *entries) EXPECT_EQ(entry.data_offset % 64, 0U) << entry.name;
}

TEST(TorchWriter, OverlappingTensorsShareAStorageOfOneDtype) {
  const std::vector<float> memory = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto all = std::as_bytes(std::span(memory));
  StateDict state;
  const std::vector<std::uint64_t> eight = {8}, four = {4}, two = {2};
  ASSERT_TRUE(state.add("tail", Dtype::kF32, four, all.subspan(16)));
  ASSERT_TRUE(state.add("all", Dtype::kF32, eight, all));
  ASSERT_TRUE(state.add("head", Dtype::kF32, two, all.first(8)));
  const std::vector<std::int32_t> other = {1, 2};
  const auto ints = std::as_bytes(std::span(other));
  ASSERT_TRUE(state.add("ints", Dtype::kI32, two, ints));
  ASSERT_TRUE(state.add("same_as_floats", Dtype::kF32, two, ints));
  ASSERT_TRUE(state.add("ints_again", Dtype::kI32, two, ints));
  const test::TempDir dir;
  ASSERT_TRUE(write_torch_file(dir / "x.bin", state.tensors(), {.durability = Durability::kFast}));
  const auto file = TorchFile::open(dir / "x.bin");
  ASSERT_TRUE(file) << file.error().to_string();
  expect_equal(state, *file);
  const auto* start = file->find("all")->bytes().data();
  EXPECT_EQ(file->find("head")->bytes().data(), start);
  EXPECT_EQ(file->find("tail")->bytes().data(), start + 16);
  EXPECT_EQ(file->find("ints")->bytes().data(), file->find("ints_again")->bytes().data());
  EXPECT_NE(file->find("ints")->bytes().data(), file->find("same_as_floats")->bytes().data());
}

TEST(TorchWriter, StreamsGiveTheBytesThatTensorsGive) {
  const auto source = TorchFile::open(golden("protocol_4.pt"));
  ASSERT_TRUE(source) << source.error().to_string();
  std::vector<TensorStream> streams;
  for (const auto& [name, tensor] : source->tensors()) {
    streams.push_back(
        {.name = std::string(name),
         .dtype = tensor.dtype(),
         .shape = {tensor.shape().begin(), tensor.shape().end()},
         .read = [bytes = tensor.bytes()](std::uint64_t offset, std::span<std::byte> out) {
           std::memcpy(out.data(), bytes.data() + offset, out.size());
           return Result<void>();
         }});
  }
  const test::TempDir dir;
  ASSERT_TRUE(write_torch_file(dir / "views.bin", source->tensors()));
  ASSERT_TRUE(write_torch_file(dir / "streams.bin", streams));
  EXPECT_EQ(test::read_file(dir / "views.bin"), test::read_file(dir / "streams.bin"));
}

struct Refused {
  const char* name;
  std::vector<NamedTensor> tensors;
  ErrorCode code;
};

TEST(TorchWriter, RefusesWhatTorchCannotExpressAndLeavesNothing) {
  static constexpr std::byte kBytes[16] = {};
  static const std::vector<std::uint64_t> kThree = {4, 3}, kOne = {1};
  const auto pair = TensorViewAccess::unchecked(Dtype::kF4, kThree, std::span(kBytes).first(6));
  const auto f6 = TensorViewAccess::unchecked(Dtype::kF6E2M3, kThree, std::span(kBytes).first(9));
  const auto byte = TensorViewAccess::unchecked(Dtype::kU8, kOne, std::span(kBytes).first(1));
  const auto wrong = TensorViewAccess::unchecked(Dtype::kU8, kOne, std::span(kBytes).first(2));
  const Refused cases[] = {
      {"odd row of 4-bit floats", {{"a", pair}}, ErrorCode::kInvalidArgument},
      {"6-bit floats", {{"a", f6}}, ErrorCode::kUnsupported},
      {"equal names", {{"a", byte}, {"a", byte}}, ErrorCode::kInvalidArgument},
      {"name without UTF-8", {{"\xff", byte}}, ErrorCode::kInvalidArgument},
      {"size", {{"a", wrong}}, ErrorCode::kInvalidArgument},
  };
  const test::TempDir dir;
  for (const auto& refused : cases) {
    const auto wrote =
        write_torch_file(dir / "x.bin", refused.tensors, {.durability = Durability::kFast});
    ASSERT_FALSE(wrote) << refused.name;
    EXPECT_EQ(wrote.error().code, refused.code) << refused.name;
    EXPECT_TRUE(std::filesystem::is_empty(dir.path())) << refused.name;
  }
}

}  // namespace
}  // namespace ferrule
