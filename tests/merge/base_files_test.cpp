// SPDX-License-Identifier: Apache-2.0
#include "merge/base_files.hpp"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <vector>

#include "ferrule/safetensors_writer.hpp"
#include "temp_dir.hpp"

namespace ferrule::merging {
namespace {

using test::TempDir;

void write_base(const std::filesystem::path& folder, float value) {
  const std::array<float, 6> numbers{value, 2, 3, 4, 5, 6};
  const std::array<std::uint64_t, 2> shape{2, 3};
  const auto bytes = std::as_bytes(std::span(numbers));
  const std::vector<NamedTensor> tensors{
      {"a.weight", TensorView::make(Dtype::kF32, shape, bytes).value()},
      {"b.weight", TensorView::make(Dtype::kF32, shape, bytes).value()}};
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}}).value();
}

TEST(BaseFiles, KnowsWhereTensorsAreAndWhatIsBeside) {
  const TempDir dir;
  write_base(dir.path(), 1);
  for (const auto* name : {"config.json", "notes.txt", "pytorch_model.bin", "model.gguf"}) {
    std::ofstream(dir.path() / name) << "{}";
  }
  std::filesystem::create_directory(dir.path() / "folder");
  const auto base = BaseFiles::open(dir.path(), {}).value();
  ASSERT_EQ(base.tensors().size(), 2U);
  EXPECT_EQ(base.find("b.weight")->offset, base.find("a.weight")->offset + 24);
  EXPECT_EQ(base.find("c.weight"), nullptr);
  EXPECT_EQ(base.others(), (std::vector<std::string>{"config.json", "notes.txt"}));
  EXPECT_EQ(base.left_out(), (std::vector<std::string>{"model.gguf", "pytorch_model.bin"}));
  EXPECT_EQ(base.folders(), std::vector<std::string>{"folder"});
}

TEST(BaseFiles, NoticesThatTheBaseChanged) {
  const TempDir dir;
  write_base(dir.path(), 1);
  const auto base = BaseFiles::open(dir.path(), {}).value();
  EXPECT_TRUE(base.check_unchanged());
  write_base(dir.path(), 9);
  const auto changed = base.check_unchanged();
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().rule, "MG-7");
}

TEST(BaseFiles, ASecondNameIsNoChange) {
  const TempDir dir;
  write_base(dir.path(), 1);
  const auto base = BaseFiles::open(dir.path(), {}).value();
  std::filesystem::create_hard_link(dir.path() / "model.safetensors", dir.path() / "other");
  EXPECT_TRUE(base.check_unchanged());
}

TEST(BaseFiles, RefusesAFolderWithoutWeights) {
  const TempDir dir;
  const auto base = BaseFiles::open(dir.path(), {});
  ASSERT_FALSE(base);
  EXPECT_EQ(base.error().rule, "MG-4");
}

}  // namespace
}  // namespace ferrule::merging
