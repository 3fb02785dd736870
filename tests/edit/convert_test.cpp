// SPDX-License-Identifier: Apache-2.0
#include "ferrule/convert.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "ferrule/safetensors_file.hpp"
#include "ferrule/torch_file.hpp"
#include "ferrule/torch_writer.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(FERRULE_TEST_DATA) / "golden/torch";

void make_adapter(const fs::path& directory, const fs::path& weights) {
  test::write_file(directory / "adapter_config.json", "{\"peft_type\": \"LORA\"}");
  test::write_file(directory / "README.md", "mine");
  test::write_file(directory / "training_args.bin", "never opened");
  fs::copy_file(weights, directory / "adapter_model.bin");
}

void expect_equal(const TensorSource& a, const TensorSource& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const auto& [name, tensor] : a.tensors()) {
    const auto other = b.find(name);
    ASSERT_TRUE(other) << name;
    EXPECT_EQ(tensor.dtype(), other->dtype()) << name;
    EXPECT_TRUE(std::equal(tensor.shape().begin(), tensor.shape().end(), other->shape().begin(),
                           other->shape().end()))
        << name;
    EXPECT_TRUE(std::equal(tensor.bytes().begin(), tensor.bytes().end(), other->bytes().begin(),
                           other->bytes().end()))
        << name;
  }
}

class ConvertGolden : public testing::TestWithParam<const char*> {};

TEST_P(ConvertGolden, ThereAndBackKeepsEveryBit) {
  const test::TempDir dir;
  make_adapter(dir / "a", kGolden / GetParam());
  const auto original = TorchFile::open(kGolden / GetParam());
  ASSERT_TRUE(original);

  ConvertOptions options{.durability = Durability::kFast};
  const auto there = convert(dir / "a", dir / "b", options);
  ASSERT_TRUE(there) << there.error().to_string();
  EXPECT_FALSE(there->in_place);
  ASSERT_EQ(there->adapters.size(), 1U);
  EXPECT_EQ(there->adapters[0].copied.size(), 3U);
  EXPECT_EQ(test::read_file(dir / "b/README.md"), "mine");
  EXPECT_EQ(test::read_file(dir / "b/training_args.bin"), "never opened");
  EXPECT_FALSE(fs::exists(dir / "b/adapter_model.bin"));
  EXPECT_TRUE(fs::exists(dir / "a/adapter_model.bin"));
  const auto safetensors = SafetensorsFile::open(dir / "b/adapter_model.safetensors");
  ASSERT_TRUE(safetensors) << safetensors.error().to_string();
  EXPECT_EQ(safetensors->metadata(), (Metadata{{"format", "pt"}}));
  expect_equal(*original, *safetensors);

  options.format = WeightsFormat::kBin;
  const auto back = convert(dir / "b", dir / "b", options);
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_TRUE(back->in_place);
  EXPECT_FALSE(fs::exists(dir / "b/adapter_model.safetensors"));
  EXPECT_EQ(test::read_file(dir / "b/README.md"), "mine");
  const auto again = TorchFile::open(dir / "b/adapter_model.bin");
  ASSERT_TRUE(again) << again.error().to_string();
  expect_equal(*original, *again);
}

TEST_P(ConvertGolden, ATorchFileWrittenAgainKeepsItsStorages) {
  const test::TempDir dir;
  make_adapter(dir / "a", kGolden / GetParam());
  ASSERT_TRUE(convert(dir / "a", dir / "a",
                      {.format = WeightsFormat::kBin, .durability = Durability::kFast}));
  const auto original = TorchFile::open(kGolden / GetParam());
  const auto again = TorchFile::open(dir / "a/adapter_model.bin");
  ASSERT_TRUE(again) << again.error().to_string();
  expect_equal(*original, *again);
}

INSTANTIATE_TEST_SUITE_P(Files, ConvertGolden,
                         testing::Values("torch-2.13/dtypes.pt", "torch-2.13/layouts.pt",
                                         "torch-2.13/shapes.pt", "torch-2.13/tied.pt",
                                         "torch-2.13/layouts_legacy.pt", "torch-2.13/many.pt",
                                         "torch-1.13/dtypes_legacy.pt"));

TEST(Convert, SharedStoragesStaySharedInATorchFile) {
  const test::TempDir dir;
  make_adapter(dir / "a", kGolden / "torch-2.13/tied.pt");
  ASSERT_TRUE(convert(dir / "a", dir / "a",
                      {.format = WeightsFormat::kBin, .durability = Durability::kFast}));
  const auto file = TorchFile::open(dir / "a/adapter_model.bin");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->find("a")->bytes().data(), file->find("b")->bytes().data());
  EXPECT_EQ(file->find("a")->bytes().data() + 12, file->find("d")->bytes().data());
}

TEST(Convert, AdaptersInFoldersBelowAreConvertedTogether) {
  const test::TempDir dir;
  make_adapter(dir / "a", kGolden / "torch-2.13/tied.pt");
  make_adapter(dir / "a/other", kGolden / "torch-2.13/shapes.pt");
  test::write_file(dir / "a/notes/x.txt", "no adapter");
  const auto done = convert(dir / "a", dir / "a", {.durability = Durability::kFast});
  ASSERT_TRUE(done) << done.error().to_string();
  ASSERT_EQ(done->adapters.size(), 2U);
  EXPECT_EQ(done->adapters[1].folder, "other");
  EXPECT_TRUE(fs::exists(dir / "a/adapter_model.safetensors"));
  EXPECT_TRUE(fs::exists(dir / "a/other/adapter_model.safetensors"));
  EXPECT_FALSE(fs::exists(dir / "a/other/adapter_model.bin"));
  EXPECT_EQ(test::read_file(dir / "a/notes/x.txt"), "no adapter");
}

struct Broken {
  const char* weights;
  const char* rule;
};

TEST(Convert, ABadFileLeavesTheDirectoryAsItWas) {
  const Broken cases[] = {{"malformed/TZ-11-crc.bin", "TZ-11"},
                          {"malformed/PK-03-global.bin", "PK-3"},
                          {"malformed/TZ-16-missing.bin", "TZ-16"}};
  for (const auto& broken : cases) {
    const test::TempDir dir;
    const auto weights = fs::path(FERRULE_TEST_DATA) / broken.weights;
    make_adapter(dir / "a", weights);
    for (const char* output : {"a", "b"}) {
      const auto done = convert(dir / "a", dir / output, {.durability = Durability::kFast});
      ASSERT_FALSE(done) << broken.rule;
      EXPECT_EQ(done.error().rule, broken.rule);
      EXPECT_EQ(done.error().path, (dir / "a/adapter_model.bin").string());
    }
    EXPECT_FALSE(fs::exists(dir / "b"));
    EXPECT_EQ(test::read_file(dir / "a/adapter_model.bin"), test::read_file(weights));
    EXPECT_EQ(std::distance(fs::directory_iterator(dir / "a"), {}), 4);
  }
}

/// A torch file of 18 MB: several threads copy it.
void make_large_adapter(const fs::path& directory) {
  constexpr std::uint64_t kRows = 24;
  constexpr std::uint64_t kColumns = 8191;  // No tensor ends on a page.
  std::vector<float> values(kRows * kRows * kColumns);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const std::vector<std::uint64_t> shape = {kRows, kColumns};
  std::vector<std::string> names;
  for (std::uint64_t i = 0; i < kRows; ++i) names.push_back("layer." + std::to_string(i));
  std::vector<NamedTensor> tensors;
  for (std::uint64_t i = 0; i < kRows; ++i) {
    const auto part = std::span(values).subspan(i * kRows * kColumns, kRows * kColumns);
    tensors.push_back(
        {names[i], TensorView::make(Dtype::kF32, shape, std::as_bytes(part)).value()});
  }
  test::write_file(directory / "adapter_config.json", "{\"peft_type\": \"LORA\"}");
  EXPECT_TRUE(write_torch_file(directory / "adapter_model.bin", tensors,
                               {.durability = ferrule::Durability::kFast}));
}

TEST(Convert, ALargeFileKeepsEveryBit) {
  for (const auto durability : {Durability::kFast, Durability::kSafe}) {
    const test::TempDir dir;
    make_large_adapter(dir / "a");
    ASSERT_TRUE(convert(dir / "a", dir / "b", {.durability = durability}));
    const auto original = TorchFile::open(dir / "a/adapter_model.bin");
    const auto converted = SafetensorsFile::open(dir / "b/adapter_model.safetensors");
    ASSERT_TRUE(original && converted);
    expect_equal(*original, *converted);
    EXPECT_EQ(fs::file_size(dir / "b/adapter_model.safetensors"), converted->file_bytes());
  }
}

TEST(Convert, AFlippedBitInALargeFileIsFound) {
  const test::TempDir dir;
  make_large_adapter(dir / "a");
  auto bytes = test::read_file(dir / "a/adapter_model.bin");
  for (const std::size_t at : {bytes.size() / 9, bytes.size() / 2, bytes.size() / 8 * 7}) {
    auto bad = bytes;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    test::write_file(dir / "a/adapter_model.bin", bad);
    const auto converted = convert(dir / "a", dir / "b", {.durability = Durability::kFast});
    ASSERT_FALSE(converted) << at;
    EXPECT_EQ(converted.error().rule, "TZ-11");
    EXPECT_FALSE(fs::exists(dir / "b"));
  }
}

TEST(Convert, WhatIsNoAdapterIsRefused) {
  const test::TempDir dir;
  fs::create_directory(dir / "empty");
  test::write_file(dir / "config/adapter_config.json", "{\"peft_type\": \"LORA\"}");
  test::write_file(dir / "weights/adapter_model.bin", "x");
  EXPECT_EQ(convert(dir / "empty", dir / "o").error().rule, "AD-16");
  EXPECT_EQ(convert(dir / "config", dir / "o").error().rule, "AD-15");
  EXPECT_EQ(convert(dir / "weights", dir / "o").error().rule, "AD-16");
  EXPECT_EQ(convert(dir / "none", dir / "o").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(fs::exists(dir / "o"));
}

// Such a folder can be opened by nobody, whatever its weights are.
TEST(Convert, AConfigThatIsNotJsonIsRefused) {
  const test::TempDir dir;
  make_adapter(dir / "a", kGolden / "torch-2.13/dtypes.pt");
  test::write_file(dir / "a/adapter_config.json", "{\"peft_type\": \"LORA\",");
  for (const auto format : {WeightsFormat::kSafetensors, WeightsFormat::kBin}) {
    for (const auto* output : {"b", "a"}) {
      const auto done =
          convert(dir / "a", dir / output, {.format = format, .durability = Durability::kFast});
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().rule, "CF-1");
    }
  }
  EXPECT_FALSE(fs::exists(dir / "b"));
  EXPECT_FALSE(fs::exists(dir / "a/adapter_model.safetensors"));
}

}  // namespace
}  // namespace ferrule
