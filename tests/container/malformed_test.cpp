// SPDX-License-Identifier: Apache-2.0
// Every tests/malformed/ST-nn-*: refused, and for the rule in its name. A folder is a sharded
// checkpoint. Adding a case is adding a file (tools/make_malformed.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "ferrule/checkpoint.hpp"
#include "ferrule/safetensors_file.hpp"

namespace ferrule {
namespace {

std::vector<std::filesystem::path> malformed() {
  std::vector<std::filesystem::path> paths;
  const std::filesystem::path folder = std::filesystem::path(FERRULE_TEST_DATA) / "malformed";
  for (const auto& item : std::filesystem::directory_iterator(folder)) {
    if (item.path().filename().string().starts_with("ST-")) paths.push_back(item.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// "ST-07-hole.safetensors" -> "ST-7".
std::string rule_of(const std::filesystem::path& path) {
  return "ST-" + std::to_string(std::stoi(path.filename().string().substr(3, 2)));
}

class Malformed : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Malformed, IsRefusedForItsRule) {
  const auto& path = GetParam();
  for (const Backing backing : {Backing::kMap, Backing::kCopy}) {
    Error error;
    if (std::filesystem::is_directory(path)) {
      const auto checkpoint = Checkpoint::open(path, {.backing = backing});
      ASSERT_FALSE(checkpoint.has_value());
      error = checkpoint.error();
    } else {
      const auto file = SafetensorsFile::open(path, {.backing = backing});
      ASSERT_FALSE(file.has_value());
      error = file.error();
      EXPECT_FALSE(Checkpoint::open(path, {.backing = backing}).has_value());
    }
    EXPECT_EQ(error.rule, rule_of(path)) << error.message;
    EXPECT_TRUE(error.path.starts_with(path.string())) << error.path;
  }
}

INSTANTIATE_TEST_SUITE_P(St, Malformed, testing::ValuesIn(malformed()),
                         [](const testing::TestParamInfo<std::filesystem::path>& row) {
                           std::string name = row.param.stem().string();
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return c == '-'; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace ferrule
