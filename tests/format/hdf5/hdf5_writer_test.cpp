// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "format/hdf5/hdf5_file.hpp"

namespace ferrule::format {
namespace {

// tests/exchange/real_language_models.py opens files of it with h5py and keras-hub.
TEST(Hdf5Writer, WhatIsFramedIsReadBack) {
  const std::vector<Hdf5Output> outputs = {
      {.path = "lora/9/vars/lora_kernel_a", .dtype = Dtype::kF32, .shape = {2, 3}, .bytes = 24},
      {.path = "lora/9/vars/lora_kernel_b", .dtype = Dtype::kF16, .shape = {3}, .bytes = 6},
      {.path = "lora/vars/rank", .dtype = Dtype::kI64, .shape = {}, .bytes = 8}};
  std::string file = frame_hdf5(outputs).value();
  for (const auto& output : outputs) {
    ASSERT_EQ(file.size() % 8, 0U);
    for (std::uint64_t k = 0; k < output.bytes; ++k) file.push_back(static_cast<char>(k + 1));
    file.append((8 - output.bytes % 8) % 8, '\0');
  }
  const auto datasets = parse_hdf5(std::as_bytes(std::span(file))).value();
  ASSERT_EQ(datasets.size(), outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ(datasets[i].path, outputs[i].path);
    EXPECT_EQ(datasets[i].dtype, outputs[i].dtype);
    EXPECT_EQ(datasets[i].shape, outputs[i].shape);
    ASSERT_EQ(datasets[i].bytes.size(), outputs[i].bytes);
    EXPECT_EQ(datasets[i].bytes.front(), std::byte{1});
  }
}

TEST(Hdf5Writer, GroupsMayHaveManyEntries) {
  std::vector<Hdf5Output> outputs;
  for (int i = 0; i < 1000; ++i) {
    outputs.push_back({.path = "lora/" + std::to_string(i), .dtype = Dtype::kF64, .shape = {0}});
  }
  const auto file = frame_hdf5(outputs).value();
  EXPECT_EQ(parse_hdf5(std::as_bytes(std::span(file))).value().size(), 1000U);
}

// EX-23
TEST(Hdf5Writer, TypesThatHdf5LacksAreRefused) {
  const std::vector<Hdf5Output> outputs = {{.path = "a", .dtype = Dtype::kBF16, .shape = {1}}};
  const auto file = frame_hdf5(outputs);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().rule, "EX-23");
}

}  // namespace
}  // namespace ferrule::format
