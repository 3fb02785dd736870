// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/torch_random.hpp"

namespace ferrule::merging {
namespace {

/// Which of the shared vectors the layer takes.
std::string vector_name(const Site& site) {
  const double tying = site.config().number("weight_tying").value_or(0);
  const auto layers = std::max<std::size_t>(1, site.layers);
  // Python rounds halves to even.
  const auto groups = static_cast<std::size_t>(
      std::max(1.0, std::nearbyint(static_cast<double>(layers) * (1 - tying))));
  const auto size = std::max<std::size_t>(1, layers / groups);
  return "tinylora_v." + std::to_string(std::min(site.layer / size, groups - 1));
}

/// B (sum of v[i] P[i]) A.
template <typename T>
Result<void> tinylora(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                      const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto a = matrix_of<T>(*site.module->find("tinylora_A"));
  const auto b = matrix_of<T>(*site.module->find("tinylora_B"));
  const auto v = numbers_of<T>(site.find(vector_name(site))->tensor);
  const auto r = a.rows;
  std::vector<T> p;
  if (const auto* saved = site.module->find("tinylora_P")) {
    p = numbers_of<T>(saved->tensor);
  } else {
    const auto seed = site.config().integer("projection_seed").value_or(42);
    TorchRandom random(static_cast<std::uint64_t>(seed) + site.layer);
    std::vector<float> made(v.size() * r * r);
    random.normal(made, 0, 1 / std::sqrt(static_cast<double>(r)));
    round_numbers(site.dtype, made.data(), made.size());
    p.assign(made.begin(), made.end());
  }
  if (p.size() != v.size() * r * r || b.columns != r || b.rows * a.columns != out.values.size()) {
    return site.refuse("BS-2", "its factors do not fit the layer");
  }
  Matrix<T> middle(r, r);
  for (std::size_t i = 0; i < v.size(); ++i) {
    for (std::size_t k = 0; k < r * r; ++k) middle.values[k] += v[i] * p[i * r * r + k];
  }
  out = multiply(multiply(b, middle), a);
  return {};
}

}  // namespace

Result<SiteSteps> plan_tinylora(const Site& site) {
  FERRULE_CHECK(site.need("tinylora_A"));
  FERRULE_CHECK(site.need("tinylora_B"));
  if (site.find(vector_name(site)) == nullptr) {
    return site.refuse("MG-3", "the file has no " + vector_name(site) + " for it");
  }
  SiteSteps steps;
  steps.weight.push_back(dense_maker(site, {.narrow = tinylora<float>, .wide = tinylora<double>}));
  return steps;
}

}  // namespace ferrule::merging
