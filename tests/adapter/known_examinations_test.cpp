// SPDX-License-Identifier: Apache-2.0
// Adapters that differ in their values only share what was found in the first of them.
#include "adapter/known_examinations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/verify.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using test::TempDir;

const fs::path kLora = fs::path(FERRULE_TEST_DATA) / "golden/cases/lora/expected";

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// The adapter of the golden case with all bytes of its tensors replaced.
void write_like(const fs::path& folder, char fill) {
  fs::create_directories(folder);
  fs::copy_file(kLora / "adapter_config.json", folder / "adapter_config.json",
                fs::copy_options::overwrite_existing);
  auto weights = content_of(kLora / "adapter_model.safetensors");
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(weights[i]);
  std::fill(weights.begin() + static_cast<std::ptrdiff_t>(8 + length), weights.end(), fill);
  test::write_file(folder / "adapter_model.safetensors", weights);
}

void expect_filled(const Adapter& adapter, char fill) {
  ASSERT_FALSE(adapter.modules().empty());
  std::size_t listed = 0;
  for (const auto& module : adapter.modules()) {
    for (const auto& tensor : module.tensors()) {
      ++listed;
      for (const auto byte : tensor.tensor.bytes()) ASSERT_EQ(static_cast<char>(byte), fill);
      const auto* found = adapter.find(tensor.key);
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->tensor.bytes().data(), tensor.tensor.bytes().data());
    }
    ASSERT_NE(module.find("lora_A"), nullptr);
    EXPECT_NE(module.strength(), 1.0);
  }
  EXPECT_EQ(listed, adapter.tensors().size());
  for (const auto& [key, view] : adapter.state_dict("x")) {
    EXPECT_EQ(static_cast<char>(view.bytes()[0]), fill) << key;
  }
}

TEST(KnownExaminations, AdaptersAlikeHaveTheirOwnValuesAndPlaces) {
  const TempDir dir;
  write_like(dir / "x", 1);
  write_like(dir / "y", 2);
  auto first = std::make_unique<Adapter>(Adapter::open(dir / "x").value());
  const auto second = Adapter::open(dir / "y");
  ASSERT_TRUE(second) << second.error().to_string();
  expect_filled(*first, 1);
  expect_filled(*second, 2);
  EXPECT_NE(AdapterAccess::likeness(*first), nullptr);
  EXPECT_EQ(AdapterAccess::likeness(*first), AdapterAccess::likeness(*second));
  const auto copied = Adapter::open(dir / "y", {.backing = Backing::kCopy});
  ASSERT_TRUE(copied) << copied.error().to_string();
  EXPECT_EQ(AdapterAccess::likeness(*first), AdapterAccess::likeness(*copied));
  expect_filled(*copied, 2);
  EXPECT_EQ(second->directory(), dir / "y");
  EXPECT_EQ(second->weights_file(), dir / "y/adapter_model.safetensors");
  EXPECT_EQ(second->range(second->tensors()[0].key).value().path,
            dir / "y/adapter_model.safetensors");
  first.reset();
  fs::remove_all(dir / "x");
  expect_filled(*second, 2);
}

TEST(KnownExaminations, AnotherConfigIsAnotherAdapter) {
  const TempDir dir;
  write_like(dir / "x", 1);
  const auto first = Adapter::open(dir / "x");
  ASSERT_TRUE(first);
  auto config = AdapterConfig::open(dir / "x");
  ASSERT_TRUE(config);
  ASSERT_TRUE(config->set("lora_alpha", 64));
  test::write_file(dir / "x/adapter_config.json", config->to_json());
  const auto second = Adapter::open(dir / "x");
  ASSERT_TRUE(second);
  EXPECT_NE(second->modules()[0].strength(), first->modules()[0].strength());
  EXPECT_NE(AdapterAccess::likeness(*first), AdapterAccess::likeness(*second));
}

TEST(KnownExaminations, WhatIsWrongIsSaidOfEachFolder) {
  const TempDir dir;
  for (const auto* name : {"x", "y"}) {
    write_like(dir / name, 1);
    auto config = AdapterConfig::open(dir / name);
    ASSERT_TRUE(config->set("r", 99));
    test::write_file(dir / name / "adapter_config.json", config->to_json());
    const auto opened = Adapter::open(dir / name);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().path, (dir / name / "adapter_model.safetensors").string());
    const auto seen = Adapter::open(dir / name, {.allow_errors = true});
    ASSERT_TRUE(seen);
    EXPECT_EQ(AdapterAccess::likeness(*seen), nullptr);
    for (const auto& finding : seen->findings()) {
      EXPECT_TRUE(finding.path.starts_with((dir / name).string())) << finding.path;
    }
  }
}

TEST(KnownExaminations, ThreadsOpenAdaptersAlike) {
  const TempDir dir;
  constexpr int kThreads = 4;
  for (int i = 0; i < kThreads; ++i) write_like(dir / std::to_string(i), static_cast<char>(i + 1));
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&dir, i] {
      for (int round = 0; round < 20; ++round) {
        const auto adapter = Adapter::open(dir / std::to_string(i));
        ASSERT_TRUE(adapter) << adapter.error().to_string();
        expect_filled(*adapter, static_cast<char>(i + 1));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace ferrule
