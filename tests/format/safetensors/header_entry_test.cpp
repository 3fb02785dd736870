// SPDX-License-Identifier: Apache-2.0
#include "format/safetensors/header_entry.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace ferrule::format {
namespace {

using Shape = std::vector<std::uint64_t>;

/// An entry read from in front of its ':'; `rest` is the text after it, which must stay.
struct Entry {
  bool good = false;
  RawEntry raw;
  Shape shape;
  std::string rest;
  std::string rule;
};

Entry read(const std::string& text) {
  const auto header = text + "}";  // As in a file: something always follows.
  HeaderScanner scan(header);
  EntryReader reader(scan);
  Entry out;
  out.good = reader.read("w", out.raw);
  out.shape.assign(reader.shape().begin(), reader.shape().end());
  if (out.good) out.rest.assign(scan.at(), scan.end());
  out.rule = scan.error().rule;
  return out;
}

struct Good {
  const char* name;
  std::string text;
  Dtype dtype;
  Shape shape;
  std::uint64_t begin;
  std::uint64_t end;
};
void PrintTo(const Good& row, std::ostream* out) { *out << row.name; }

class GoodEntries : public testing::TestWithParam<Good> {};

TEST_P(GoodEntries, AreReadToTheirEnd) {
  const auto& row = GetParam();
  const auto entry = read(row.text);
  ASSERT_TRUE(entry.good) << entry.rule;
  EXPECT_EQ(entry.raw.dtype, row.dtype);
  EXPECT_EQ(entry.shape, row.shape);
  EXPECT_EQ(entry.raw.begin, row.begin);
  EXPECT_EQ(entry.raw.end, row.end);
  EXPECT_EQ(entry.rest, "}");
}

INSTANTIATE_TEST_SUITE_P(
    Header, GoodEntries,
    testing::ValuesIn(std::vector<Good>{
        {"AsWritersWriteIt",
         R"(:{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]})",
         Dtype::kF32,
         {2, 3},
         0,
         24},
        {"AScalar",
         R"(:{"dtype":"BF16","shape":[],"data_offsets":[8,10]})",
         Dtype::kBF16,
         {},
         8,
         10},
        {"WithSpace",
         ": {\n\t\"dtype\" : \"I8\", \"shape\" : [ 4 ],\r \"data_offsets\" : [ 0 , 4 ] }",
         Dtype::kI8,
         {4},
         0,
         4},
        {"InAnotherOrder",
         R"(:{"data_offsets":[1,3],"shape":[1],"dtype":"F16"})",
         Dtype::kF16,
         {1},
         1,
         3},
        {"WithEscapes",
         R"(:{"\u0064type":"F\u00332","shape":[1],"data_offsets":[0,4]})",
         Dtype::kF32,
         {1},
         0,
         4},
        {"TheLargestNumbers",
         R"(:{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]})",
         Dtype::kU8,
         {UINT64_MAX},
         0,
         UINT64_MAX},
    }),
    [](const testing::TestParamInfo<Good>& row) { return std::string(row.param.name); });

struct Bad {
  const char* name;
  std::string text;
  const char* rule;
};
void PrintTo(const Bad& row, std::ostream* out) { *out << row.name; }

class BadEntries : public testing::TestWithParam<Bad> {};

TEST_P(BadEntries, NameTheRule) {
  const auto entry = read(GetParam().text);
  EXPECT_FALSE(entry.good);
  EXPECT_EQ(entry.rule, GetParam().rule);
}

INSTANTIATE_TEST_SUITE_P(
    Header, BadEntries,
    testing::ValuesIn(std::vector<Bad>{
        {"Nothing", "", "ST-4"},
        {"NoObject", ":[]", "ST-12"},
        {"MemberMissing", R"(:{"dtype":"F32","shape":[2,3]})", "ST-12"},
        {"MemberTooMany", R"(:{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1})", "ST-12"},
        {"MemberTwice", R"(:{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]})",
         "ST-6"},
        {"OneOffset", R"(:{"dtype":"F32","shape":[],"data_offsets":[4]})", "ST-12"},
        {"UnknownDtype", R"(:{"dtype":"F33","shape":[],"data_offsets":[0,4]})", "ST-13"},
        {"DtypeIsANumber", R"(:{"dtype":32,"shape":[],"data_offsets":[0,4]})", "ST-13"},
        {"LeadingZero", R"(:{"dtype":"F32","shape":[02],"data_offsets":[0,8]})", "ST-8"},
        {"Negative", R"(:{"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "ST-8"},
        {"Above64Bits", R"(:{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,4]})",
         "ST-8"},
        {"ShapeIsANumber", R"(:{"dtype":"F32","shape":1,"data_offsets":[0,4]})", "ST-12"},
    }),
    [](const testing::TestParamInfo<Bad>& row) { return std::string(row.param.name); });

TEST(EntryReader, TheShapeIsThatOfTheLastEntry) {
  const std::string text =
      R"(:{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}:{"dtype":"F32","shape":[5],"data_offsets":[24,44]}})";
  HeaderScanner scan(text);
  EntryReader reader(scan);
  RawEntry raw;
  ASSERT_TRUE(reader.read("a", raw));
  ASSERT_TRUE(reader.read("b", raw));
  EXPECT_EQ(Shape(reader.shape().begin(), reader.shape().end()), (Shape{5}));
  EXPECT_EQ(raw.begin, 24U);
}

}  // namespace
}  // namespace ferrule::format
