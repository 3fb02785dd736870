// SPDX-License-Identifier: Apache-2.0
#include "merge/kernels.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace ferrule::merging {
namespace {

std::vector<const Kernels*> wide_sets() {
  std::vector<const Kernels*> out;
  for (const auto* set : {avx2_kernels(), avx512_kernels()}) {
    if (set != nullptr) out.push_back(set);
  }
  return out;
}

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(count);
  for (auto& value : out) value = normal(random);
  return out;
}

TEST(Kernels, ProductsHaveTheSameBitsOnEveryMachine) {
  for (const std::size_t rows : {1U, 4U, 6U, 13U}) {
    for (const std::size_t columns : {1U, 7U, 16U, 33U, 64U, 100U}) {
      for (const std::size_t rank : {1U, 3U, 16U}) {
        for (const auto rounded : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
          for (const float divisor : {1.F, 3.00001F}) {
            const auto a = random_floats(rank * columns, 1);
            const auto b = random_floats(rows * rank, 2);
            const auto w = random_floats(rows * columns, 3);
            const auto run = [&](const Kernels& kernels) {
              auto out = w;
              kernels.add_product({.w = out.data(),
                                   .rows = rows,
                                   .columns = columns,
                                   .stride = columns,
                                   .b = b.data(),
                                   .a = a.data(),
                                   .a_stride = columns,
                                   .rank = rank,
                                   .scale = 2.6666667F,
                                   .divisor = divisor,
                                   .rounded = rounded});
              return out;
            };
            const auto want = run(*plain_kernels());
            for (const auto* set : wide_sets()) EXPECT_EQ(run(*set), want) << set->name;
          }
        }
      }
    }
  }
}

TEST(Kernels, APlainProductIsTheChainThatIsPromised) {
  const auto a = random_floats(5, 1);
  const auto b = random_floats(5, 2);
  float w = 0.25F;
  plain_kernels()->add_product({.w = &w,
                                .rows = 1,
                                .columns = 1,
                                .stride = 1,
                                .b = b.data(),
                                .a = a.data(),
                                .a_stride = 1,
                                .rank = 5,
                                .scale = 0.7F,
                                .divisor = 1,
                                .rounded = Dtype::kF32});
  float sum = 0;
  for (std::size_t k = 0; k < 5; ++k) sum = std::fma(b[k], a[k], sum);
  const float product = sum * 0.7F;
  EXPECT_EQ(w, 0.25F + product);
}

TEST(Kernels, EveryHalfIsReadTheSame) {
  std::vector<std::byte> halves(2 * 65536);
  for (unsigned i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    std::memcpy(halves.data() + 2 * i, &bits, 2);
  }
  const auto read = [&](auto load) {
    std::vector<float> out(65536);
    load(halves.data(), out.data(), out.size());
    std::vector<std::uint32_t> bits;
    for (const float value : out) {
      if (!std::isnan(value)) bits.push_back(std::bit_cast<std::uint32_t>(value));
    }
    return bits;
  };
  for (const auto* set : wide_sets()) {
    EXPECT_EQ(read(set->load_bf16), read(plain_kernels()->load_bf16)) << set->name;
    EXPECT_EQ(read(set->load_f16), read(plain_kernels()->load_f16)) << set->name;
  }
}

TEST(Kernels, FloatsAreRoundedTheSame) {
  std::vector<float> floats;
  std::mt19937 random(7);
  for (int i = 0; i < 100'003; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!std::isnan(value)) floats.push_back(value);
  }
  for (const float value : {0.F, -0.F, 65504.F, 65519.9F, 65520.F, 1e-8F, 5.96e-8F, INFINITY}) {
    floats.push_back(value);
  }
  const auto round = [&](auto store) {
    std::vector<std::byte> out(2 * floats.size());
    store(floats.data(), out.data(), floats.size());
    return out;
  };
  for (const auto* set : wide_sets()) {
    EXPECT_EQ(round(set->store_bf16), round(plain_kernels()->store_bf16)) << set->name;
    EXPECT_EQ(round(set->store_f16), round(plain_kernels()->store_f16)) << set->name;
  }
}

TEST(Kernels, StoredFloatsAreSubtractedTheSame) {
  std::vector<float> floats;
  std::mt19937 random(8);
  for (int i = 0; i < 2 * 1003; ++i) {
    floats.push_back(static_cast<float>(static_cast<std::int32_t>(random())) * 0x1p-20F);
  }
  // One byte further, as a file may have them.
  std::vector<std::byte> stored(1 + floats.size() * sizeof(float));
  std::memcpy(stored.data() + 1, floats.data(), floats.size() * sizeof(float));
  const auto* const before = stored.data() + 1;
  for (const auto* set : wide_sets()) {
    std::vector<float> difference(1003);
    set->subtract_f32(before, before + 1003 * sizeof(float), difference.data(), 1003);
    for (std::size_t i = 0; i < 1003; ++i) {
      ASSERT_EQ(difference[i], floats[1003 + i] - floats[i]) << set->name << " element " << i;
    }
  }
}

}  // namespace
}  // namespace ferrule::merging
