// SPDX-License-Identifier: Apache-2.0
#include "hub/files/push_choice.hpp"

#include <gtest/gtest.h>

namespace ferrule::hub {
namespace {

TEST(HubPushChoice, PatternsMatchNamesPathsAndFolders) {
  EXPECT_TRUE(matches_path("*.csv", "a/b.csv"));
  EXPECT_TRUE(matches_path("b.csv", "a/b.csv"));
  EXPECT_TRUE(matches_path("a", "a/b.csv"));
  EXPECT_TRUE(matches_path("a/", "a/b/c.csv"));
  EXPECT_TRUE(matches_path("a/b", "a/b/c.csv"));
  EXPECT_TRUE(matches_path("a/*.csv", "a/b/c.csv"));
  EXPECT_TRUE(matches_path("?.csv", "a/b.csv"));
  EXPECT_FALSE(matches_path("csv", "a/b.csv"));
  EXPECT_FALSE(matches_path("b/", "a/b"));
  EXPECT_FALSE(matches_path("", "a"));
  EXPECT_FALSE(matches_path("a/b.csv", "b.csv"));
}

TEST(HubPushChoice, LargeTextIsNotConfiguration) {
  const PushOptions options;
  const PushChoice choice(options);
  const auto root = describe_push_folder("", {"adapter_config.json"});
  EXPECT_EQ(choice.why_not(root, "notes.json", 100), "");
  EXPECT_EQ(choice.why_not(root, "notes.json", 100'000'000), "not part of an adapter");
  EXPECT_EQ(choice.why_not(root, "tokenizer.json", 100'000'000), "");
  EXPECT_EQ(choice.why_not(root, "adapter_model.safetensors", 100'000'000), "");
  const auto other = describe_push_folder("eval/", {"results.json"});
  EXPECT_EQ(choice.why_not(other, "results.json", 100), "not part of an adapter");
  EXPECT_EQ(choice.why_not(other, "model.safetensors", 100), "not part of an adapter");
  const auto module = describe_push_folder("2_Dense/", {"config.json", "model.safetensors"});
  EXPECT_EQ(choice.why_not(module, "model.safetensors", 100'000'000), "");
}

}  // namespace
}  // namespace ferrule::hub
