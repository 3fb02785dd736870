// SPDX-License-Identifier: Apache-2.0
#include "model/transformers_names.hpp"

#include <gtest/gtest.h>

#include "ferrule/json.hpp"

namespace ferrule::model {
namespace {

TEST(TransformersNames, MixtralOnDiskBecomesFusedExperts) {
  const auto config = Json::parse(R"({"model_type": "mixtral"})");
  ASSERT_TRUE(config);
  const auto names = TransformersNames::make(*config, "MixtralForCausalLM");
  ASSERT_TRUE(names) << names.error().to_string();
  const auto up = names->rename("model.layers.1.block_sparse_moe.experts.2.w3.weight");
  ASSERT_TRUE(up);
  EXPECT_EQ(up->name, "model.layers.1.mlp.experts.gate_up_proj");
  EXPECT_EQ(up->source, 1U);
  ASSERT_NE(up->converter, nullptr);
  const auto query = names->rename("model.layers.1.self_attn.q_proj.weight");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->name, "model.layers.1.self_attn.q_proj.weight");
  EXPECT_TRUE(names->converts_experts());
}

TEST(TransformersNames, NothingIsRenamedWithoutAType) {
  const auto names = TransformersNames::make(Json(), "");
  ASSERT_TRUE(names);
  EXPECT_TRUE(names->empty());
}

}  // namespace
}  // namespace ferrule::model
