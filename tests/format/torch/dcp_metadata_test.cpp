// SPDX-License-Identifier: Apache-2.0
#include "format/torch/dcp_metadata.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "temp_dir.hpp"

namespace ferrule::format {
namespace {

/// `.metadata` of torch 2.13's dcp.save of {"model": {"q.lora_A.default.weight": float32 [2, 4],
/// "q.lora_B.default.weight": bfloat16 [4, 2]}, "step": 3}.
std::string golden() {
  return test::read_file(std::filesystem::path(FERRULE_TEST_DATA) / "golden/dcp/metadata.pickle");
}

Result<DcpMetadata> read(const std::string& bytes) {
  return read_dcp_metadata(std::as_bytes(std::span(bytes)));
}

// RS-2
TEST(DcpMetadata, SaysWhereTorchPutEachTensor) {
  const auto metadata = read(golden());
  ASSERT_TRUE(metadata) << metadata.error().to_string();
  ASSERT_EQ(metadata->tensors.size(), 2U);
  EXPECT_EQ(metadata->others, 1U) << "the step";
  const auto& a = metadata->tensors[0];
  EXPECT_EQ(a.name, "model.q.lora_A.default.weight");
  EXPECT_EQ(a.path, (std::vector<std::string>{"model", "q.lora_A.default.weight"}));
  EXPECT_EQ(a.dtype, Dtype::kF32);
  EXPECT_EQ(a.shape, (std::vector<std::uint64_t>{2, 4}));
  ASSERT_EQ(a.chunks.size(), 1U);
  EXPECT_EQ(a.chunks[0].offsets, (std::vector<std::uint64_t>{0, 0}));
  EXPECT_EQ(a.chunks[0].sizes, a.shape);
  EXPECT_EQ(a.chunks[0].file, "__0_0.distcp");
  EXPECT_EQ(metadata->tensors[1].dtype, Dtype::kBF16);
  ASSERT_EQ(metadata->files.size(), 1U);
  EXPECT_GE(metadata->files.begin()->second, a.chunks[0].offset + a.chunks[0].bytes);
}

TEST(DcpMetadata, EveryShorterFileIsRefused) {
  const auto bytes = golden();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(read(bytes.substr(0, size))) << size;
  }
}

TEST(DcpMetadata, WhatFollowsThePickleIsRefused) {
  EXPECT_EQ(read(golden() + "x").error().rule, "PK-1");
}

// PK-22
TEST(DcpMetadata, AClassThatTheListDoesNotHaveIsRefused) {
  auto bytes = golden();
  const std::string name = "TensorStorageMetadata";
  const auto at = bytes.find(name);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, name.size(), "TensorStorageMetadatb");
  const auto metadata = read(bytes);
  ASSERT_FALSE(metadata);
  EXPECT_EQ(metadata.error().rule, "PK-3");
}

TEST(DcpMetadata, AFileOutsideOfTheCheckpointIsRefused) {
  auto bytes = golden();
  const std::string name = "__0_0.distcp";
  for (auto at = bytes.find(name); at != std::string::npos; at = bytes.find(name)) {
    bytes.replace(at, name.size(), "../_0.distcp");
  }
  EXPECT_EQ(read(bytes).error().rule, "RS-2");
}

TEST(DcpMetadata, AnotherPickleIsNotOne) { EXPECT_EQ(read("}.").error().rule, "RS-2"); }

}  // namespace
}  // namespace ferrule::format
