// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "merge/activation.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"

namespace ferrule::merging {
namespace {

template <typename T>
Result<void> peanut(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                    const Matrix<T>& original, Matrix<T>& out) {
  const auto name = site.config().text("act_fn").value_or("relu");
  const auto act = activation<T>(name);
  if (act == nullptr) {
    return site.refuse("MG-3", "Ferrule does not know the activation " + quote(name));
  }
  const auto apply = [&](Matrix<T>& matrix) {
    for (auto& value : matrix.values) value = act(value);
  };
  const auto linear = [&](const Matrix<T>& x, const AdapterTensor& weight) {
    return multiply(x, transposed(matrix_of<T>(weight)));
  };
  auto x = linear(transposed(original), *site.module->find("peanut_A"));
  apply(x);
  std::vector<Matrix<T>> kept;
  for (std::size_t i = 0;; ++i) {
    const auto* encoder = site.module->find("peanut_encoders." + std::to_string(i) + ".weight");
    if (encoder == nullptr) break;
    kept.push_back(x);
    x = linear(x, *encoder);
    apply(x);
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto* decoder = site.module->find("peanut_decoders." + std::to_string(i) + ".weight");
    if (decoder == nullptr) return site.refuse("MG-3", "the file lacks one of its decoders");
    x = linear(x, *decoder);
    apply(x);
    const auto& residual = kept[kept.size() - 1 - i];
    for (std::size_t k = 0; k < x.values.size(); ++k) x.values[k] += residual.values[k];
  }
  x = linear(x, *site.module->find("peanut_B"));
  scale(x, static_cast<T>(site.strength));
  out = transposed(x);
  return {};
}

}  // namespace

Result<SiteSteps> plan_peanut(const Site& site) {
  if (site.undo) {
    return site.refuse("MG-9",
                       "PEANUT makes its update from the weight before the merge, which is not "
                       "known any more: it cannot be undone");
  }
  FERRULE_CHECK(site.need("peanut_A"));
  FERRULE_CHECK(site.need("peanut_B"));
  SiteSteps steps;
  steps.weight.push_back(dense_maker(site, {.rounding = DeltaRounding::kDelta,
                                            .needs_original = true,
                                            .narrow = peanut<float>,
                                            .wide = peanut<double>}));
  return steps;
}

}  // namespace ferrule::merging
