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

}  // namespace
}  // namespace ferrule
