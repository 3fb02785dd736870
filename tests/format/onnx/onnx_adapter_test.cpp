// SPDX-License-Identifier: Apache-2.0
#include "format/onnx/onnx_adapter.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace ferrule::format {
namespace {

/// Two tensors, framed and filled with bytes that count up.
std::string two_tensors() {
  const std::vector<OnnxOutput> outputs = {
      {.name = "a.lora_A.weight", .dtype = Dtype::kF32, .shape = {2, 3}, .bytes = 24},
      {.name = "b", .dtype = Dtype::kF16, .shape = {5}, .bytes = 10}};
  const auto frame = frame_onnx_adapter(outputs).value();
  std::string file = frame.head;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    file += frame.before[i];
    EXPECT_EQ(file.size() % 8, 0U) << "raw_data is aligned to 8 (the schema's force_align)";
    for (std::uint64_t k = 0; k < outputs[i].bytes; ++k) file.push_back(static_cast<char>(k));
  }
  return file + frame.after;
}

Result<std::vector<OnnxParameter>> parse(const std::string& file) {
  return parse_onnx_adapter(std::as_bytes(std::span(file)));
}

// tests/exchange/program_samples.py reads files of onnxruntime itself.
TEST(OnnxAdapter, WhatIsFramedIsReadBack) {
  const auto file = two_tensors();
  const auto parameters = parse(file).value();
  ASSERT_EQ(parameters.size(), 2U);
  EXPECT_EQ(parameters[0].name, "a.lora_A.weight");
  EXPECT_EQ(parameters[0].dtype, Dtype::kF32);
  EXPECT_EQ(parameters[0].shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(parameters[0].bytes.size(), 24U);
  EXPECT_EQ(parameters[0].bytes[23], std::byte{23});
  EXPECT_EQ(parameters[1].name, "b");
  EXPECT_EQ(parameters[1].dtype, Dtype::kF16);
  EXPECT_EQ(parameters[1].bytes.size(), 10U);
}

// EX-20
TEST(OnnxAdapter, NoShorterFileIsTaken) {
  const auto file = two_tensors();
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto parsed = parse(file.substr(0, size));
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().rule, "EX-20") << size;
  }
}

TEST(OnnxAdapter, TextsEndWithAZero) {
  auto file = two_tensors();
  const auto end = file.find("a.lora_A.weight") + 15;
  ASSERT_EQ(file[end], '\0');
  file[end] = 'x';
  EXPECT_EQ(parse(file).error().rule, "EX-20");
}

TEST(OnnxAdapter, AnyOneByteMayBeWrong) {
  const auto file = two_tensors();
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const char value : {'\0', '\x7f', '\xff'}) {
      auto broken = file;
      broken[at] = value;
      const auto parsed = parse(broken);
      if (parsed) continue;  // A byte of a name or of the data.
      EXPECT_TRUE(parsed.error().rule == "EX-20" || parsed.error().rule == "EX-21") << at;
    }
  }
}

TEST(OnnxAdapter, TwoTensorsOfOneNameAreRefused) {
  const std::vector<OnnxOutput> outputs(
      2, {.name = "a", .dtype = Dtype::kF32, .shape = {1}, .bytes = 4});
  const auto frame = frame_onnx_adapter(outputs).value();
  std::string file = frame.head;
  for (const auto& before : frame.before) file += before + "1234";
  EXPECT_EQ(parse(file).error().rule, "EX-20");
}

// EX-21
TEST(OnnxAdapter, DtypesThatAdaptersLackAreRefused) {
  const std::vector<OnnxOutput> outputs = {
      {.name = "a", .dtype = Dtype::kF8E4M3, .shape = {1}, .bytes = 1}};
  EXPECT_EQ(frame_onnx_adapter(outputs).error().rule, "EX-21");
}

TEST(OnnxAdapter, TwoGibibytesAreTooMany) {
  const std::vector<OnnxOutput> outputs = {
      {.name = "a", .dtype = Dtype::kF32, .shape = {1U << 29U}, .bytes = std::uint64_t{1} << 31U}};
  EXPECT_EQ(frame_onnx_adapter(outputs).error().rule, "EX-21");
}

}  // namespace
}  // namespace ferrule::format
