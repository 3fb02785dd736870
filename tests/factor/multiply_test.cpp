// SPDX-License-Identifier: Apache-2.0
#include "factor/multiply.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace ferrule::factor {
namespace {

struct Sizes {
  std::size_t m, k, n;
};

// Around the sizes of tiles, of strips and of the stretch of the inner dimension.
constexpr Sizes kSizes[] = {{1, 1, 1},     {8, 256, 48},   {9, 257, 49},   {7, 255, 47},
                            {16, 600, 96}, {3, 1, 100},    {40, 64, 40},   {5, 300, 15},
                            {33, 31, 17},  {2, 513, 1},    {64, 32, 130},  {16, 1024, 48},
                            {9, 1025, 7},  {512, 128, 48}, {515, 129, 50}, {1029, 40, 97},
                            {1, 0, 3},     {0, 4, 4},      {4, 4, 0}};

template <typename T>
std::vector<T> numbers(std::size_t count, std::uint32_t seed) {
  std::vector<T> values(count);
  for (auto& value : values) {
    seed = seed * 1664525U + 1013904223U;
    value = static_cast<T>(static_cast<double>(seed >> 8U) / (1 << 24)) - T(0.5);
  }
  return values;
}

/// Elements between rows, which belong to no matrix: they must stay as they are.
constexpr std::size_t kGap = 3;

template <typename T>
void expect_product(const Sizes& size, bool transposed, bool adds) {
  const auto a_rows = transposed ? size.k : size.m, a_columns = transposed ? size.m : size.k;
  const auto a = numbers<T>(a_rows * (a_columns + kGap), 1);
  const auto b = numbers<T>(size.k * (size.n + kGap), 2);
  const auto before = numbers<T>(size.m * (size.n + kGap), 3);
  auto c = before;
  if constexpr (std::is_same_v<T, float>) {
    if (!transposed && adds) {
      add_multiplied(a.data(), a_columns + kGap, b.data(), size.n + kGap, c.data(), size.n + kGap,
                     size.m, size.k, size.n);
    }
    if (transposed) {
      add_transposed(a.data(), a_columns + kGap, b.data(), size.n + kGap, c.data(), size.n + kGap,
                     size.m, size.k, size.n);
    }
  }
  if (!transposed && !adds) {
    multiply(a.data(), a_columns + kGap, b.data(), size.n + kGap, c.data(), size.n + kGap, size.m,
             size.k, size.n);
  }
  const double tolerance = (std::is_same_v<T, float> ? 1e-6 : 1e-14) * (1.0 + std::sqrt(size.k));
  for (std::size_t i = 0; i < size.m; ++i) {
    for (std::size_t j = 0; j < size.n + kGap; ++j) {
      const auto at = i * (size.n + kGap) + j;
      if (j >= size.n) {
        ASSERT_EQ(c[at], before[at]) << "a gap was written";
        continue;
      }
      double sum = adds ? static_cast<double>(before[at]) : 0.0;
      for (std::size_t p = 0; p < size.k; ++p) {
        const auto left = transposed ? p * (a_columns + kGap) + i : i * (a_columns + kGap) + p;
        sum += static_cast<double>(a[left]) * static_cast<double>(b[p * (size.n + kGap) + j]);
      }
      ASSERT_NEAR(c[at], sum, tolerance) << size.m << " x " << size.k << " x " << size.n;
    }
  }
}

TEST(Multiply, FloatsAreMultipliedAtEverySize) {
  for (const auto& size : kSizes) expect_product<float>(size, false, false);
}

TEST(Multiply, DoublesAreMultipliedAtEverySize) {
  for (const auto& size : kSizes) expect_product<double>(size, false, false);
}

TEST(Multiply, ProductsAreAdded) {
  for (const auto& size : kSizes) expect_product<float>(size, false, true);
}

TEST(Multiply, TransposedProductsAreAdded) {
  for (const auto& size : kSizes) expect_product<float>(size, true, true);
}

}  // namespace
}  // namespace ferrule::factor
