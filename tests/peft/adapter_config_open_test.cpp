// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ferrule/adapter_config.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

TEST(AdapterConfigOpen, TakesTheFileOrItsFolder) {
  const test::TempDir folder;
  std::ofstream(folder.path() / "adapter_config.json") << R"({"peft_type": "LORA", "r": 4})";
  EXPECT_EQ(AdapterConfig::open(folder.path()).value().rank(), 4);
  EXPECT_EQ(AdapterConfig::open(folder.path() / "adapter_config.json").value().rank(), 4);
}

TEST(AdapterConfigOpen, AFolderWithoutOneIsNamed) {
  const test::TempDir folder;
  const auto config = AdapterConfig::open(folder.path());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(config.error().path, folder.path());
}

TEST(AdapterConfigOpen, WhatIsWrongInsideNamesTheFile) {
  const test::TempDir folder;
  std::ofstream(folder.path() / "adapter_config.json") << "[]";
  const auto config = AdapterConfig::open(folder.path());
  ASSERT_FALSE(config);
  EXPECT_FALSE(config.error().path.empty());
  EXPECT_TRUE(config.error().rule.starts_with("CF-"));
}

}  // namespace
}  // namespace ferrule
