// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "ferrule/tensor_view.hpp"
#include "merge/step.hpp"

namespace ferrule::merging {

/// `rank` vectors in a tensor: element `i` of vector `k` is at first + k * vector + i * element.
struct Strided {
  TensorView tensor;
  std::size_t first = 0;
  std::size_t vector = 0;
  std::size_t element = 0;
};

/// Rows of the weight that get `scale * B A`.
struct ProductBlock {
  std::size_t first_row = 0;
  std::size_t rows = 0;
  Strided a;  ///< Over the columns.
  Strided b;  ///< Over the rows.
};

/// Where the rounding of the weight's dtype happens besides that of the sum.
enum class DeltaRounding : std::uint8_t {
  kNone,
  kDelta,  ///< The product is rounded before it is added.
};

/// Adds products of thin factors: LoRA and all that comes down to it.
class LowRankStep final : public Step {
 public:
  LowRankStep(std::size_t rank, std::size_t columns, double scale, DeltaRounding rounding)
      : rank_(rank), columns_(columns), scale_(scale), delta_(rounding) {}

  void add(ProductBlock block) { blocks_.push_back(std::move(block)); }
  void divide_by(double divisor) { divisor_ = divisor; }
  /// Factors as matrices that somebody computes when they are needed: A is [rank, its length] and B
  /// is [its length, rank], row-major. Blocks then count elements in these.
  using Maker = std::function<Result<void>(std::vector<double>& a, std::vector<double>& b)>;
  using FloatMaker = std::function<Result<void>(std::vector<float>& a, std::vector<float>& b)>;
  void make_factors(FloatMaker narrow, Maker wide) {
    narrow_maker_ = std::move(narrow);
    wide_maker_ = std::move(wide);
  }

  Result<void> begin(bool wide) override;
  void end() override;
  Result<void> apply(const Tile<float>& tile, const Rounding& rounding) const override;
  Result<void> apply(const Tile<double>& tile, const Rounding& rounding) const override;

 private:
  template <typename T>
  struct Numbers {
    std::vector<T> a;  ///< Block by block, [rank, columns].
    std::vector<T> b;  ///< Block by block, [rows, rank].
  };
  template <typename T>
  Result<void> fill(Numbers<T>& numbers);
  template <typename T>
  void add_to(const Tile<T>& given, const Rounding& rounding) const;

  std::size_t rank_;
  std::size_t columns_;
  double scale_;
  double divisor_ = 1;
  DeltaRounding delta_;
  std::vector<ProductBlock> blocks_;
  FloatMaker narrow_maker_;
  Maker wide_maker_;
  Numbers<float> narrow_;
  Numbers<double> wide_;
};

}  // namespace ferrule::merging
