// SPDX-License-Identifier: Apache-2.0
#include "ferrule/tensor_source.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ferrule {
namespace {

using Shape = std::vector<std::uint64_t>;

constexpr std::array<std::byte, 8> kBytes = {std::byte{1}, std::byte{2}, std::byte{3},
                                             std::byte{4}, std::byte{5}, std::byte{6},
                                             std::byte{7}, std::byte{8}};

TEST(StateDicts, AreEmptyAtFirst) {
  const StateDict state;
  EXPECT_TRUE(state.tensors().empty());
  EXPECT_TRUE(state.aliases().empty());
  EXPECT_FALSE(state.find(""));
}

TEST(StateDicts, ListTensorsInTheOrderInWhichTheyWereAdded) {
  StateDict state;
  for (const auto* name : {"b", "a", "", "c"}) {
    ASSERT_TRUE(state.add(name, Dtype::kF32, Shape{2}, kBytes));
  }
  std::vector<std::string> names;
  for (const auto& tensor : state.tensors()) names.emplace_back(tensor.name);
  EXPECT_EQ(names, (std::vector<std::string>{"b", "a", "", "c"}));
}

TEST(StateDicts, CopyNamesAndShapesButNotBytes) {
  StateDict state;
  {
    std::string name = "w";
    Shape shape = {2, 1};
    ASSERT_TRUE(state.add(name, Dtype::kF32, shape, kBytes));
    name = "x";
    shape = {0, 0};
  }
  const auto view = state.find("w");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->dtype(), Dtype::kF32);
  EXPECT_EQ(view->bytes().data(), kBytes.data());
  EXPECT_EQ(Shape(view->shape().begin(), view->shape().end()), (Shape{2, 1}));
}

TEST(StateDicts, RefuseANameTwiceAndKeepTheFirst) {
  StateDict state;
  ASSERT_TRUE(state.add("w", Dtype::kF32, Shape{2}, kBytes));
  const auto second = state.add("w", Dtype::kU8, Shape{8}, kBytes);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(second.error().message.find("\"w\""), std::string::npos);
  EXPECT_EQ(state.tensors().size(), 1U);
  EXPECT_EQ(state.find("w")->dtype(), Dtype::kF32);
}

TEST(StateDicts, RefuseASizeThatDoesNotFitAndStayAsTheyWere) {
  StateDict state;
  const auto added = state.add("w", Dtype::kF32, Shape{3}, kBytes);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(added.error().message, "tensor \"w\": the shape needs 12 bytes, got 8");
  EXPECT_FALSE(state.find("w"));
  EXPECT_TRUE(state.add("w", Dtype::kF32, Shape{2}, kBytes));
}

TEST(StateDicts, ViewsSurviveGrowthAndAMove) {
  StateDict state;
  ASSERT_TRUE(state.add("first", Dtype::kU8, Shape{8}, kBytes));
  const auto before = *state.find("first");
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(state.add(std::to_string(i), Dtype::kU8, Shape{8}, kBytes));
  }
  const StateDict moved = std::move(state);
  EXPECT_EQ(before.shape().data(), moved.find("first")->shape().data());
  EXPECT_EQ(before.shape()[0], 8U);
  EXPECT_EQ(moved.tensors().front().name, "first");
  EXPECT_EQ(moved.tensors().size(), 1001U);
}

TEST(StateDicts, AreInNoFile) {
  StateDict state;
  ASSERT_TRUE(state.add("a", Dtype::kF32, Shape{2}, kBytes));
  EXPECT_EQ(state.range("a").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(state.range("b").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ferrule
