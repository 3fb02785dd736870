// SPDX-License-Identifier: Apache-2.0
#include "exchange/values.hpp"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <random>
#include <vector>

namespace ferrule::exchange {
namespace {

using Numbers = std::vector<double>;

/// A tensor of 0, 1, 2 ... whose memory lives as long as the test.
struct Counted {
  std::vector<float> numbers;
  Shape shape;
  explicit Counted(Shape extents, float first = 0) : shape(std::move(extents)) {
    std::uint64_t count = 1;
    for (const auto extent : shape) count *= extent;
    numbers.resize(count);
    std::iota(numbers.begin(), numbers.end(), first);
  }
  Values values() const {
    return Values::of(
        TensorView::make(Dtype::kF32, shape, std::as_bytes(std::span(numbers))).value());
  }
};

// What torch makes of these bytes.
TEST(Values, FloatsOfEightBitsAreHalvesExactly) {
  const std::array bytes = {std::byte{0x38}, std::byte{0xB8}, std::byte{0x01}, std::byte{0x7E}};
  const Shape shape = {2, 2};
  const auto small = [&](Dtype dtype) {
    return Values::of(TensorView::make(dtype, shape, bytes).value());
  };
  EXPECT_EQ(small(Dtype::kF8E4M3).all(), (Numbers{1, -1, 0.001953125, 448}));
  EXPECT_EQ(small(Dtype::kF8E5M2).slice(0, 0, 1).all(), (Numbers{0.5, -0.5}));
  EXPECT_EQ(small(Dtype::kF8E4M3).dtype(), Dtype::kF16);
}

TEST(Values, TransposesCutsAndTakesRows) {
  const Counted counted({2, 3});
  EXPECT_EQ(counted.values().transposed().all(), (Numbers{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(counted.values().slice(1, 1, 2).all(), (Numbers{1, 2, 4, 5}));
  const auto order =
      std::make_shared<const std::vector<std::uint32_t>>(std::vector<std::uint32_t>{2, 0, 1});
  const auto gathered = counted.values().gathered(1, order);
  EXPECT_EQ(gathered.all(), (Numbers{2, 0, 1, 5, 3, 4}));
  EXPECT_EQ(gathered.transposed().all(), (Numbers{2, 5, 0, 3, 1, 4}));
  EXPECT_EQ(gathered.gathered(1, order).all(), (Numbers{1, 2, 0, 4, 5, 3}));
  EXPECT_EQ(gathered.slice(1, 1, 2).all(), (Numbers{0, 1, 3, 4}));
}

TEST(Values, PutsPartsTogether) {
  const Counted a({2, 2}), b({2, 2}, 10);
  const std::array both = {a.values(), b.values()};
  EXPECT_EQ(Values::concatenated(both, 0).all(), (Numbers{0, 1, 2, 3, 10, 11, 12, 13}));
  EXPECT_EQ(Values::concatenated(both, 1).all(), (Numbers{0, 1, 10, 11, 2, 3, 12, 13}));
  EXPECT_EQ(Values::interleaved(both, 1).all(), (Numbers{0, 10, 1, 11, 2, 12, 3, 13}));
  EXPECT_EQ(Values::interleaved(both, 1).slice(1, 1, 2, 2).all(), b.values().all());
  EXPECT_EQ(Values::block_diagonal(both).all(),
            (Numbers{0, 1, 0, 0, 2, 3, 0, 0, 0, 0, 10, 11, 0, 0, 12, 13}));
  EXPECT_EQ(Values::stacked(both).shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(Values::stacked(both).slice(0, 1, 1).without_axis(0).all(), b.values().all());
  EXPECT_EQ(a.values().padded(1, 3).scaled(2).all(), (Numbers{0, 2, 0, 4, 6, 0}));
  // Rows of one part that are moved while others stay where they are.
  const auto swap =
      std::make_shared<const std::vector<std::uint32_t>>(std::vector<std::uint32_t>{3, 1, 2, 0});
  EXPECT_EQ(Values::concatenated(both, 0).gathered(0, swap).all(),
            (Numbers{12, 13, 2, 3, 10, 11, 0, 1}));
}

TEST(Values, ReadsAnyPartAsTheWhole) {
  const Counted a({3, 4}), b({5, 4}, 100);
  const std::array both = {a.values().transposed(), b.values().transposed()};
  const auto joined = Values::interleaved(
      std::array{Values::concatenated(both, 1), Values::concatenated(both, 1).scaled(0.5)}, 0);
  const auto whole = joined.all();
  for (std::uint64_t first = 0; first < whole.size(); ++first) {
    for (std::uint64_t count = 1; first + count <= whole.size(); ++count) {
      Numbers part(count);
      joined.read(first, std::span(part));
      ASSERT_TRUE(
          std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(first)))
          << first << " " << count;
    }
  }
}

TEST(Values, IsContiguousOnlyIfItIs) {
  const Counted counted({4, 4});
  EXPECT_EQ(counted.values().contiguous().size(), 64U);
  EXPECT_EQ(counted.values().slice(0, 1, 2).contiguous().data(),
            std::as_bytes(std::span(counted.numbers)).data() + 16);
  EXPECT_TRUE(counted.values().slice(1, 1, 2).contiguous().empty());
  EXPECT_TRUE(counted.values().transposed().contiguous().empty());
  EXPECT_TRUE(counted.values().scaled(2).contiguous().empty());
  EXPECT_TRUE(counted.values().as(Dtype::kBF16).contiguous().empty());
}

}  // namespace
}  // namespace ferrule::exchange
