// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "model/quantized_weights.hpp"

namespace ferrule::merging {

/// Makes the values of a quantized weight, rows at a time, straight from its tensors.
///
/// As float they are what the library makes whose format it is, rounded where it rounds
/// (transformers, bitsandbytes, compressed-tensors, GPTQModel, AutoAWQ, ModelOpt). As double they
/// are exact, for a merge that rounds once.
class Dequantizer {
 public:
  virtual ~Dequantizer() = default;
  Dequantizer(const Dequantizer&) = delete;
  Dequantizer& operator=(const Dequantizer&) = delete;

  /// `rows` rows of the plain weight, seen as [first extent, product of the others]. Any number of
  /// threads may.
  virtual void load(std::size_t first_row, std::size_t rows, float* out) const = 0;
  virtual void load(std::size_t first_row, std::size_t rows, double* out) const = 0;

  /// `weight` must outlive it.
  static std::unique_ptr<const Dequantizer> make(const model::QuantizedWeight& weight);

 protected:
  Dequantizer() = default;
};

/// The scheme's rows() for both types.
template <typename Scheme>
class DequantizerOf final : public Dequantizer {
 public:
  explicit DequantizerOf(const model::QuantizedWeight& weight) : scheme_(weight) {}
  void load(std::size_t first_row, std::size_t rows, float* out) const override {
    scheme_.rows(first_row, rows, out);
  }
  void load(std::size_t first_row, std::size_t rows, double* out) const override {
    scheme_.rows(first_row, rows, out);
  }

 private:
  Scheme scheme_;
};

std::unique_ptr<const Dequantizer> dequantize_integers(const model::QuantizedWeight& weight);
std::unique_ptr<const Dequantizer> dequantize_floats(const model::QuantizedWeight& weight);

}  // namespace ferrule::merging
