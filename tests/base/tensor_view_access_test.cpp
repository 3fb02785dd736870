// SPDX-License-Identifier: Apache-2.0
#include "base/tensor_view_access.hpp"

#include <gtest/gtest.h>

#include <array>

namespace ferrule {
namespace {

TEST(TensorViewAccess, TakesWhatTheCallerHasChecked) {
  constexpr std::array<std::uint64_t, 2> kShape = {2, 3};
  constexpr std::array<std::byte, 6> kBytes = {};
  const auto view = TensorViewAccess::unchecked(Dtype::kU8, kShape, kBytes);
  EXPECT_EQ(view.dtype(), Dtype::kU8);
  EXPECT_EQ(view.shape().data(), kShape.data());
  EXPECT_EQ(view.bytes().data(), kBytes.data());
  EXPECT_EQ(view.element_count(), 6U);
  // The checked constructor agrees, and refuses a byte less.
  EXPECT_TRUE(TensorView::make(Dtype::kU8, kShape, kBytes));
  EXPECT_FALSE(TensorView::make(Dtype::kU8, kShape, std::span(kBytes).first(5)));
}

TEST(TensorViewAccess, MovesAViewToTheSameOffsetOfOtherData) {
  constexpr std::array<std::uint64_t, 1> kShape = {2};
  constexpr std::array<std::uint64_t, 1> kNone = {0};
  constexpr std::array<std::byte, 6> kOld = {};
  constexpr std::array<std::byte, 6> kNew = {};
  const auto old = TensorViewAccess::unchecked(Dtype::kU8, kShape, std::span(kOld).subspan(3, 2));
  const auto moved = TensorViewAccess::moved(old, kOld.data(), kNew.data());
  EXPECT_EQ(moved.dtype(), Dtype::kU8);
  EXPECT_EQ(moved.shape().data(), kShape.data());
  EXPECT_EQ(moved.bytes().data(), kNew.data() + 3);
  EXPECT_EQ(moved.bytes().size(), 2U);
  // A tensor without bytes is anywhere.
  const auto empty = TensorViewAccess::unchecked(Dtype::kU8, kNone, {});
  EXPECT_TRUE(TensorViewAccess::moved(empty, kOld.data(), kNew.data()).bytes().empty());
}

}  // namespace
}  // namespace ferrule
