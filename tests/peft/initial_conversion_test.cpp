// SPDX-License-Identifier: Apache-2.0
#include "peft/initial_conversion.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "state.hpp"

namespace ferrule::peft {
namespace {

std::vector<float> floats(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

AdapterConfig lora(std::vector<Json::Member> fields = {}) {
  fields.emplace_back("r", Json(2));
  return config("LORA", std::move(fields));
}

/// kLoraKeys of rank 2.
State saved() {
  State state;
  state.add(kLoraKeys[0], {2, 4}).add(kLoraKeys[1], {4, 2});
  return state;
}

Selection trained(const State& state, AdapterConfig config) {
  Selection selection{{}, std::move(config), {}, {}};
  for (const auto& key : kLoraKeys) {
    selection.tensors.push_back(container::stream_of(key, *state.dict().find(key)));
  }
  return selection;
}

// LoraModel.subtract_mutated_init: B A - B0 A0 is [B, -B0] [A; A0].
TEST(InitialConversion, TheUpdateIsTheDifferenceOfTheTwo) {
  const auto now = saved(), then = saved();
  auto selection =
      trained(now, lora({{"init_lora_weights", Json("pissa")}, {"lora_alpha", Json(4)}}));
  ASSERT_TRUE(convert_from_initial(selection, lora(), then.dict()));
  EXPECT_EQ(selection.tensors[0].shape, (std::vector<std::uint64_t>{4, 4}));
  EXPECT_EQ(selection.tensors[1].shape, (std::vector<std::uint64_t>{4, 4}));
  const auto a = floats(selection.tensors[0].bytes);
  const auto b = floats(selection.tensors[1].bytes);
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t column = 0; column < 4; ++column) {
      float sum = 0;
      for (std::size_t k = 0; k < 4; ++k) sum += b[row * 4 + k] * a[k * 4 + column];
      EXPECT_EQ(sum, 0) << "trained and initial are equal, so the update is zero";
    }
  }
  EXPECT_EQ(selection.config.rank(), 4);
  EXPECT_EQ(selection.config.alpha(), 8.0);
  EXPECT_TRUE(selection.config.flag("init_lora_weights"));
}

TEST(InitialConversion, AnotherShapeOrAMissingTensorIsRefused) {
  const auto now = saved();
  State other;
  other.add(kLoraKeys[0], {2, 5}).add(kLoraKeys[1], {4, 2});
  auto selection = trained(now, lora());
  EXPECT_EQ(convert_from_initial(selection, lora(), other.dict()).error().rule, "KY-10");
  State half;
  half.add(kLoraKeys[0], {2, 4});
  selection = trained(now, lora());
  const auto failed = convert_from_initial(selection, lora(), half.dict());
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find(kLoraKeys[1]), std::string::npos);
}

TEST(InitialConversion, AnInitialAdapterThatWouldChangeTheBaseAgainIsRefused) {
  const auto now = saved(), then = saved();
  const auto pissa = lora({{"init_lora_weights", Json("pissa")}});
  auto selection = trained(now, pissa);
  EXPECT_EQ(convert_from_initial(selection, pissa, then.dict()).error().code,
            ErrorCode::kUnsupported);
  selection = trained(now, pissa);
  EXPECT_TRUE(convert_from_initial(selection, pissa, then.dict(), true)) << "trusted";
}

TEST(InitialConversion, TheInitializationTellsWhetherTheBaseWasChanged) {
  for (const auto* init : {"pissa", "pissa_niter_4", "olora", "corda", "lora_ga"}) {
    EXPECT_TRUE(trained_on_changed_base(lora({{"init_lora_weights", Json(init)}}))) << init;
  }
  EXPECT_TRUE(trained_on_changed_base(
      lora({{"init_lora_weights", Json("loftq")},
            {"loftq_config", Json(Json::Object{{"loftq_bits", Json(4)}})}})));
  EXPECT_FALSE(trained_on_changed_base(lora()));
  EXPECT_FALSE(trained_on_changed_base(lora({{"init_lora_weights", Json("gaussian")}})));
}

TEST(InitialConversion, PatternsWithRsLoraAreRefused) {
  const auto now = saved(), then = saved();
  auto selection = trained(now, lora({{"use_rslora", Json(true)},
                                      {"rank_pattern", Json(Json::Object{{"q", Json(2)}})}}));
  EXPECT_EQ(convert_from_initial(selection, lora(), then.dict()).error().rule, "KY-10");
}

}  // namespace
}  // namespace ferrule::peft
