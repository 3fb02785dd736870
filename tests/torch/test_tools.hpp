// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "net.hpp"

namespace ferrule::torch_test {

// The models are small: threads would only wait for each other.
inline const bool kOneThread = [] {
  at::set_num_threads(1);
  return true;
}();

inline AdapterConfig make(const char* type, std::initializer_list<Json::Member> fields) {
  const std::vector<Json::Member> list(fields);
  auto config = AdapterConfig::make(type, list);
  EXPECT_TRUE(config) << (config ? "" : config.error().to_string());
  return *std::move(config);
}

inline Json names(std::initializer_list<const char*> list) {
  return Json(Json::Array(list.begin(), list.end()));
}

inline AdapterConfig lora(std::initializer_list<const char*> targets) {
  return make("LORA", {{"target_modules", names(targets)}});
}

/// Names, values and flags of everything in a module.
inline std::vector<std::tuple<std::string, at::Tensor, bool>> snapshot(
    const ::torch::nn::Module& module) {
  std::vector<std::tuple<std::string, at::Tensor, bool>> all;
  for (const auto& entry : module.named_parameters()) {
    all.emplace_back(entry.key(), entry.value().detach().clone(), entry.value().requires_grad());
  }
  return all;
}

inline void expect_same(const ::torch::nn::Module& module,
                        const std::vector<std::tuple<std::string, at::Tensor, bool>>& before) {
  const auto now = snapshot(module);
  ASSERT_EQ(now.size(), before.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    EXPECT_EQ(std::get<0>(now[i]), std::get<0>(before[i]));
    EXPECT_TRUE(at::equal(std::get<1>(now[i]), std::get<1>(before[i]))) << std::get<0>(now[i]);
    EXPECT_EQ(std::get<2>(now[i]), std::get<2>(before[i])) << std::get<0>(now[i]);
  }
}

template <typename T>
void expect_error(const Result<T>& result, std::string_view rule, std::string_view words) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().rule, rule) << result.error().to_string();
  EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().to_string();
}

/// Changes what is trained, as an optimizer would.
inline void train(::torch::nn::Module& module) {
  const ::torch::NoGradGuard no_grad;
  for (auto& parameter : module.parameters()) {
    if (parameter.requires_grad()) parameter.add_(at::randn(parameter.sizes()) * 0.1);
  }
}

inline at::Tensor words() { return at::arange(12).view({2, 6}).remainder(Net::kWords); }

}  // namespace ferrule::torch_test
