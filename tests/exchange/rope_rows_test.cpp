// SPDX-License-Identifier: Apache-2.0
#include "exchange/rope_rows.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ferrule::exchange {
namespace {

using Rows = std::vector<std::uint32_t>;

// transformers' convert_llama_weights_to_hf.py: view(heads, width / 2, 2, -1).transpose(1, 2).
TEST(RopeRows, PairsBecomeHalvesHeadByHead) {
  EXPECT_EQ(*halved_rows(2, 4), (Rows{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(*halved_rows(1, 6), (Rows{0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(*paired_rows(1, 6), (Rows{0, 3, 1, 4, 2, 5}));
}

TEST(RopeRows, OneOrderUndoesTheOther) {
  const auto there = paired_rows(3, 8), back = halved_rows(3, 8);
  for (std::uint32_t row = 0; row < there->size(); ++row) EXPECT_EQ((*there)[(*back)[row]], row);
}

TEST(RopeRows, OnlyQueriesAndKeysMove) {
  const RowMover mover({.query = 2, .key_value = 1, .width = 4}, halved_rows);
  const auto rows = Values::owned({0, 1, 2, 3}, {4, 1}, Dtype::kF32);
  EXPECT_EQ(mover.move("layers.0.k_proj", rows).value().all(), (std::vector<double>{0, 2, 1, 3}));
  EXPECT_EQ(mover.move("layers.0.v_proj", rows).value().all(), rows.all());
  EXPECT_EQ(RowMover().move("layers.0.k_proj", rows).value().all(), rows.all());
  // EX-8
  EXPECT_EQ(mover.move("layers.0.q_proj", rows).error().rule, "EX-8");
}

BaseFacts base(Json config) {
  BaseFacts facts;
  facts.components[""].config = std::move(config);
  return facts;
}

TEST(RopeRows, HeadsFollowTransformersDefaults) {
  const auto plain =
      heads_of(base(Json::Object{{"num_attention_heads", 4}, {"hidden_size", 32}}), "x").value();
  EXPECT_EQ(plain.query, 4U);
  EXPECT_EQ(plain.key_value, 4U);
  EXPECT_EQ(plain.width, 8U);
  const auto grouped = heads_of(base(Json::Object{{"num_attention_heads", 4},
                                                  {"num_key_value_heads", 2},
                                                  {"head_dim", 16},
                                                  {"hidden_size", 32}}),
                                "x")
                           .value();
  EXPECT_EQ(grouped.key_value, 2U);
  EXPECT_EQ(grouped.width, 16U);
}

// EX-4
TEST(RopeRows, WithoutABaseTheReasonIsGiven) {
  const auto none = heads_of({}, "rows are in pairs");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().rule, "EX-4");
  EXPECT_NE(none.error().message.find("rows are in pairs"), std::string::npos);
  EXPECT_EQ(heads_of(base(Json::Object{{"num_attention_heads", -4}, {"hidden_size", 32}}), "x")
                .error()
                .rule,
            "EX-4");
}

}  // namespace
}  // namespace ferrule::exchange
