// SPDX-License-Identifier: Apache-2.0
#include "update/gram.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/tensor_view_access.hpp"

namespace ferrule::update {
namespace {

/// Small integers: every sum is exact, in any order.
std::vector<float> numbers(std::size_t count, unsigned seed) {
  std::vector<float> values(count);
  for (auto& value : values)
    value = static_cast<float>((seed = seed * 1103515245U + 12345U) >> 16 & 15U) - 7;
  return values;
}

TensorView view(const std::vector<float>& values, const std::uint64_t (&shape)[2]) {
  return TensorViewAccess::unchecked(Dtype::kF32, shape, std::as_bytes(std::span(values)));
}

TEST(Gram, RowsAndColumnsAreMultipliedAsOneByOneWould) {
  for (const std::size_t rank : {1U, 3U, 4U, 17U}) {
    for (const std::size_t length : {1U, 5U, 512U, 1037U}) {
      const auto rows = numbers(rank * length, 1);
      const auto columns = numbers(rank * length, 2);
      const std::uint64_t row_shape[] = {rank, length};
      const std::uint64_t column_shape[] = {length, rank};
      const Vectors parts[] = {{.set = {.tensor = view(rows, row_shape),
                                        .count = rank,
                                        .length = length,
                                        .vector_stride = length}},
                               {.set = {.tensor = view(columns, column_shape),
                                        .count = rank,
                                        .length = length,
                                        .vector_stride = 1,
                                        .element_stride = rank},
                                .factor = 3}};
      const auto gram = gram_of(parts);
      const auto element = [&](std::size_t v, std::size_t k) {
        return v < rank ? double{rows[v * length + k]} : 3.0 * columns[k * rank + v - rank];
      };
      for (std::size_t i = 0; i < 2 * rank; ++i) {
        for (std::size_t j = 0; j < 2 * rank; ++j) {
          double want = 0;
          for (std::size_t k = 0; k < length; ++k) want += element(i, k) * element(j, k);
          ASSERT_EQ(gram.at(i, j), want) << rank << " " << length << " " << i << " " << j;
        }
      }
    }
  }
}

TEST(Gram, ADifferenceFillsTheShorterSetUpWithZeros) {
  const auto mine = numbers(2 * 9, 3);
  const auto theirs = numbers(3 * 9, 4);
  const std::uint64_t my_shape[] = {2, 9};
  const std::uint64_t their_shape[] = {3, 9};
  const Vectors parts[] = {
      {.set = {.tensor = view(mine, my_shape), .count = 2, .length = 9, .vector_stride = 9},
       .factor = 2,
       .other = {.tensor = view(theirs, their_shape), .count = 3, .length = 9, .vector_stride = 9},
       .other_factor = 1}};
  const auto gram = gram_of(parts);
  for (std::size_t i = 0; i < 3; ++i) {
    double want = 0;
    for (std::size_t k = 0; k < 9; ++k) {
      const double difference = (i < 2 ? 2.0 * mine[i * 9 + k] : 0.0) - theirs[i * 9 + k];
      want += difference * difference;
    }
    EXPECT_EQ(gram.at(i, i), want);
  }
}

}  // namespace
}  // namespace ferrule::update
