// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

namespace ferrule::merging {

/// The function that transformers' ACT2FN has under that name, or nullptr.
template <typename T>
using Activation = T (*)(T);

template <typename T>
Activation<T> activation(std::string_view name) {
  if (name == "relu") return [](T x) { return std::max(x, T(0)); };
  if (name == "relu6") return [](T x) { return std::clamp(x, T(0), T(6)); };
  if (name == "relu2") {
    return [](T x) {
      const T y = std::max(x, T(0));
      return y * y;
    };
  }
  if (name == "leaky_relu") return [](T x) { return x > 0 ? x : T(0.01) * x; };
  if (name == "linear") return [](T x) { return x; };
  if (name == "tanh") return [](T x) { return std::tanh(x); };
  if (name == "sigmoid") return [](T x) { return 1 / (1 + std::exp(-x)); };
  if (name == "silu" || name == "swish") return [](T x) { return x / (1 + std::exp(-x)); };
  if (name == "mish") return [](T x) { return x * std::tanh(std::log1p(std::exp(x))); };
  if (name == "quick_gelu") return [](T x) { return x / (1 + std::exp(T(-1.702) * x)); };
  if (name == "gelu" || name == "gelu_python") {
    return [](T x) { return x * T(0.5) * (1 + std::erf(x * T(0.7071067811865476))); };
  }
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh") {
    return [](T x) {
      return T(0.5) * x * (1 + std::tanh(T(0.7978845608028654) * (x + T(0.044715) * x * x * x)));
    };
  }
  return nullptr;
}

}  // namespace ferrule::merging
