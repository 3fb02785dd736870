// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ferrule/tensor_view.hpp"
#include "merge/step.hpp"

namespace ferrule::merging {

/// Puts the values of a tensor of the adapter in place of the weight's: of a module saved in full,
/// a bias, an embedding.
class ReplaceStep final : public Step {
 public:
  /// Row `i` of the weight, element `j`, is element first + i * row + j * column of the tensor.
  ReplaceStep(const TensorView& tensor, std::size_t first, std::size_t row, std::size_t column)
      : tensor_(tensor), first_(first), row_(row), column_(column) {}

  const TensorView& tensor() const noexcept { return tensor_; }
  bool makes_original() const noexcept override { return true; }

  Result<void> apply(const Tile<float>& tile, const Rounding& rounding) const override;
  Result<void> apply(const Tile<double>& tile, const Rounding& rounding) const override;

 private:
  template <typename T>
  void put(const Tile<T>& tile) const;

  TensorView tensor_;
  std::size_t first_;
  std::size_t row_;
  std::size_t column_;
};

/// Puts rows of the adapter in the place of single rows: trained tokens.
class RowsStep final : public Step {
 public:
  /// Row indices[i] becomes row i of the tensor.
  RowsStep(const TensorView& tensor, std::vector<std::uint64_t> indices)
      : tensor_(tensor), indices_(std::move(indices)) {}

  Result<void> apply(const Tile<float>& tile, const Rounding& rounding) const override;
  Result<void> apply(const Tile<double>& tile, const Rounding& rounding) const override;

 private:
  template <typename T>
  void put(const Tile<T>& tile) const;

  TensorView tensor_;
  std::vector<std::uint64_t> indices_;
};

/// Adds a vector times a factor to another one, a bias.
class AddVectorStep final : public Step {
 public:
  /// `multiplies`: the bias is multiplied by the vector instead (IA3), or divided by it.
  enum class Kind : std::uint8_t { kAdd, kMultiply, kDivide };
  AddVectorStep(const TensorView& vector, double factor, Kind kind)
      : vector_(vector), factor_(factor), kind_(kind) {}

  Result<void> apply(const Tile<float>& tile, const Rounding& rounding) const override;
  Result<void> apply(const Tile<double>& tile, const Rounding& rounding) const override;

 private:
  template <typename T>
  void put(const Tile<T>& tile) const;

  TensorView vector_;
  double factor_;
  Kind kind_;
};

/// Another step on some of the rows: the parameter is a part of what is on disk.
class PartStep final : public Step {
 public:
  PartStep(std::unique_ptr<Step> inner, std::size_t first_row, std::size_t rows)
      : inner_(std::move(inner)), first_row_(first_row), rows_(rows) {}

  bool needs_all_rows() const noexcept override { return inner_->needs_all_rows(); }
  bool needs_original() const noexcept override { return inner_->needs_original(); }
  bool makes_original() const noexcept override { return inner_->makes_original(); }
  Result<void> begin(bool wide) override { return inner_->begin(wide); }
  void end() override { inner_->end(); }
  Result<void> apply(const Tile<float>& tile, const Rounding& rounding) const override;
  Result<void> apply(const Tile<double>& tile, const Rounding& rounding) const override;

 private:
  template <typename T>
  Result<void> pass(const Tile<T>& tile, const Rounding& rounding) const;

  std::unique_ptr<Step> inner_;
  std::size_t first_row_;
  std::size_t rows_;
};

}  // namespace ferrule::merging
