// SPDX-License-Identifier: Apache-2.0
#include "ferrule/method_roles.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ferrule {
namespace {

bool has(std::string_view peft_type, std::string_view role, bool is_of_model) {
  const auto roles = method_roles(peft_type);
  return std::any_of(roles.begin(), roles.end(), [&](const MethodRole& one) {
    return one.role == role && one.is_of_model == is_of_model;
  });
}

// What PEFT's own files have is compared in tests/adapter/adapter_test.cpp.
TEST(MethodRoles, OfAModuleAndOfTheWholeModel) {
  EXPECT_TRUE(has("LORA", "lora_A", false));
  EXPECT_TRUE(has("LORA", "lora_magnitude_vector", false));
  EXPECT_TRUE(has("VERA", "vera_lambda_b", false));
  EXPECT_TRUE(has("VERA", "vera_A", true));
  EXPECT_TRUE(has("PROMPT_TUNING", "prompt_embeddings", true));
  EXPECT_TRUE(has("MULTITASK_PROMPT_TUNING", "prefix_task_rows", true));
}

TEST(MethodRoles, WithoutWhatIsNeverSaved) {
  EXPECT_TRUE(has("ADALORA", "lora_E", false));
  EXPECT_FALSE(has("ADALORA", "ranknum", false));
  EXPECT_TRUE(method_roles("NOTHING").empty());
}

}  // namespace
}  // namespace ferrule
