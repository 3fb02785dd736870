// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "ferrule/file_names.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "temp_dir.hpp"

namespace ferrule::test {

/// `key`.lora_A.weight is a 2 x 4 of ones, `key`.lora_B.weight a 4 x 2 of `b`.
struct SmallModule {
  std::string key;
  float b = 1;
};

inline void write_small_lora(const std::filesystem::path& folder, const std::string& config,
                             const std::vector<SmallModule>& modules) {
  const std::uint64_t a_shape[] = {2, 4};
  const std::uint64_t b_shape[] = {4, 2};
  const std::vector<float> ones(8, 1);
  std::deque<std::vector<float>> memory;
  std::deque<std::string> names;
  std::vector<NamedTensor> tensors;
  for (const auto& [key, b] : modules) {
    const auto& values = memory.emplace_back(8, b);
    tensors.push_back({names.emplace_back(key + ".lora_A.weight"),
                       *TensorView::make(Dtype::kF32, a_shape, std::as_bytes(std::span(ones)))});
    tensors.push_back({names.emplace_back(key + ".lora_B.weight"),
                       *TensorView::make(Dtype::kF32, b_shape, std::as_bytes(std::span(values)))});
  }
  write_file(folder / kConfigFile, config);
  ASSERT_TRUE(write_safetensors(folder / kSafetensorsFile, tensors));
}

/// A base with the 4 x 4 weights of these modules.
inline void write_small_base(const std::filesystem::path& file,
                             const std::vector<std::string>& modules) {
  const std::uint64_t shape[] = {4, 4};
  const std::vector<float> values(16, 1);
  std::deque<std::string> names;
  std::vector<NamedTensor> tensors;
  for (const auto& module : modules) {
    tensors.push_back({names.emplace_back(module + ".weight"),
                       *TensorView::make(Dtype::kF32, shape, std::as_bytes(std::span(values)))});
  }
  ASSERT_TRUE(write_safetensors(file, tensors));
}

}  // namespace ferrule::test
