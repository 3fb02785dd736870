// SPDX-License-Identifier: Apache-2.0
#include "format/torch/torch_tensors.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "format/torch/torch_pickles.hpp"
#include "format/zip/zip_bytes.hpp"

namespace ferrule::format {
namespace {

using test::dict_of;
using test::storage;
using test::tensor;
using Shape = std::vector<std::uint64_t>;

const std::string kSix = storage("FloatStorage", "0", 6);

Result<TorchLayout> layout_of(const std::string& pickle, std::string_view key = "",
                              const ReadLimits& limits = {}) {
  const auto text = pickle + ".";
  const auto read = Pickle::read(test::bytes_of(text));
  if (!read) return read.error();
  return read_torch_tensors(*read, TorchContainer::kZip, key, limits);
}

TEST(TorchTensors, HaveThePlaceThatTheirPickleGives) {
  const auto layout = layout_of(dict_of("w", tensor(kSix, 2, "(K\2K\2t", "(K\2K\1t")));
  ASSERT_TRUE(layout) << layout.error().to_string();
  ASSERT_EQ(layout->storages.size(), 1U);
  EXPECT_EQ(layout->storages[0].key, "0");
  EXPECT_EQ(layout->storages[0].dtype, Dtype::kF32);
  EXPECT_EQ(layout->storages[0].bytes, 24U);
  ASSERT_EQ(layout->tensors.size(), 1U);
  const auto& w = layout->tensors[0];
  EXPECT_EQ(w.name, "w");
  EXPECT_EQ(w.dtype, Dtype::kF32);
  EXPECT_EQ(w.shape, (Shape{2, 2}));
  EXPECT_EQ(w.offset, 8U);
  EXPECT_EQ(w.bytes, 16U);
  EXPECT_TRUE(w.is_contiguous);
}

TEST(TorchTensors, ATransposedOneIsNotContiguous) {
  const auto layout = layout_of(dict_of("w", tensor(kSix, 0, "(K\2K\3t", "(K\1K\2t")));
  ASSERT_TRUE(layout) << layout.error().to_string();
  EXPECT_FALSE(layout->tensors[0].is_contiguous);
  EXPECT_EQ(layout->tensors[0].strides, (Shape{1, 2}));
}

// torch.zeros(1, 3).expand(1, 3) and so on: a stride of a dimension with one element means nothing.
TEST(TorchTensors, StridesOfSingleElementsDoNotCount) {
  const auto layout = layout_of(dict_of("w", tensor(kSix, 0, "(K\1K\3t", "(K\x63K\1t")));
  ASSERT_TRUE(layout) << layout.error().to_string();
  EXPECT_TRUE(layout->tensors[0].is_contiguous);
}

TEST(TorchTensors, AnEmptyOneMayHaveAnyOffsetInItsStorage) {
  const auto empty = layout_of(dict_of("w", tensor(kSix, 6, "(I0\nt", "(K\1t")));
  ASSERT_TRUE(empty) << empty.error().to_string();
  EXPECT_EQ(empty->tensors[0].bytes, 0U);
}

TEST(TorchTensors, AKeyLeadsToTheStateDictInside) {
  const auto pickle = dict_of("state_dict", dict_of("w", tensor(kSix, 0, "(K\6t", "(K\1t")));
  const auto layout = layout_of(pickle, "state_dict");
  ASSERT_TRUE(layout) << layout.error().to_string();
  EXPECT_EQ(layout->tensors[0].name, "w");
  EXPECT_EQ(layout_of(pickle, "model").error().code, ErrorCode::kNotFound);
  const auto unnamed = layout_of(pickle);
  ASSERT_FALSE(unnamed);
  EXPECT_EQ(unnamed.error().rule, "PK-10");
  EXPECT_NE(unnamed.error().message.find("state_dict"), std::string::npos);
}

TEST(TorchTensors, ShareTheirStorage) {
  const auto layout = layout_of("}(U\1a" + tensor(kSix, 0, "(K\3t", "(K\1t") + "U\1b" +
                                tensor(kSix, 3, "(K\3t", "(K\1t") + "u");
  ASSERT_TRUE(layout) << layout.error().to_string();
  EXPECT_EQ(layout->storages.size(), 1U);
  EXPECT_EQ(layout->tensors[1].offset, 12U);
}

struct Row {
  const char* name;
  std::string pickle;
  const char* rule;
  ErrorCode code = ErrorCode::kCorrupt;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class RefusedTensors : public testing::TestWithParam<Row> {};

TEST_P(RefusedTensors, NameTheRule) {
  const auto layout = layout_of(GetParam().pickle);
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().rule, GetParam().rule) << layout.error().message;
  EXPECT_EQ(layout.error().code, GetParam().code) << layout.error().message;
}

std::string ones(std::size_t count) {
  std::string out;
  while (count-- > 0) out += "K\1";
  return out;
}

std::string flat(const std::string& storage) { return tensor(storage, 0, "(K\6t", "(K\1t"); }

constexpr auto kOther = ErrorCode::kUnsupported;

INSTANTIATE_TEST_SUITE_P(
    Storages, RefusedTensors,
    testing::ValuesIn(std::vector<Row>{
        {"IdIsAText", dict_of("w", tensor("U\1aQ", 0, "(K\6t", "(K\1t")), "PK-9"},
        {"IdHasSixItems", dict_of("w", flat(storage("FloatStorage", "0", 6, "N"))), "PK-9"},
        {"NegativeCount", dict_of("w", flat(storage("FloatStorage", "0", -1))), "PK-9"},
        {"EmptyKey", dict_of("w", flat(storage("FloatStorage", "", 6))), "PK-9"},
        {"KeyWithASlash", dict_of("w", flat(storage("FloatStorage", "../0", 6))), "PK-9"},
        {"ClassIsADtype", dict_of("w", flat(storage("float32", "0", 6))), "PK-9"},
        {"Complex128", dict_of("w", flat(storage("ComplexDoubleStorage", "0", 6))), "PK-16",
         kOther},
        {"Quantized", dict_of("w", flat(storage("QInt8Storage", "0", 6))), "PK-16", kOther},
        {"TwoCountsOfOneKey",
         "}(U\1a" + flat(kSix) + "U\1b" + flat(storage("FloatStorage", "0", 7)) + "u", "PK-14"},
        {"TwoClassesOfOneKey",
         "}(U\1a" + flat(kSix) + "U\1b" + flat(storage("IntStorage", "0", 6)) + "u", "PK-14"},
    }),
    [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Places, RefusedTensors,
    testing::ValuesIn(std::vector<Row>{
        {"OneElementTooMany", dict_of("w", tensor(kSix, 0, "(K\7t", "(K\1t")), "PK-12"},
        {"OffsetTooLarge", dict_of("w", tensor(kSix, 1, "(K\6t", "(K\1t")), "PK-12"},
        {"NegativeOffset", dict_of("w", tensor(kSix, -1, "(K\6t", "(K\1t")), "PK-12"},
        {"NegativeExtent", dict_of("w", tensor(kSix, 0, "(I-1\nt", "(K\1t")), "PK-12"},
        {"NegativeStride", dict_of("w", tensor(kSix, 5, "(K\6t", "(I-1\nt")), "PK-12"},
        {"StrideBeyondTheEnd", dict_of("w", tensor(kSix, 0, "(K\2t", "(K\6t")), "PK-12"},
        {"RanksDiffer", dict_of("w", tensor(kSix, 0, "(K\6t", "(K\6K\1t")), "PK-12"},
        {"ElementsWrap", dict_of("w", tensor(kSix, 0, "(I4294967296\nI4294967296\nt", "(K\1K\1t")),
         "PK-12"},
        {"SpanWraps", dict_of("w", tensor(kSix, 0, "(K\3t", "(I9223372036854775807\nt")), "PK-12"},
        {"RankOf65", dict_of("w", tensor(kSix, 0, "(" + ones(65) + "t", "(" + ones(65) + "t")),
         "PK-12"},
    }),
    [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Roots, RefusedTensors,
    testing::ValuesIn(std::vector<Row>{
        {"AnInt", "K\1", "PK-10", kOther},
        {"AList", "]", "PK-10", kOther},
        {"ValueIsAnInt", dict_of("w", "K\1"), "PK-10", kOther},
        {"NameIsAnInt", "}K\1" + flat(kSix) + "s", "PK-10"},
        {"NameTwice", "}(U\1w" + flat(kSix) + "U\1w" + flat(kSix) + "u", "PK-11"},
    }),
    [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(TorchTensors, WhatHasToBeRearrangedIsBounded) {
  const auto pickle = dict_of("w", tensor(kSix, 0, "(K\2K\3t", "(K\1K\2t"));
  EXPECT_TRUE(layout_of(pickle, "", {.materialized_bytes = 24}));
  const auto bounded = layout_of(pickle, "", {.materialized_bytes = 23});
  ASSERT_FALSE(bounded);
  EXPECT_EQ(bounded.error().rule, "PK-15");
  EXPECT_EQ(bounded.error().code, ErrorCode::kLimitExceeded);
}

TEST(TorchTensors, AnExpandedOneIsBoundedByItsStorage) {
  // 24 bytes that would become 4 GiB.
  const auto layout = layout_of(dict_of("w", tensor(kSix, 0, "(I1073741824\nt", "(I0\nt")));
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().rule, "PK-15");
}

}  // namespace
}  // namespace ferrule::format
