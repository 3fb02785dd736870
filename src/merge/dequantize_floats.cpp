// SPDX-License-Identifier: Apache-2.0
// Weights whose elements are floating-point numbers: FP8, NVFP4, MXFP4, bitsandbytes' 4 bits.
#include <algorithm>

#include "merge/dequantizer.hpp"
#include "merge/dequantizer_parts.hpp"

namespace ferrule::merging {
namespace {

using model::QuantizedWeight;

/// Elements of a byte and a grid of scales over the matrices of the weight.
class Scaled {
 public:
  explicit Scaled(const QuantizedWeight& weight)
      : weight_(weight),
        values_(*weight.part("weight")),
        bytes_(byte_values(weight.part("weight")->dtype())),
        scales_(scale_values(*weight.part("scale"))),
        columns_(static_cast<std::size_t>(weight.shape.back())),
        matrix_rows_(static_cast<std::size_t>(weight.shape[weight.shape.size() - 2])) {
    if (const auto* zeros = weight.part("zeros")) zeros_ = integers_of(*zeros);
    const auto up = [](std::size_t a, std::uint64_t b) {
      return (a + static_cast<std::size_t>(b) - 1) / static_cast<std::size_t>(b);
    };
    grid_rows_ = up(matrix_rows_, weight.block_rows);
    grid_columns_ = std::max<std::size_t>(up(columns_, weight.block_columns), 1);
  }

  template <typename T>
  void rows(std::size_t first, std::size_t count, T* out) const {
    const auto all = columns_of(weight_);
    const auto lines = columns_ == 0 ? 0 : all / columns_;  // Of a matrix's own rows in one row.
    const auto wide = static_cast<std::size_t>(weight_.block_columns);
    for (auto line = first * lines; line < (first + count) * lines; ++line, out += columns_) {
      const auto at = place(line);
      for (std::size_t j = 0; j < columns_; ++j) {
        const auto scale = scales_.size() == 1 ? 0 : at + j / wide;
        auto value = static_cast<T>(bytes_[load_word<std::uint8_t>(values_, line * columns_ + j)]);
        if (!zeros_.empty()) value -= static_cast<T>(zeros_[scale]);
        out[j] = value * static_cast<T>(scales_[scale]);
      }
      round_as_library(weight_.arithmetic, out, columns_);
    }
  }

 private:
  /// Of the first scale of a line.
  std::size_t place(std::size_t line) const {
    const auto matrix = line / matrix_rows_;
    const auto row = line % matrix_rows_ / static_cast<std::size_t>(weight_.block_rows);
    return (matrix * grid_rows_ + row) * grid_columns_;
  }

  const QuantizedWeight& weight_;
  const TensorView& values_;
  const std::array<float, 256>& bytes_;
  std::vector<float> scales_;
  std::vector<std::int64_t> zeros_;
  std::size_t columns_;
  std::size_t matrix_rows_;
  std::size_t grid_rows_ = 1;
  std::size_t grid_columns_ = 1;
};

/// Two FP4 values in a byte, the first in its low half, and a scale for each group of a row.
class Fp4Groups {
 public:
  explicit Fp4Groups(const QuantizedWeight& weight)
      : weight_(weight),
        values_(*weight.part("weight")),
        scales_(scale_values(*weight.part("scale"))),
        columns_(static_cast<std::size_t>(weight.shape.back())) {
    if (const auto* global = weight.part("global")) global_ = load_word<float>(*global, 0);
  }

  template <typename T>
  void rows(std::size_t first, std::size_t count, T* out) const {
    const auto lines = columns_ == 0 ? 0 : columns_of(weight_) / columns_;
    const auto group = static_cast<std::size_t>(weight_.block_columns);
    for (auto line = first * lines; line < (first + count) * lines; ++line, out += columns_) {
      T scale = 0;
      for (std::size_t j = 0; j < columns_; ++j) {
        if (j % group == 0) {
          const auto own = static_cast<T>(scales_[(line * columns_ + j) / group]);
          const auto whole = static_cast<T>(global_);
          scale = weight_.global_divides ? own / whole : own * whole;
        }
        const auto byte = load_word<std::uint8_t>(values_, (line * columns_ + j) / 2);
        out[j] = static_cast<T>(kE2M1[j % 2 == 0 ? byte & 0xFU : byte >> 4]) * scale;
      }
      round_as_library(weight_.arithmetic, out, columns_);
    }
  }

 private:
  const QuantizedWeight& weight_;
  const TensorView& values_;
  std::vector<float> scales_;
  std::size_t columns_;
  float global_ = 1;
};

/// gpt-oss: blocks are [experts, rows, groups, 16 bytes], the weight is [experts, columns, rows].
class Mxfp4Experts {
 public:
  explicit Mxfp4Experts(const QuantizedWeight& weight)
      : blocks_(*weight.part("weight")),
        scales_(*weight.part("scale")),
        powers_(byte_values(Dtype::kU8)),
        columns_(static_cast<std::size_t>(weight.shape[1])),
        rows_(static_cast<std::size_t>(weight.shape[2])) {}

  template <typename T>
  void rows(std::size_t first, std::size_t count, T* out) const {
    for (auto expert = first; expert < first + count; ++expert, out += columns_ * rows_) {
      for (std::size_t row = 0; row < rows_; ++row) {
        const auto line = (expert * rows_ + row) * (columns_ / 32);
        for (std::size_t j = 0; j < columns_; ++j) {
          const auto block = line + j / 32;
          const auto scale = powers_[load_word<std::uint8_t>(scales_, block)];
          const auto byte = load_word<std::uint8_t>(blocks_, block * 16 + j % 32 / 2);
          const auto value = kE2M1[j % 2 == 0 ? byte & 0xFU : byte >> 4];
          out[j * rows_ + row] = static_cast<T>(value) * static_cast<T>(scale);
        }
      }
    }
  }

 private:
  const TensorView& blocks_;
  const TensorView& scales_;
  const std::array<float, 256>& powers_;
  std::size_t columns_;
  std::size_t rows_;
};

/// Two indices into a table in a byte, the first in its high half, and a maximum for each block of
/// the flat weight. The maxima may be quantized themselves.
class NormalFloat {
 public:
  explicit NormalFloat(const QuantizedWeight& weight)
      : weight_(weight),
        bytes_(*weight.part("weight")),
        code_(numbers_of<float>(*weight.part("code"))) {
    const auto& absmax = *weight.part("scale");
    const auto* nested = weight.part("nested");
    if (nested == nullptr) {
      maxima_ = numbers_of<float>(absmax);
      return;
    }
    const auto table = numbers_of<float>(*weight.part("nested code"));
    const auto of_blocks = numbers_of<float>(*nested);
    const auto offset = static_cast<float>(weight.nested_offset);
    maxima_.resize(static_cast<std::size_t>(absmax.element_count()));
    for (std::size_t i = 0; i < maxima_.size(); ++i) {
      const float value = table[load_word<std::uint8_t>(absmax, i)] *
                          of_blocks[i / static_cast<std::size_t>(weight.nested_block)];
      maxima_[i] = value + offset;
    }
  }

  template <typename T>
  void rows(std::size_t first, std::size_t count, T* out) const {
    const auto columns = columns_of(weight_);
    const auto block = static_cast<std::size_t>(weight_.block_columns);
    const auto start = first * columns;
    const auto size = count * columns;
    for (std::size_t i = 0; i < size; ++i) {
      const auto at = start + i;
      const auto byte = load_word<std::uint8_t>(bytes_, at / 2);
      out[i] = static_cast<T>(code_[at % 2 == 0 ? byte >> 4 : byte & 0xFU]) *
               static_cast<T>(maxima_[at / block]);
    }
    round_as_library(weight_.arithmetic, out, size);
  }

 private:
  const QuantizedWeight& weight_;
  const TensorView& bytes_;
  std::vector<float> code_;
  std::vector<float> maxima_;
};

}  // namespace

std::unique_ptr<const Dequantizer> dequantize_floats(const QuantizedWeight& weight) {
  switch (weight.kind) {
    case model::Quantization::kFp4Groups:
      return std::make_unique<DequantizerOf<Fp4Groups>>(weight);
    case model::Quantization::kMxfp4Experts:
      return std::make_unique<DequantizerOf<Mxfp4Experts>>(weight);
    case model::Quantization::kNormalFloat:
      return std::make_unique<DequantizerOf<NormalFloat>>(weight);
    default:
      return std::make_unique<DequantizerOf<Scaled>>(weight);
  }
}

}  // namespace ferrule::merging
