// SPDX-License-Identifier: Apache-2.0
// Weights whose elements are integers: GPTQ, AWQ, compressed-tensors, LLM.int8.
#include <algorithm>

#include "merge/dequantizer.hpp"
#include "merge/dequantizer_parts.hpp"

namespace ferrule::merging {
namespace {

using model::QuantizedWeight;

/// The tensors of GPTQ and AWQ. Columns of the stored matrices are rows of the weight.
struct StoredByColumn {
  explicit StoredByColumn(const QuantizedWeight& weight)
      : words(*weight.part("weight")),
        zeros(*weight.part("zeros")),
        scales(scale_values(*weight.part("scale"))),
        out(static_cast<std::size_t>(weight.shape[0])),
        in(static_cast<std::size_t>(weight.shape[1])) {}

  const TensorView& words;
  const TensorView& zeros;
  std::vector<float> scales;  ///< [groups, out]
  std::size_t out;
  std::size_t in;
};

/// scale * (value - zero) of the row's group, each product rounded to the dtype of the scales.
class Gptq {
 public:
  explicit Gptq(const QuantizedWeight& weight)
      : weight_(weight), stored_(weight), groups_(stored_.in) {
    const auto* order = weight.part("groups");
    for (std::size_t i = 0; i < stored_.in; ++i) {
      groups_[i] = order != nullptr ? static_cast<std::size_t>(load_word<std::int32_t>(*order, i))
                                    : i / static_cast<std::size_t>(weight.block_rows);
    }
  }

  template <typename T>
  void rows(std::size_t first, std::size_t count, T* out) const {
    const std::size_t zero_words = static_cast<std::size_t>(stored_.zeros.shape()[1]);
    std::vector<T> zeros(stored_.scales.size() / std::max<std::size_t>(stored_.out, 1));
    for (std::size_t row = first; row < first + count; ++row, out += stored_.in) {
      for (std::size_t group = 0; group < zeros.size(); ++group) {
        zeros[group] = static_cast<T>(zero(group * zero_words, row));
      }
      for (std::size_t i = 0; i < stored_.in; ++i) {
        const auto value =
            static_cast<T>(packed_value(stored_.words, row, stored_.out, i, weight_.bits));
        const auto group = groups_[i];
        out[i] = static_cast<T>(stored_.scales[group * stored_.out + row]) * (value - zeros[group]);
      }
      round_as_library(weight_.arithmetic, out, stored_.in);
    }
  }

 private:
  std::uint32_t zero(std::size_t first, std::size_t row) const {
    if (!weight_.zeros_less_one) return packed_value(stored_.zeros, first, 1, row, weight_.bits);
    if (32 % weight_.bits != 0) {
      return (packed_value(stored_.zeros, first, 1, row, weight_.bits) + 1) &
             ((1U << weight_.bits) - 1);
    }
    // One is added to all zeros of a word at once, as GPTQModel takes it off: with carries.
    std::uint32_t ones = 0;
    for (unsigned bit = 0; bit < 32; bit += weight_.bits) ones |= 1U << bit;
    const std::size_t bit = row * weight_.bits;
    const auto word = load_word<std::uint32_t>(stored_.zeros, first + bit / 32) + ones;
    return (word >> (bit % 32)) & ((1U << weight_.bits) - 1);
  }

  const QuantizedWeight& weight_;
  StoredByColumn stored_;
  std::vector<std::size_t> groups_;  ///< Of each input.
};

/// The same with eight outputs in a word, in the order 0 2 4 6 1 3 5 7.
class Awq {
 public:
  explicit Awq(const QuantizedWeight& weight) : weight_(weight), stored_(weight) {}

  template <typename T>
  void rows(std::size_t first, std::size_t count, T* out) const {
    const auto group_size = static_cast<std::size_t>(weight_.block_rows);
    for (std::size_t row = first; row < first + count; ++row, out += stored_.in) {
      for (std::size_t i = 0; i < stored_.in; ++i) {
        const auto group = i / group_size;
        const auto value = nibble(stored_.words, i, row) - nibble(stored_.zeros, group, row);
        out[i] = static_cast<T>(value) * static_cast<T>(stored_.scales[group * stored_.out + row]);
      }
      round_as_library(weight_.arithmetic, out, stored_.in);
    }
  }

 private:
  std::int32_t nibble(const TensorView& words, std::size_t line, std::size_t row) const {
    constexpr std::array<unsigned, 8> kPlace = {0, 4, 1, 5, 2, 6, 3, 7};
    const auto word = load_word<std::uint32_t>(words, line * (stored_.out / 8) + row / 8);
    return static_cast<std::int32_t>((word >> (4 * kPlace[row % 8])) & 0xFU);
  }

  const QuantizedWeight& weight_;
  StoredByColumn stored_;
};

/// (value - half - zero) * scale of the group, in the dtype of the scales.
class PackedInts {
 public:
  explicit PackedInts(const QuantizedWeight& weight)
      : weight_(weight),
        words_(*weight.part("weight")),
        zeros_(weight.part("zeros")),
        scales_(scale_values(*weight.part("scale"))),
        in_(static_cast<std::size_t>(weight.shape[1])),
        group_size_(static_cast<std::size_t>(weight.block_columns)),
        groups_(std::max<std::size_t>(in_ / group_size_, 1)) {}

  template <typename T>
  void rows(std::size_t first, std::size_t count, T* out) const {
    const auto half = static_cast<std::int32_t>(1U << (weight_.bits - 1));
    const auto row_words = static_cast<std::size_t>(words_.shape()[1]);
    for (std::size_t row = first; row < first + count; ++row, out += in_) {
      const auto of_row = row / static_cast<std::size_t>(weight_.block_rows) * groups_;
      std::int32_t zero = 0;
      for (std::size_t i = 0; i < in_; ++i) {
        const auto group = i / group_size_;
        if (zeros_ != nullptr && i % group_size_ == 0) {
          zero =
              static_cast<std::int32_t>(packed_value(*zeros_, group, groups_, row, weight_.bits)) -
              half;
        }
        const auto value =
            static_cast<std::int32_t>(packed_value(words_, row * row_words, 1, i, weight_.bits));
        out[i] = static_cast<T>(value - half - zero) * static_cast<T>(scales_[of_row + group]);
      }
      round_as_library(weight_.arithmetic, out, in_);
    }
  }

 private:
  const QuantizedWeight& weight_;
  const TensorView& words_;
  const TensorView* zeros_;
  std::vector<float> scales_;  ///< [rows, groups], or one.
  std::size_t in_;
  std::size_t group_size_;
  std::size_t groups_;
};

/// value * row's maximum / 127, which bitsandbytes multiplies by in F32.
class Int8Rows {
 public:
  explicit Int8Rows(const QuantizedWeight& weight)
      : values_(*weight.part("weight")),
        maxima_(numbers_of<float>(*weight.part("scale"))),
        in_(static_cast<std::size_t>(weight.shape[1])) {}

  template <typename T>
  void rows(std::size_t first, std::size_t count, T* out) const {
    constexpr auto kStep = static_cast<T>(7.874015718698502e-3);
    for (std::size_t row = first; row < first + count; ++row, out += in_) {
      for (std::size_t i = 0; i < in_; ++i) {
        const auto value = load_word<std::int8_t>(values_, row * in_ + i);
        const T product = static_cast<T>(value) * static_cast<T>(maxima_[row]);
        out[i] = product * kStep;
      }
    }
  }

 private:
  const TensorView& values_;
  std::vector<float> maxima_;
  std::size_t in_;
};

}  // namespace

std::unique_ptr<const Dequantizer> dequantize_integers(const QuantizedWeight& weight) {
  switch (weight.kind) {
    case model::Quantization::kGptq:
      return std::make_unique<DequantizerOf<Gptq>>(weight);
    case model::Quantization::kAwq:
      return std::make_unique<DequantizerOf<Awq>>(weight);
    case model::Quantization::kPackedInts:
      return std::make_unique<DequantizerOf<PackedInts>>(weight);
    default:
      return std::make_unique<DequantizerOf<Int8Rows>>(weight);
  }
}

}  // namespace ferrule::merging
