// SPDX-License-Identifier: Apache-2.0
// Methods whose factors are shared by all layers: VeRA, PVeRA, RandLoRA, VB-LoRA, Uni-LoRA.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/methods/projections.hpp"
#include "merge/top_places.hpp"

namespace ferrule::merging {
namespace {

template <typename Into>
using Element = typename std::remove_reference_t<Into>::value_type;

/// What makes factors of [rank, in] and [out, rank].
template <typename Make>
StepMaker made(const Site& site, std::size_t rank, double scale, DeltaRounding rounding,
               Make make) {
  return low_rank_maker({.rank = rank,
                         .a =
                             [in = site.in()](std::size_t) {
                               return Strided{.tensor = {}, .first = 0, .vector = in, .element = 1};
                             },
                         .b =
                             [rank](std::size_t) {
                               return Strided{
                                   .tensor = {}, .first = 0, .vector = 1, .element = rank};
                             },
                         .make_float = make,
                         .make_double = make,
                         .scale = scale * site.weight * (site.undo ? -1 : 1),
                         .rounding = rounding,
                         .swapped = site.transposed});
}

/// lambda_b * B (lambda_d * A); B and A are cut to the layer's size.
Result<SiteSteps> plan_vera_like(const Site& site, const std::string& name, bool halves) {
  FERRULE_TRY(const auto* lambda_b, site.need(name + "lambda_b"));
  FERRULE_TRY(const auto* lambda_d, site.need(name + "lambda_d"));
  const auto all = static_cast<std::size_t>(lambda_d->tensor.element_count());
  const auto rank = halves ? all / 2 : all;
  if (lambda_b->tensor.element_count() != site.out()) {
    return site.refuse("BS-2", name + "lambda_b does not fit the layer");
  }
  FERRULE_TRY(const auto projections, vera_projections(site, name, all, rank));
  const auto make = [site, lambda_b, lambda_d, projections, rank](auto& a,
                                                                  auto& b) -> Result<void> {
    using T = Element<decltype(a)>;
    const auto of_rows = numbers_of<T>(lambda_b->tensor);
    const auto of_ranks = numbers_of<T>(lambda_d->tensor);
    const auto in = site.in();
    const auto out = site.out();
    a.resize(rank * in);
    b.resize(out * rank);
    for (std::size_t k = 0; k < rank; ++k) {
      for (std::size_t j = 0; j < in; ++j) {
        a[k * in + j] = of_ranks[k] * static_cast<T>(projections.a.at(k, j));
      }
    }
    for (std::size_t i = 0; i < out; ++i) {
      for (std::size_t k = 0; k < rank; ++k) {
        b[i * rank + k] = of_rows[i] * static_cast<T>(projections.b.at(i, k));
      }
    }
    return {};
  };
  SiteSteps steps;
  steps.weight.push_back(made(site, rank, 1, DeltaRounding::kNone, make));
  return steps;
}

/// RandLoRA's bases as one product. A is [r, 1, small] and B [large, bases, r]; PEFT flattens the
/// one by rank and base, and the other by base and rank.
Result<SiteSteps> plan_randlora_layer(const Site& site) {
  FERRULE_TRY(const auto* lambda, site.need("randlora_lambda"));
  FERRULE_TRY(const auto* gamma, site.need("randlora_gamma"));
  const auto shape = lambda->tensor.shape();
  const auto small = std::min(site.in(), site.out());
  const auto large = std::max(site.in(), site.out());
  if (shape.size() != 2 || gamma->tensor.element_count() != shape[1] * small) {
    return site.refuse("BS-2", "randlora_gamma does not fit the layer");
  }
  const auto r = static_cast<std::size_t>(shape[0]);
  const auto bases = static_cast<std::size_t>(shape[1]);
  FERRULE_TRY(const auto projections, randlora_projections(site, r, bases));
  const auto rank = r * bases;
  const bool wide_in = small == site.in();
  const auto make = [=](auto& a, auto& b) -> Result<void> {
    using T = Element<decltype(a)>;
    const auto l = numbers_of<T>(lambda->tensor);
    const auto g = numbers_of<T>(gamma->tensor);
    a.resize(rank * (wide_in ? small : large));
    b.resize(rank * (wide_in ? large : small));
    for (std::size_t i = 0; i < r; ++i) {
      for (std::size_t n = 0; n < bases; ++n) {
        const auto k = i * bases + n;
        for (std::size_t j = 0; j < small; ++j) {
          const T value =
              l[i * bases + n] * static_cast<T>(projections.a.at(i, j)) * g[n * small + j];
          (wide_in ? a[k * small + j] : b[j * rank + k]) = value;
        }
      }
    }
    for (std::size_t i = 0; i < large; ++i) {
      for (std::size_t k = 0; k < rank; ++k) {
        const auto value = static_cast<T>(projections.b.at(i, k));
        (wide_in ? b[i * rank + k] : a[k * large + i]) = value;
      }
    }
    return {};
  };
  SiteSteps steps;
  steps.weight.push_back(made(site, rank, site.strength, DeltaRounding::kDelta, make));
  return steps;
}

/// Some vectors of the bank, each with its share.
template <typename T>
struct Mixture {
  std::vector<std::size_t> vectors;
  std::vector<T> shares;

  void add_to(const Matrix<T>& bank, T* out) const {
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      for (std::size_t j = 0; j < bank.columns; ++j) out[j] += shares[i] * bank.at(vectors[i], j);
    }
  }
};

/// As save_only_topk_weights keeps them: all shares but the last.
template <typename T>
Result<std::vector<Mixture<T>>> saved_mixtures(const Site& site, const std::string& role,
                                               std::size_t bank, std::size_t places) {
  const auto indices = integers_of(site.module->find(role + "_topk_indices")->tensor);
  const auto* weights = site.module->find(role + "_topk_weights");
  const auto kept = weights == nullptr ? std::vector<T>() : numbers_of<T>(weights->tensor);
  if (places == 0 || indices.size() % places != 0 || kept.size() + places != indices.size()) {
    return site.refuse("BS-2", role + " does not fit the layer");
  }
  const auto count = indices.size() / places;
  std::vector<Mixture<T>> out(places);
  for (std::size_t p = 0; p < places; ++p) {
    T rest = 1;
    for (std::size_t i = 0; i < count; ++i) {
      const auto at = indices[p * count + i];
      if (at < 0 || static_cast<std::size_t>(at) >= bank) {
        return site.refuse("BS-2", "an index is outside of the bank of vectors");
      }
      const bool last = i + 1 == count;
      out[p].vectors.push_back(static_cast<std::size_t>(at));
      out[p].shares.push_back(last ? rest : kept[p * (count - 1) + i]);
      if (!last) rest -= out[p].shares.back();
    }
  }
  return out;
}

/// The softmax of the largest logits; torch.topk decides between equal ones.
template <typename T>
Mixture<T> best_of(const T* row, std::size_t bank, std::size_t top) {
  Mixture<T> out;
  if (bank == 0 || top == 0) return out;
  out.vectors = top_places(row, bank, top);
  T sum = 0;
  for (const auto vector : out.vectors) {
    out.shares.push_back(std::exp(row[vector] - row[out.vectors[0]]));
    sum += out.shares.back();
  }
  for (auto& share : out.shares) share /= sum;
  return out;
}

/// The vectors that the logits of that role choose for each place.
template <typename T>
Result<std::vector<T>> mix_bank(const Site& site, const std::string& role, const Matrix<T>& bank,
                                std::size_t places) {
  std::vector<Mixture<T>> mixtures;
  if (site.module->find(role + "_topk_indices") != nullptr) {
    FERRULE_TRY(mixtures, saved_mixtures<T>(site, role, bank.rows, places));
  } else {
    const auto* logits = site.module->find(role);
    if (logits == nullptr || logits->tensor.element_count() != places * bank.rows) {
      return site.refuse("BS-2", role + " does not fit the layer");
    }
    const auto top = std::max<std::int64_t>(1, site.config().integer("topk").value_or(2));
    const auto values = numbers_of<T>(logits->tensor);
    for (std::size_t p = 0; p < places; ++p) {
      mixtures.push_back(
          best_of(values.data() + p * bank.rows, bank.rows, static_cast<std::size_t>(top)));
    }
  }
  std::vector<T> out(places * bank.columns);
  for (std::size_t p = 0; p < places; ++p) mixtures[p].add_to(bank, out.data() + p * bank.columns);
  return out;
}

/// Places and scales are drawn again. The scales are kept in the dtype of the base.
Result<SiteSteps> plan_unsaved_unilora(const Site& site, const AdapterTensor& theta,
                                       std::size_t rank) {
  const auto make = [site, theta, rank](auto& a, auto& b) -> Result<void> {
    using T = Element<decltype(a)>;
    const auto values = numbers_of<T>(theta.tensor);
    auto scales = site.places->scales;
    round_numbers(site.dtype, scales.data(), scales.size());
    auto next = site.first_place;
    const auto fill = [&](auto& into, std::size_t count) {
      into.resize(count);
      for (auto& value : into) {
        const auto place = site.places->places[next++];
        value = values[place] * static_cast<T>(scales[place]);
      }
    };
    fill(a, rank * site.in());
    fill(b, site.out() * rank);
    return {};
  };
  SiteSteps steps;
  steps.weight.push_back(made(site, rank, 1, DeltaRounding::kNone, make));
  return steps;
}

}  // namespace

Result<SiteSteps> plan_vera(const Site& site) { return plan_vera_like(site, "vera_", false); }
Result<SiteSteps> plan_pvera(const Site& site) { return plan_vera_like(site, "pvera_", true); }
Result<SiteSteps> plan_randlora(const Site& site) { return plan_randlora_layer(site); }

Result<SiteSteps> plan_vblora(const Site& site) {
  FERRULE_TRY(const auto* bank, site.need("vblora_vector_bank"));
  const auto shape = bank->tensor.shape();
  const auto rank =
      static_cast<std::size_t>(std::max<std::int64_t>(0, site.config().integer("r").value_or(4)));
  if (shape.size() != 2 || shape[1] == 0 || site.in() % shape[1] != 0 ||
      site.out() % shape[1] != 0) {
    return site.refuse("BS-2", "its vectors do not divide the layer");
  }
  const auto length = static_cast<std::size_t>(shape[1]);
  const auto make = [site, bank, rank, length](auto& a, auto& b) -> Result<void> {
    using T = Element<decltype(a)>;
    const auto vectors = matrix_of<T>(*bank);
    FERRULE_TRY(a, mix_bank<T>(site, "vblora_logits_A", vectors, rank * (site.in() / length)));
    const auto pieces = site.out() / length;
    FERRULE_TRY(const auto mixed, mix_bank<T>(site, "vblora_logits_B", vectors, pieces * rank));
    b.resize(site.out() * rank);
    for (std::size_t p = 0; p < pieces; ++p) {
      for (std::size_t k = 0; k < rank; ++k) {
        for (std::size_t j = 0; j < length; ++j) {
          b[(p * length + j) * rank + k] = mixed[(p * rank + k) * length + j];
        }
      }
    }
    return {};
  };
  SiteSteps steps;
  steps.weight.push_back(made(site, rank, 1, DeltaRounding::kNone, make));
  return steps;
}

Result<SiteSteps> plan_unilora(const Site& site) {
  FERRULE_TRY(const auto* theta, site.need("unilora_theta_d"));
  const auto rank =
      static_cast<std::size_t>(std::max<std::int64_t>(0, site.config().integer("r").value_or(4)));
  if (site.places != nullptr) return plan_unsaved_unilora(site, *theta, rank);
  for (const auto* role : {"unilora_indices_A", "unilora_indices_B"}) {
    if (site.module->find(role) == nullptr) {
      return site.refuse("MG-3", "the file has no " + std::string(role) +
                                     " for it: they were not saved (save_indices)");
    }
  }
  FERRULE_CHECK(site.need("unilora_scales_A"));
  FERRULE_CHECK(site.need("unilora_scales_B"));
  const auto make = [site, theta](auto& a, auto& b) -> Result<void> {
    using T = Element<decltype(a)>;
    const auto values = numbers_of<T>(theta->tensor);
    const auto look_up = [&](const char* which, const char* scales, auto& into) -> Result<void> {
      const auto indices = integers_of(site.module->find(which)->tensor);
      const auto factors = numbers_of<T>(site.module->find(scales)->tensor);
      if (factors.size() != indices.size()) return site.refuse("BS-2", "its scales do not fit");
      into.resize(indices.size());
      for (std::size_t i = 0; i < indices.size(); ++i) {
        if (indices[i] < 0 || static_cast<std::size_t>(indices[i]) >= values.size()) {
          return site.refuse("BS-2", "an index is outside of the shared vector");
        }
        into[i] = values[static_cast<std::size_t>(indices[i])] * factors[i];
      }
      return {};
    };
    FERRULE_CHECK(look_up("unilora_indices_A", "unilora_scales_A", a));
    return look_up("unilora_indices_B", "unilora_scales_B", b);
  };
  if (site.module->find("unilora_indices_A")->tensor.element_count() != rank * site.in() ||
      site.module->find("unilora_indices_B")->tensor.element_count() != rank * site.out()) {
    return site.refuse("BS-2", "its indices do not fit the layer");
  }
  SiteSteps steps;
  steps.weight.push_back(made(site, rank, 1, DeltaRounding::kNone, make));
  return steps;
}

}  // namespace ferrule::merging
