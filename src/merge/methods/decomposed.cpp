// SPDX-License-Identifier: Apache-2.0
// Methods whose first step is a decomposition of the base's own weight: PiSSA, OLoRA and KaSA (LoRA
// that lives on a residual), OSF, FRoD.
#include "merge/methods/decomposed.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/singular.hpp"

namespace ferrule::merging {
namespace {

template <typename T>
Matrix<double> as_double(const Matrix<T>& matrix) {
  return {matrix.rows, matrix.columns,
          std::vector<double>(matrix.values.begin(), matrix.values.end())};
}

template <typename T>
void put(const Matrix<double>& from, Matrix<T>& to) {
  std::transform(from.values.begin(), from.values.end(), to.values.begin(),
                 [](double value) { return static_cast<T>(value); });
}

std::size_t rank_of(const Site& site) {
  const auto* a = site.module->find("lora_A");
  return a == nullptr ? 0 : static_cast<std::size_t>(a->tensor.shape()[0]);
}

/// W without the part that its largest singular values make.
template <typename T>
Result<void> without_largest(const Site& site, const Rounding& /*rounding*/,
                             const Matrix<T>& weight, const Matrix<T>& /*original*/,
                             Matrix<T>& out) {
  const auto all = singular_values(as_double(weight));
  put(spectral_part(all, rank_of(site), all.s.size()), out);
  return {};
}

/// W without the part that its smallest singular values make.
template <typename T>
Result<void> without_smallest(const Site& site, const Rounding& /*rounding*/,
                              const Matrix<T>& weight, const Matrix<T>& /*original*/,
                              Matrix<T>& out) {
  const auto all = singular_values(as_double(weight));
  if (rank_of(site) >= all.s.size()) return site.refuse("MG-3", "KaSA leaves no singular value");
  put(spectral_part(all, 0, all.s.size() - rank_of(site)), out);
  return {};
}

/// W - strength * Q_r R_r, of the weight as it is stored.
template <typename T>
Result<void> without_first(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& weight,
                           const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto w = as_double(weight);
  auto q = orthonormal(w);
  const auto r = std::min(rank_of(site), q.columns);
  Matrix<double> first(q.rows, r);
  for (std::size_t i = 0; i < q.rows; ++i) {
    for (std::size_t k = 0; k < r; ++k) first.at(i, k) = q.at(i, k);
  }
  const auto part = multiply(first, multiply(transposed(first), w));
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    out.values[i] = static_cast<T>(w.values[i] - site.module->strength() * part.values[i]);
  }
  return {};
}

/// The part of the largest singular values as it was, and the trained rest.
template <typename T>
Result<void> osf(const Site& site, const Rounding& rounding, const Matrix<T>& weight,
                 const Matrix<T>& /*original*/, Matrix<T>& out) {
  auto u = matrix_of<T>(*site.module->find("osf_svd_params.U_low"));
  const auto s = numbers_of<T>(site.module->find("osf_svd_params.S_low")->tensor);
  const auto v = matrix_of<T>(*site.module->find("osf_svd_params.V_low"));
  const auto all = std::min(weight.rows, weight.columns);
  if (u.rows != weight.rows || u.columns != s.size() || v.rows != s.size() ||
      v.columns != weight.columns || s.size() > all) {
    return site.refuse("BS-2", "its factors do not fit the layer");
  }
  for (std::size_t i = 0; i < u.rows; ++i) {
    for (std::size_t k = 0; k < u.columns; ++k) u.at(i, k) *= s[k];
  }
  const auto trained = multiply(u, v);
  // The part that was trained, as it was before: factors rounded to the base's own dtype, and
  // multiplied in F32.
  const auto values = singular_values(as_double(weight));
  const auto first = all - s.size();
  Matrix<T> left(weight.rows, s.size());
  Matrix<T> right(s.size(), weight.columns);
  for (std::size_t k = 0; k < s.size(); ++k) {
    const T of = rounding.round(static_cast<T>(values.s[first + k]));
    for (std::size_t i = 0; i < left.rows; ++i) {
      const T u_low = rounding.round(static_cast<T>(values.u.at(i, first + k)));
      left.at(i, k) = u_low * of;
    }
    for (std::size_t j = 0; j < right.columns; ++j) {
      right.at(k, j) = rounding.round(static_cast<T>(values.v.at(j, first + k)));
    }
  }
  const auto before = multiply(left, right);
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    out.values[i] = weight.values[i] + (trained.values[i] - before.values[i]);
  }
  return {};
}

/// PEFT's name for the kind of a layer, by which it keeps projections.
std::string category_of(std::string_view path) {
  const auto dot = path.rfind('.');
  if (dot == path.npos) return std::string(path);
  const auto last = path.substr(dot + 1);
  auto rest = path.substr(0, dot);
  const auto before = rest.rfind('.');
  const auto parent = rest.substr(before == rest.npos ? 0 : before + 1);
  if (!parent.empty() && parent.find_first_not_of("0123456789") == parent.npos) {
    return std::string(last);
  }
  const auto category = std::string(parent) + "_" + std::string(last);
  if (category == "output_dense" && before != rest.npos) {
    rest = rest.substr(0, before);
    if (rest.substr(rest.rfind('.') + 1) == "attention") return "attention_output";
  }
  return category;
}

/// U (S + diag(L)) V^T - W with U = the unit columns of W V^-T.
template <typename T>
Result<void> frod(const Site& site, const Rounding& rounding, const Matrix<T>& /*weight*/,
                  const Matrix<T>& original, Matrix<T>& out) {
  const auto category = category_of(site.live);
  const auto v = as_double(matrix_of<T>(*site.find("frod_V." + category)));
  const auto lambda = numbers_of<T>(site.module->find("frod_lambda_l")->tensor);
  const auto values = numbers_of<T>(site.module->find("frod_lambda_s_values")->tensor);
  const auto places = integers_of(site.find("frod_s_indices." + category)->tensor);
  const auto n = v.rows;
  if (v.columns != n || original.columns != n || lambda.size() != n ||
      places.size() != 2 * values.size()) {
    return site.refuse("BS-2", "its projections do not fit the layer");
  }
  auto u = solve_right(transposed(v), as_double(original));
  if (!u) return site.refuse("MG-3", "its projection cannot be inverted");
  for (std::size_t j = 0; j < n; ++j) {
    double square = 0;
    for (std::size_t i = 0; i < u->rows; ++i) square += u->at(i, j) * u->at(i, j);
    const double norm = std::sqrt(square);
    for (std::size_t i = 0; i < u->rows; ++i) u->at(i, j) = norm > 1e-12 ? u->at(i, j) / norm : 0;
  }
  // From here on in the base's own dtype, each product rounded.
  const auto round = [&](Matrix<T>& matrix) {
    rounding.round(matrix.values.data(), matrix.values.size());
  };
  Matrix<T> left(u->rows, n);
  put(*u, left);
  round(left);
  Matrix<T> middle(n, n);
  for (std::size_t k = 0; k < n; ++k) middle.at(k, k) = rounding.round(lambda[k]);
  for (std::size_t k = 0; k < values.size(); ++k) {
    const auto i = places[k];
    const auto j = places[values.size() + k];
    if (i < 0 || j < 0 || static_cast<std::size_t>(std::max(i, j)) >= n) {
      return site.refuse("BS-2", "an index is outside of the projection");
    }
    middle.at(static_cast<std::size_t>(i), static_cast<std::size_t>(j)) +=
        rounding.round(values[k]);
  }
  round(middle);
  auto first = multiply(left, middle);
  round(first);
  Matrix<T> right(n, n);
  put(transposed(v), right);
  auto made = multiply(first, right);
  round(made);
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    out.values[i] = made.values[i] - original.values[i];
  }
  return {};
}

constexpr auto kNewWeight = Dense::Gives::kWeight;

Dense dense_for(const std::string& how) {
  if (how == "kasa") {
    return {
        .gives = kNewWeight, .narrow = without_smallest<float>, .wide = without_smallest<double>};
  }
  if (how == "olora") {
    return {.gives = kNewWeight,
            .as_stored = true,
            .narrow = without_first<float>,
            .wide = without_first<double>};
  }
  return {.gives = kNewWeight, .narrow = without_largest<float>, .wide = without_largest<double>};
}

}  // namespace

Result<std::vector<StepMaker>> residual_steps(const Site& site) {
  std::vector<StepMaker> steps;
  const auto* kasa = site.config().find("kasa_config");
  const auto init = site.config().text("init_lora_weights").value_or("");
  std::string how = kasa != nullptr && !kasa->is_null() ? "kasa" : "";
  if (init == "pissa" || init == "olora") how = init;
  if (init.starts_with("pissa_niter") || init == "corda" || init == "loftq" || init == "lora_ga") {
    return site.refuse("MG-3", "it was trained on a base that its initialization (" + quote(init) +
                                   ") had changed, which cannot be made again: convert the adapter "
                                   "when it is saved (path_initial_model_for_weight_conversion)");
  }
  if (how.empty()) return steps;
  if (site.undo) {
    return site.refuse("MG-9",
                       "it replaced a part of the weight, which is not known any more: it "
                       "cannot be undone");
  }
  auto whole = site;
  whole.weight = 1;
  steps.push_back(dense_maker(whole, dense_for(how)));
  return steps;
}

Result<SiteSteps> plan_osf(const Site& site) {
  for (const auto* role :
       {"osf_svd_params.U_low", "osf_svd_params.S_low", "osf_svd_params.V_low"}) {
    FERRULE_CHECK(site.need(role));
  }
  if (site.undo)
    return site.refuse("MG-9", "it replaced a part of the weight: it cannot be undone");
  SiteSteps steps;
  steps.weight.push_back(
      dense_maker(site, {.gives = kNewWeight, .narrow = osf<float>, .wide = osf<double>}));
  return steps;
}

Result<SiteSteps> plan_psoft(const Site& site) {
  return site.refuse("MG-3",
                     "PSOFT turns the singular vectors of the base's weight, whose signs no file "
                     "keeps and no two libraries share: merge it with PEFT");
}

Result<SiteSteps> plan_frod(const Site& site) {
  FERRULE_CHECK(site.need("frod_lambda_l"));
  FERRULE_CHECK(site.need("frod_lambda_s_values"));
  const auto category = category_of(site.live);
  if (site.find("frod_V." + category) == nullptr ||
      site.find("frod_s_indices." + category) == nullptr) {
    return site.refuse("MG-3",
                       "the file has no projections for it: they were not saved "
                       "(save_projection), and Ferrule does not make them again");
  }
  if (site.undo)
    return site.refuse("MG-9", "it makes its update from the weight: it cannot be undone");
  SiteSteps steps;
  steps.weight.push_back(dense_maker(site, {.rounding = DeltaRounding::kDelta,
                                            .needs_original = true,
                                            .narrow = frod<float>,
                                            .wide = frod<double>}));
  return steps;
}

}  // namespace ferrule::merging
