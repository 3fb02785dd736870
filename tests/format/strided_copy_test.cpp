// SPDX-License-Identifier: Apache-2.0
#include "format/strided_copy.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace ferrule::format {
namespace {

using Numbers = std::vector<std::uint64_t>;

/// Elements 0, 1, 2, ... in memory, and a view of them; `rows` is torch's own
/// `torch.arange(n).as_strided(shape, strides, start).flatten().tolist()`.
struct View {
  const char* name;
  std::uint64_t start;
  Numbers shape;
  Numbers strides;
  std::vector<std::uint32_t> elements;
};
void PrintTo(const View& row, std::ostream* out) { *out << row.name; }

std::vector<std::uint32_t> arange(std::uint32_t count) {
  std::vector<std::uint32_t> values(count);
  for (std::uint32_t i = 0; i < count; ++i) values[i] = i;
  return values;
}

class StridedViews : public testing::TestWithParam<View> {};

TEST_P(StridedViews, AreCopiedAsTorchFlattensThem) {
  const auto& row = GetParam();
  const auto memory = arange(64);
  const MemorySource source(std::as_bytes(std::span(memory)));
  const StridedTensor tensor{
      .start = 4 * row.start, .item_bytes = 4, .shape = row.shape, .strides = row.strides};
  std::vector<std::uint32_t> out(row.elements.size());
  ASSERT_TRUE(copy_contiguous(source, tensor, 0, std::as_writable_bytes(std::span(out))));
  EXPECT_EQ(out, row.elements);
}

TEST_P(StridedViews, AreCopiedInAnyTwoParts) {
  const auto& row = GetParam();
  const auto memory = arange(64);
  const MemorySource source(std::as_bytes(std::span(memory)));
  const StridedTensor tensor{
      .start = 4 * row.start, .item_bytes = 4, .shape = row.shape, .strides = row.strides};
  for (std::size_t cut = 0; cut <= row.elements.size(); ++cut) {
    std::vector<std::uint32_t> out(row.elements.size(), 999);
    const auto bytes = std::as_writable_bytes(std::span(out));
    ASSERT_TRUE(copy_contiguous(source, tensor, 4 * cut, bytes.subspan(4 * cut)));
    ASSERT_TRUE(copy_contiguous(source, tensor, 0, bytes.first(4 * cut)));
    ASSERT_EQ(out, row.elements) << cut;
  }
}

INSTANTIATE_TEST_SUITE_P(
    StridedCopy, StridedViews,
    testing::ValuesIn(std::vector<View>{
        {"Contiguous", 0, {2, 3}, {3, 1}, {0, 1, 2, 3, 4, 5}},
        {"Transposed", 0, {3, 2}, {1, 3}, {0, 3, 1, 4, 2, 5}},
        {"Scalar", 7, {}, {}, {7}},
        {"Sliced", 5, {4}, {3}, {5, 8, 11, 14}},
        {"Expanded", 2, {3, 4}, {0, 1}, {2, 3, 4, 5, 2, 3, 4, 5, 2, 3, 4, 5}},
        {"ExpandedInside", 2, {3, 2}, {1, 0}, {2, 2, 3, 3, 4, 4}},
        {"Column", 1, {5, 1}, {8, 1}, {1, 9, 17, 25, 33}},
        {"Permuted", 0, {2, 3, 4}, {1, 8, 2}, {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22,
                                               1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23}},
        {"PermutedBackwards", 3, {4, 3, 2}, {1, 4, 12}, {3,  15, 7,  19, 11, 23, 4,  16,
                                                         8,  20, 12, 24, 5,  17, 9,  21,
                                                         13, 25, 6,  18, 10, 22, 14, 26}},
        {"Overlapping", 0, {4, 3}, {1, 1}, {0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5}},
        {"OneElement", 9, {1, 1, 1}, {50, 20, 7}, {9}},
        {"LongStrides", 0, {2, 2}, {40, 20}, {0, 20, 40, 60}},
        {"MiddleOne", 4, {2, 1, 3}, {5, 99, 1}, {4, 5, 6, 9, 10, 11}},
        {"InnerContiguous", 0, {3, 2, 4}, {4, 12, 1}, {0, 1, 2,  3,  12, 13, 14, 15,
                                                       4, 5, 6,  7,  16, 17, 18, 19,
                                                       8, 9, 10, 11, 20, 21, 22, 23}},
    }),
    [](const testing::TestParamInfo<View>& row) { return std::string(row.param.name); });

TEST(StridedCopy, ATransposedMatrixLargerThanARunComesOutWhole) {
  constexpr std::uint32_t kRows = 700;
  constexpr std::uint32_t kColumns = 300;
  const auto memory = arange(kRows * kColumns);
  const MemorySource source(std::as_bytes(std::span(memory)));
  const Numbers shape = {kColumns, kRows};
  const Numbers strides = {1, kColumns};
  std::vector<std::uint32_t> out(memory.size());
  ASSERT_TRUE(copy_contiguous(source,
                              {.start = 0, .item_bytes = 4, .shape = shape, .strides = strides}, 0,
                              std::as_writable_bytes(std::span(out))));
  for (std::uint32_t i = 0; i < out.size(); ++i) {
    ASSERT_EQ(out[i], i % kRows * kColumns + i / kRows) << i;
  }
}

TEST(StridedCopy, ItemsOfEveryWidthKeepTheirBytes) {
  for (const std::uint64_t width : {1U, 2U, 4U, 8U, 16U}) {
    std::vector<std::byte> memory(6 * width);
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i);
    const Numbers shape = {3, 2};
    const Numbers strides = {1, 3};
    std::vector<std::byte> out(memory.size());
    ASSERT_TRUE(copy_contiguous(
        MemorySource(memory), {.start = 0, .item_bytes = width, .shape = shape, .strides = strides},
        0, out));
    const std::size_t order[] = {0, 3, 1, 4, 2, 5};
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(std::memcmp(&out[i * width], &memory[order[i] * width], width), 0) << width;
    }
  }
}

TEST(StridedCopy, NothingIsReadForAnEmptyTensor) {
  const Numbers shape = {0, 3};
  const Numbers strides = {3, 1};
  EXPECT_TRUE(copy_contiguous(
      MemorySource({}), {.start = 0, .item_bytes = 4, .shape = shape, .strides = strides}, 0, {}));
}

class BrokenSource final : public ByteSource {
 public:
  std::uint64_t size() const noexcept override { return 64; }
  Result<void> read_at(std::uint64_t, std::span<std::byte>) const override {
    return Error{.code = ErrorCode::kIo, .message = "broken"};
  }
};

TEST(StridedCopy, PassesOnWhyAReadFailed) {
  const Numbers shape = {2, 2};
  const Numbers strides = {1, 2};
  std::vector<std::byte> out(16);
  const auto copied = copy_contiguous(
      BrokenSource(), {.start = 0, .item_bytes = 4, .shape = shape, .strides = strides}, 0, out);
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace ferrule::format
