// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"

namespace ferrule::merging {
namespace {

/// A path of GLoRA as a matrix that is spread over [rows, columns]: a product, a column, a number.
template <typename T>
Result<Matrix<T>> glora_path(const Site& site, const std::string& role, std::size_t rows,
                             std::size_t columns) {
  Matrix<T> out(rows, columns);
  const auto* down = site.module->find(role + ".Xd");
  const auto* up = site.module->find(role + ".Xu");
  if (down != nullptr && up != nullptr) {
    out = multiply(matrix_of<T>(*down), matrix_of<T>(*up));
    if (out.rows == rows && out.columns == columns) return out;
    return site.refuse("BS-2", role + " does not fit the layer");
  }
  const auto* vector = site.module->find(role + ".X");
  if (vector == nullptr) return out;
  const auto values = numbers_of<T>(vector->tensor);
  if (values.size() != 1 && values.size() != rows) {
    return site.refuse("BS-2", role + " does not fit the layer");
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) out.at(i, j) = values[values.size() == 1 ? 0 : i];
  }
  return out;
}

/// W + W0 A + B, each operation rounded.
template <typename T>
Result<void> glora(const Site& site, const Rounding& rounding, const Matrix<T>& /*weight*/,
                   const Matrix<T>& original, Matrix<T>& out) {
  FERRULE_TRY(auto a, glora_path<T>(site, "glora_A", out.rows, out.columns));
  FERRULE_TRY(auto b, glora_path<T>(site, "glora_B", out.rows, out.columns));
  rounding.round(a.values.data(), a.values.size());
  rounding.round(b.values.data(), b.values.size());
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    out.values[i] = rounding.round(rounding.round(original.values[i] * a.values[i]) + b.values[i]);
  }
  return {};
}

/// b + b0 D + E + W0 C.
class GloraBias final : public Step {
 public:
  explicit GloraBias(Site site) : site_(std::move(site)) {}
  bool needs_all_rows() const noexcept override { return true; }
  Result<void> apply(const Tile<float>& tile, const Rounding& rounding) const override {
    return run(tile, rounding);
  }
  Result<void> apply(const Tile<double>& tile, const Rounding& rounding) const override {
    return run(tile, rounding);
  }

 private:
  template <typename T>
  Result<void> run(const Tile<T>& tile, const Rounding& rounding) const {
    FERRULE_TRY(auto more, from_weight<T>(tile.rows, rounding));
    FERRULE_TRY(const auto d, glora_path<T>(site_, "glora_D", tile.rows, 1));
    FERRULE_TRY(const auto e, glora_path<T>(site_, "glora_E", tile.rows, 1));
    const auto factor = static_cast<T>(site_.weight);
    for (std::size_t i = 0; i < tile.rows; ++i) {
      const T product = rounding.round(tile.values[i] * rounding.round(d.values[i]));
      const T sum = rounding.round(product + rounding.round(e.values[i]));
      tile.values[i] += factor * rounding.round(sum + rounding.round(more[i]));
    }
    return {};
  }

  /// W0 C, of the weight and C in the model's dtype.
  template <typename T>
  Result<std::vector<T>> from_weight(std::size_t rows, const Rounding& rounding) const {
    std::vector<T> out(rows);
    if (site_.module->find("glora_C.X") == nullptr && site_.module->find("glora_C.Xd") == nullptr) {
      return out;
    }
    if (site_.disk == nullptr) {
      return site_.refuse("MG-10", "the base keeps its weight in several tensors");
    }
    FERRULE_TRY(auto c, glora_path<T>(site_, "glora_C", site_.in(), 1));
    auto weight = numbers_of<T>(site_.disk->view);
    rounding.round(c.values.data(), c.values.size());
    rounding.round(weight.data(), weight.size());
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < c.rows; ++j) out[i] += weight[i * c.rows + j] * c.values[j];
    }
    return out;
  }

  Site site_;
};

}  // namespace

Result<SiteSteps> plan_glora(const Site& site) {
  if (site.undo) {
    return site.refuse(
        "MG-9",
        "GLORA makes its update from the weight before the merge, which is not known "
        "any more: it cannot be undone");
  }
  SiteSteps steps;
  steps.weight.push_back(dense_maker(site, {.rounding = DeltaRounding::kDelta,
                                            .needs_original = true,
                                            .narrow = glora<float>,
                                            .wide = glora<double>}));
  if (site.has_bias) {
    steps.bias.push_back([site](const Place&) -> Result<std::unique_ptr<Step>> {
      return std::unique_ptr<Step>(std::make_unique<GloraBias>(site));
    });
  }
  return steps;
}

}  // namespace ferrule::merging
