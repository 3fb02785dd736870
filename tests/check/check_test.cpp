// SPDX-License-Identifier: Apache-2.0
#include "ferrule/check.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "model/shape_flow.hpp"
#include "model/transformers_names.hpp"
#include "temp_dir.hpp"

namespace ferrule::checks {
namespace {

using model::follow_shapes;
using model::Shape;
using model::TransformersNames;

TEST(ShapeFlow, ExpertsAreStackedAndJoined) {
  const std::vector<Shape> three(3, Shape{48, 32});
  const std::vector<Shape> expected = {{3, 96, 32}};
  EXPECT_EQ(follow_shapes("m0c1", {three, three}, 1), expected);
}

TEST(ShapeFlow, WhatDoesNotFitHasNoShape) {
  const std::vector<Shape> uneven = {{48, 32}, {47, 32}};
  EXPECT_TRUE(follow_shapes("m0", {uneven}, 1).empty());
  EXPECT_TRUE(follow_shapes("h0", {{{5, 2}}}, 2).empty());
  EXPECT_TRUE(follow_shapes("c7", {{{5, 2}}}, 1).empty());
  EXPECT_TRUE(follow_shapes("?", {{{5, 2}}}, 1).empty());
  EXPECT_TRUE(follow_shapes("c0", {{{1ULL << 63, 2}, {1ULL << 63, 2}}}, 1).empty());
}

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

TEST(Check, ManyAnswersStandInTheOrderAsked) {
  const test::TempDir dir;
  test::write_file(dir / "config.json", R"({"model_type": "llama"})");
  const auto base = BaseModel::open(dir / "config.json");
  ASSERT_TRUE(base) << base.error().to_string();
  EXPECT_FALSE(base->has_tensors());
  const std::vector<std::filesystem::path> none = {dir / "a", dir / "b"};
  const auto reports = check(none, *base, {.threads = 2});
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_FALSE(reports[0]);
  EXPECT_EQ(reports[1].error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ferrule::checks
