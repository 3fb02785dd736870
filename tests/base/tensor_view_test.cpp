// SPDX-License-Identifier: Apache-2.0
#include "ferrule/tensor_view.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ferrule {
namespace {

using Shape = std::vector<std::uint64_t>;

alignas(8) constexpr std::array<std::byte, 16> kBytes = {};

std::span<const std::byte> bytes(std::size_t count) { return std::span(kBytes).first(count); }

TEST(TensorViews, TakeExactlyTheBytesOfTheirShape) {
  struct Row {
    const char* what;
    Dtype dtype;
    Shape shape;
    std::size_t size;
    bool fits;
  };
  const Row rows[] = {
      {"matrix", Dtype::kF32, {2, 2}, 16, true},
      {"scalar", Dtype::kF64, {}, 8, true},
      {"empty", Dtype::kF32, {0, 7}, 0, true},
      {"F4 pair", Dtype::kF4, {2}, 1, true},
      {"short", Dtype::kF32, {2, 2}, 15, false},
      {"long", Dtype::kF32, {2}, 12, false},
      {"half a byte", Dtype::kF4, {1}, 1, false},
      {"size wraps to 0", Dtype::kF32, {1ULL << 62, 4}, 0, false},
      {"bits wrap to 0", Dtype::kF32, {1ULL << 59}, 0, false},
  };
  for (const auto& row : rows) {
    const auto view = TensorView::make(row.dtype, row.shape, bytes(row.size));
    ASSERT_EQ(view.has_value(), row.fits) << row.what;
    if (!row.fits) {
      EXPECT_EQ(view.error().code, ErrorCode::kInvalidArgument) << row.what;
    }
  }
}

TEST(TensorViews, DefaultToAnEmptyF32) {
  const TensorView view;
  EXPECT_EQ(view.dtype(), Dtype::kF32);
  EXPECT_EQ(view.element_count(), 0U);
  ASSERT_EQ(view.shape().size(), 1U);
  EXPECT_EQ(view.shape()[0], 0U);
  EXPECT_TRUE(view.bytes().empty());
}

TEST(TensorViews, GiveElementsOfTheirOwnDtypeOnly) {
  const Shape shape = {4};
  const auto view = TensorView::make(Dtype::kF32, shape, bytes(16)).value();
  ASSERT_TRUE(view.as<float>());
  EXPECT_EQ(view.as<float>()->size(), 4U);
  EXPECT_FALSE(view.as<std::int32_t>());
  EXPECT_FALSE(view.as<double>());
}

TEST(TensorViews, GiveNoMisalignedElements) {
  const Shape shape = {1};
  const auto odd = std::span(kBytes).subspan(1, 4);
  EXPECT_FALSE(TensorView::make(Dtype::kF32, shape, odd).value().as<float>());
  const auto byte = std::span(kBytes).subspan(1, 1);
  EXPECT_TRUE(TensorView::make(Dtype::kU8, shape, byte).value().as<std::uint8_t>());
}

TEST(TensorViews, ReadLittleEndianElements) {
  alignas(4) const std::array<std::byte, 4> one = {std::byte{0}, std::byte{0}, std::byte{0x80},
                                                   std::byte{0x3f}};
  const Shape shape = {1};
  EXPECT_EQ((*TensorView::make(Dtype::kF32, shape, one).value().as<float>())[0], 1.0F);
}

}  // namespace
}  // namespace ferrule
