// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "adapter/examine.hpp"

namespace ferrule::adapter {
namespace {

struct Kind {
  const char* name;
  Dtype dtype;
  std::size_t bytes;
  std::uint64_t largest;   ///< The largest finite value.
  std::uint64_t infinity;  ///< One more.
};

class ExamineValues : public testing::TestWithParam<Kind> {
 public:
  /// The findings of a tensor with that many of the largest value, negative ones too, and `odd` at
  /// one place.
  static std::vector<Finding> findings(std::size_t count, std::size_t place, std::uint64_t odd) {
    const auto& kind = GetParam();
    const std::uint64_t sign = std::uint64_t{1} << (8 * kind.bytes - 1);
    std::vector<std::byte> bytes(count * kind.bytes);
    for (std::size_t i = 0; i < count; ++i) {
      const auto value = i == place ? odd : kind.largest | (i % 2 == 0 ? sign : 0);
      static_assert(std::endian::native == std::endian::little);
      std::memcpy(bytes.data() + i * kind.bytes, &value, kind.bytes);
    }
    const std::vector<std::uint64_t> shape = {count};
    Examination examination;
    examination.tensors.push_back(
        {.key = "key",
         .role = "lora_A",
         .leaf = "weight",
         .tensor = TensorView::make(kind.dtype, shape, std::span(bytes)).value()});
    return examine_values(AdapterConfig::parse(R"({"peft_type": "LORA"})").value(), examination);
  }
};

TEST_P(ExamineValues, FindsWhatIsNotFiniteAnywhere) {
  const auto& kind = GetParam();
  const std::uint64_t sign = std::uint64_t{1} << (8 * kind.bytes - 1);
  for (const std::size_t count : {1U, 2U, 3U, 4U, 5U, 7U, 8U, 9U, 17U}) {
    EXPECT_TRUE(findings(count, count, 0).empty()) << count;
    for (std::size_t place = 0; place < count; ++place) {
      for (const auto odd : {kind.infinity, kind.infinity | sign, kind.infinity + 1, sign - 1}) {
        const auto found = findings(count, place, odd);
        ASSERT_EQ(found.size(), 1U) << count << " " << place << " " << odd;
        EXPECT_EQ(found[0].rule, "AD-20");
      }
    }
  }
  const std::size_t many = 3 * 4096 * 8 / kind.bytes + 5;
  EXPECT_TRUE(findings(many, many, 0).empty());
  for (const std::size_t place : {many / 3, many / 2, many - 1}) {
    EXPECT_EQ(findings(many, place, kind.infinity).size(), 1U);
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, ExamineValues,
                         testing::Values(Kind{"F64", Dtype::kF64, 8, 0x7fefffffffffffff,
                                              0x7ff0000000000000},
                                         Kind{"F32", Dtype::kF32, 4, 0x7f7fffff, 0x7f800000},
                                         Kind{"F16", Dtype::kF16, 2, 0x7bff, 0x7c00},
                                         Kind{"BF16", Dtype::kBF16, 2, 0x7f7f, 0x7f80}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace ferrule::adapter
