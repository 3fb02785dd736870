// SPDX-License-Identifier: Apache-2.0
#include "base/checked.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace ferrule::base {
namespace {

constexpr std::uint64_t kMax = UINT64_MAX;

struct Row {
  std::uint64_t a;
  std::uint64_t b;
  std::optional<std::uint64_t> sum;
  std::optional<std::uint64_t> product;
};

TEST(Checked, SumsAndProductsEndAt64Bits) {
  const Row rows[] = {
      {0, 0, 0, 0},
      {0, kMax, kMax, 0},
      {1, kMax, std::nullopt, kMax},
      {1, kMax - 1, kMax, kMax - 1},
      {kMax, kMax, std::nullopt, std::nullopt},
      {1ULL << 63, 1ULL << 63, std::nullopt, std::nullopt},
      {1ULL << 32, 1ULL << 31, (1ULL << 32) + (1ULL << 31), 1ULL << 63},
      {1ULL << 32, 1ULL << 32, 1ULL << 33, std::nullopt},
      // 2^64 - 1 = 3 * 5 * 17 * 257 * 641 * 65537 * 6700417
      {6700417, 2753074036095, 2753080736512, kMax},
      {6700417, 2753074036096, 2753080736513, std::nullopt},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(checked_add(row.a, row.b), row.sum) << row.a << " + " << row.b;
    EXPECT_EQ(checked_add(row.b, row.a), row.sum) << row.b << " + " << row.a;
    EXPECT_EQ(checked_mul(row.a, row.b), row.product) << row.a << " * " << row.b;
    EXPECT_EQ(checked_mul(row.b, row.a), row.product) << row.b << " * " << row.a;
  }
}

TEST(Checked, WorksInConstantExpressions) {
  static_assert(checked_add(kMax, 1) == std::nullopt);
  static_assert(checked_mul(6, 7) == 42);
}

TEST(Checked, RunningSumsAndProductsGoOnAfterTheyLeft64Bits) {
  std::uint64_t value = 1ULL << 60;
  EXPECT_TRUE(multiply_by(value, 8));
  EXPECT_FALSE(multiply_by(value, 2));
  EXPECT_TRUE(multiply_by(value, 0));  // A product of 0 at last; callers keep the earlier answer.
  EXPECT_EQ(value, 0U);
  value = kMax - 1;
  EXPECT_TRUE(add_to(value, 1));
  EXPECT_EQ(value, kMax);
  EXPECT_FALSE(add_to(value, 1));
}

}  // namespace
}  // namespace ferrule::base
