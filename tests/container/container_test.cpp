// SPDX-License-Identifier: Apache-2.0
#include "container/container.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/tensor_source.hpp"
#include "io/input_file.hpp"
#include "temp_dir.hpp"

namespace ferrule::container {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;

const std::string kSafetensors = "\x08\0\0\0\0\0\0\0{}      "s;
const fs::path kTorch = FERRULE_TEST_DATA "/golden/torch/torch-2.13/shapes.pt";

Result<std::unique_ptr<TensorSource>> opened(const fs::path& path) {
  const auto file = io::InputFile::open(path);
  if (!file) return file.error();
  const auto kind = kind_of(*file);
  if (!kind) return kind.error();
  return open_container(*file, *kind, {});
}

TEST(Containers, AreKnownByTheirContentAlone) {
  const test::TempDir dir;
  const struct {
    const char* name;
    std::string content;
    FileKind kind;
  } rows[] = {
      {"a.bin", kSafetensors, FileKind::kSafetensors},
      {"a.safetensors", test::read_file(kTorch), FileKind::kTorchZip},
      {"b.safetensors", "", FileKind::kEmpty},
      {"c.safetensors", "<!DOCTYPE html><html>", FileKind::kHtml},
      {"d.pt", "GGUF\3\0\0\0"s + std::string(24, '\0'), FileKind::kGguf},
  };
  for (const auto& row : rows) {
    test::write_file(dir / row.name, row.content);
    const auto file = io::InputFile::open(dir / row.name);
    ASSERT_TRUE(file);
    EXPECT_EQ(kind_of(*file).value(), row.kind) << row.name;
  }
}

TEST(Containers, OpenWithTheReaderOfTheirFormat) {
  const test::TempDir dir;
  test::write_file(dir / "wrong.pt", kSafetensors);
  const auto safetensors = opened(dir / "wrong.pt");
  ASSERT_TRUE(safetensors) << safetensors.error().to_string();
  EXPECT_TRUE((*safetensors)->tensors().empty());
  const auto torch = opened(kTorch);
  ASSERT_TRUE(torch) << torch.error().to_string();
  EXPECT_FALSE((*torch)->tensors().empty());
}

TEST(Containers, OtherFilesAreRefusedByName) {
  const test::TempDir dir;
  test::write_file(dir / "g", "GGUF\3\0\0\0"s + std::string(24, '\0'));
  const auto gguf = opened(dir / "g");
  ASSERT_FALSE(gguf);
  EXPECT_EQ(gguf.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(gguf.error().rule, "ST-18");
  EXPECT_EQ(gguf.error().path, (dir / "g").string());
  EXPECT_NE(gguf.error().message.find("GGUF"), std::string::npos);
}

TEST(Containers, EmptyFilesGetTheSafetensorsRule) {
  const test::TempDir dir;
  test::write_file(dir / "e", "");
  const auto empty = opened(dir / "e");
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().rule, "ST-1");
}

TEST(Containers, AreHollowIfNoTensorHoldsAnything) {
  const std::vector<std::uint64_t> nothing = {0};
  const std::vector<std::uint64_t> one = {1};
  const std::vector<std::byte> byte(1);
  StateDict state;
  EXPECT_TRUE(is_hollow(state));
  ASSERT_TRUE(state.add("a", Dtype::kF32, nothing, {}));
  EXPECT_TRUE(is_hollow(state));
  ASSERT_TRUE(state.add("b", Dtype::kU8, one, byte));
  EXPECT_FALSE(is_hollow(state));
}

}  // namespace
}  // namespace ferrule::container
