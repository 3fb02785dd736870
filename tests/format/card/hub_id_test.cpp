// SPDX-License-Identifier: Apache-2.0
#include "format/card/hub_id.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

TEST(HubId, IsANameOrANamespaceAndAName) {
  for (const std::string_view good :
       {"gpt2", "toy/base", "meta-llama/Llama-3.1-8B", "a/b_c.d-e", "0/1", "bert-base-uncased"}) {
    EXPECT_TRUE(is_hub_id(good)) << good;
  }
}

TEST(HubId, IsNeverALocalPath) {
  const std::string_view bad[] = {"",
                                  "/",
                                  "/data/llama",
                                  "./llama",
                                  "../llama",
                                  "~/llama",
                                  "a/b/c",
                                  "C:\\llama",
                                  "C:/llama",
                                  "..",
                                  ".",
                                  "a/",
                                  "/a",
                                  "a//b",
                                  "file:///a/b",
                                  "https://huggingface.co/a/b",
                                  "a\\b",
                                  "a/..",
                                  "../a",
                                  "out/checkpoint-500",
                                  "checkpoint-1",
                                  "llama.gguf",
                                  "a/b.safetensors",
                                  "my model",
                                  "a/b\n",
                                  "-a/b",
                                  "a/b-",
                                  ".cache/b",
                                  "a--b/c",
                                  "\xc3\xa9/b",
                                  "\\\\host\\share",
                                  "a/b.git",
                                  "s3://a/b"};
  for (const std::string_view name : bad) EXPECT_FALSE(is_hub_id(name)) << name;
  EXPECT_FALSE(is_hub_id("a/" + std::string(97, 'b')));
}

}  // namespace
}  // namespace ferrule::format
