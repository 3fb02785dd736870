// SPDX-License-Identifier: Apache-2.0
// Methods that change single values: SHiRA, Supertuning.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/top_places.hpp"

namespace ferrule::merging {
namespace {

template <typename T>
Result<void> shira(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& weight,
                   const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto indices = integers_of(site.module->find("shira_indices")->tensor);
  const auto values = numbers_of<T>(site.module->find("shira_weight")->tensor);
  const auto count = values.size();
  if (indices.size() != 2 * count) return site.refuse("BS-2", "its indices do not fit its values");
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = indices[i];
    const auto column = indices[count + i];
    if (row < 0 || column < 0 || static_cast<std::size_t>(row) >= weight.rows ||
        static_cast<std::size_t>(column) >= weight.columns) {
      return site.refuse("BS-2", "an index is outside of the layer");
    }
    out.at(static_cast<std::size_t>(row), static_cast<std::size_t>(column)) += values[i];
  }
  return {};
}

/// The places that the file has, or those that PEFT chooses again: the weight's largest values, or
/// its smallest.
template <typename T>
std::vector<std::int64_t> supertuning_places(const Site& site, const Matrix<T>& weight,
                                             std::size_t count) {
  if (const auto* kept = site.module->find("supertuning_indices")) return integers_of(kept->tensor);
  const auto* field = site.config().find("select_top");
  const bool top = field == nullptr || field->if_bool() == nullptr || *field->if_bool();
  std::vector<T> sizes(weight.values.size());
  std::transform(weight.values.begin(), weight.values.end(), sizes.begin(),
                 [top](T value) { return top ? std::abs(value) : -std::abs(value); });
  const auto places = top_places(sizes.data(), sizes.size(), count);
  return {places.begin(), places.end()};
}

template <typename T>
Result<void> supertuning(const Site& site, const Rounding& rounding, const Matrix<T>& weight,
                         const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto values = numbers_of<T>(site.module->find("supertuning_values")->tensor);
  const auto indices = supertuning_places(site, weight, values.size());
  if (indices.size() != values.size()) {
    return site.refuse("BS-2", "its indices do not fit its values");
  }
  // Each value is rounded, and so is each sum.
  Matrix<T> changed = weight;
  const auto sign = static_cast<T>(site.undo ? -1 : 1);
  const auto factor = sign * static_cast<T>(site.weight);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = indices[i];
    if (at < 0 || static_cast<std::size_t>(at) >= changed.values.size()) {
      return site.refuse("BS-2", "an index is outside of the layer");
    }
    auto& value = changed.values[static_cast<std::size_t>(at)];
    value = rounding.round(value + factor * rounding.round(values[i]));
  }
  const auto* a = site.module->find("supertuning_lora_A");
  const auto* b = site.module->find("supertuning_lora_B");
  if (a != nullptr && b != nullptr) {
    auto delta = multiply(matrix_of<T>(*b), matrix_of<T>(*a));
    if (delta.values.size() != changed.values.size()) {
      return site.refuse("BS-2", "its factors do not fit the layer");
    }
    for (std::size_t i = 0; i < delta.values.size(); ++i) {
      const T update = rounding.round(static_cast<T>(site.strength) * delta.values[i]);
      changed.values[i] += factor * update;
    }
  }
  out = std::move(changed);
  return {};
}

}  // namespace

Result<SiteSteps> plan_shira(const Site& site) {
  FERRULE_CHECK(site.need("shira_weight"));
  if (site.find("shira_indices") == nullptr) {
    return site.refuse("MG-3", "the file has no shira_indices for it");
  }
  SiteSteps steps;
  steps.weight.push_back(dense_maker(
      site, {.rounding = DeltaRounding::kNone, .narrow = shira<float>, .wide = shira<double>}));
  return steps;
}

Result<SiteSteps> plan_supertuning(const Site& site) {
  FERRULE_CHECK(site.need("supertuning_values"));
  if (site.undo && site.module->find("supertuning_indices") == nullptr) {
    return site.refuse("MG-9",
                       "which values it changed was not saved (save_precomputed_indices), and is "
                       "not known after the merge: it cannot be undone");
  }
  SiteSteps steps;
  steps.weight.push_back(dense_maker(
      site,
      {.gives = Dense::Gives::kWeight, .narrow = supertuning<float>, .wide = supertuning<double>}));
  return steps;
}

}  // namespace ferrule::merging
