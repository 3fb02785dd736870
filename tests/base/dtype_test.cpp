// SPDX-License-Identifier: Apache-2.0
#include "ferrule/dtype.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ferrule {
namespace {

struct Row {
  Dtype dtype;
  std::string_view name;
  std::uint32_t bits;
  bool is_floating_point;
};

// The enum Dtype of the safetensors 0.8 crate, in its order; the first is the lowest rank.
constexpr Row kRows[] = {
    {Dtype::kBool, "BOOL", 8, false},
    {Dtype::kF4, "F4", 4, true},
    {Dtype::kF6E2M3, "F6_E2M3", 6, true},
    {Dtype::kF6E3M2, "F6_E3M2", 6, true},
    {Dtype::kU8, "U8", 8, false},
    {Dtype::kI8, "I8", 8, false},
    {Dtype::kF8E5M2, "F8_E5M2", 8, true},
    {Dtype::kF8E4M3, "F8_E4M3", 8, true},
    {Dtype::kF8E8M0, "F8_E8M0", 8, false},
    {Dtype::kF8E4M3FNUZ, "F8_E4M3FNUZ", 8, true},
    {Dtype::kF8E5M2FNUZ, "F8_E5M2FNUZ", 8, true},
    {Dtype::kI16, "I16", 16, false},
    {Dtype::kU16, "U16", 16, false},
    {Dtype::kF16, "F16", 16, true},
    {Dtype::kBF16, "BF16", 16, true},
    {Dtype::kI32, "I32", 32, false},
    {Dtype::kU32, "U32", 32, false},
    {Dtype::kF32, "F32", 32, true},
    {Dtype::kC64, "C64", 64, false},
    {Dtype::kF64, "F64", 64, true},
    {Dtype::kI64, "I64", 64, false},
    {Dtype::kU64, "U64", 64, false},
};

TEST(Dtypes, HaveTheNamesSizesAndOrderOfSafetensors) {
  ASSERT_EQ(std::size(kRows), static_cast<std::size_t>(kDtypeCount));
  int rank = 0;
  for (const auto& row : kRows) {
    EXPECT_EQ(static_cast<int>(row.dtype), rank++) << row.name;
    EXPECT_EQ(dtype_name(row.dtype), row.name);
    EXPECT_EQ(dtype_from_name(row.name), row.dtype) << row.name;
    EXPECT_EQ(bit_width(row.dtype), row.bits) << row.name;
    EXPECT_EQ(is_floating_point(row.dtype), row.is_floating_point) << row.name;
  }
}

TEST(Dtypes, AreFoundByTheirExactNameOnly) {
  for (const std::string_view name : {"", "f32", "F32 ", "F3", "F322", "float32", "F8", "BF16\n"}) {
    EXPECT_EQ(dtype_from_name(name), std::nullopt) << name;
  }
}

using Shape = std::vector<std::uint64_t>;

struct Size {
  const char* what;
  Dtype dtype;
  Shape shape;
  std::optional<std::uint64_t> elements;
  std::optional<std::uint64_t> bytes;
};

TEST(Dtypes, CountElementsAndBytesWithoutOverflow) {
  const Size rows[] = {
      {"scalar", Dtype::kF32, {}, 1, 4},
      {"empty", Dtype::kF32, {0}, 0, 0},
      {"matrix", Dtype::kBF16, {3, 5}, 15, 30},
      {"two F4", Dtype::kF4, {2}, 2, 1},
      {"one F4", Dtype::kF4, {1}, 1, std::nullopt},
      {"four F6", Dtype::kF6E2M3, {4}, 4, 3},
      {"three F6", Dtype::kF6E3M2, {3}, 3, std::nullopt},
      {"elements leave 64 bits", Dtype::kU8, {1ULL << 32, 1ULL << 32}, std::nullopt, std::nullopt},
      {"bits leave 64 bits", Dtype::kU8, {1ULL << 61}, 1ULL << 61, std::nullopt},
      {"most bits", Dtype::kU8, {(1ULL << 61) - 1}, (1ULL << 61) - 1, (1ULL << 61) - 1},
      {"zero first", Dtype::kF32, {0, UINT64_MAX, UINT64_MAX}, 0, 0},
      // The reference multiplies from the left, so a zero at the end comes too late.
      {"zero last", Dtype::kF32, {UINT64_MAX, UINT64_MAX, 0}, std::nullopt, std::nullopt},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(element_count(row.shape), row.elements) << row.what;
    EXPECT_EQ(byte_size(row.dtype, row.shape), row.bytes) << row.what;
  }
}

}  // namespace
}  // namespace ferrule
