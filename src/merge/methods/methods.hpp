// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "ferrule/result.hpp"
#include "merge/method.hpp"

namespace ferrule::merging {

/// A method of PEFT that can be merged, and what it does to a layer. Source of each: merge() and
/// get_delta_weight() of PEFT 0.21.2.
struct MergeableMethod {
  std::string_view type;
  Result<SiteSteps> (*plan)(const Site& site);
};

std::span<const MergeableMethod> mergeable_methods() noexcept;

/// The tensor's size along an axis; 1 beyond its last.
inline std::size_t extent(const AdapterTensor& tensor, std::size_t axis) {
  const auto shape = tensor.tensor.shape();
  return axis < shape.size() ? static_cast<std::size_t>(shape[axis]) : 1;
}

// adamss.cpp
Result<SiteSteps> plan_adamss(const Site& site);
// lora.cpp
Result<SiteSteps> plan_lora(const Site& site);
Result<SiteSteps> plan_adalora(const Site& site);
// lycoris.cpp
Result<SiteSteps> plan_loha(const Site& site);
Result<SiteSteps> plan_lokr(const Site& site);
// orthogonal.cpp
Result<SiteSteps> plan_oft(const Site& site);
Result<SiteSteps> plan_boft(const Site& site);
Result<SiteSteps> plan_hra(const Site& site);
Result<SiteSteps> plan_road(const Site& site);
// scaling.cpp
Result<SiteSteps> plan_ia3(const Site& site);
Result<SiteSteps> plan_ln_tuning(const Site& site);
Result<SiteSteps> plan_beft(const Site& site);
// sparse.cpp
Result<SiteSteps> plan_shira(const Site& site);
Result<SiteSteps> plan_supertuning(const Site& site);
// spectral.cpp
Result<SiteSteps> plan_fourierft(const Site& site);
Result<SiteSteps> plan_c3a(const Site& site);
// shared.cpp
Result<SiteSteps> plan_vera(const Site& site);
Result<SiteSteps> plan_pvera(const Site& site);
Result<SiteSteps> plan_randlora(const Site& site);
Result<SiteSteps> plan_vblora(const Site& site);
Result<SiteSteps> plan_unilora(const Site& site);
// additive.cpp
Result<SiteSteps> plan_miss(const Site& site);
Result<SiteSteps> plan_deft(const Site& site);
Result<SiteSteps> plan_delora(const Site& site);
Result<SiteSteps> plan_gralora(const Site& site);
Result<SiteSteps> plan_hira(const Site& site);
// decomposed.cpp
Result<SiteSteps> plan_frod(const Site& site);
Result<SiteSteps> plan_osf(const Site& site);
Result<SiteSteps> plan_psoft(const Site& site);
// tinylora.cpp
Result<SiteSteps> plan_tinylora(const Site& site);
// wavelet.cpp
Result<SiteSteps> plan_waveft(const Site& site);
// glora.cpp
Result<SiteSteps> plan_glora(const Site& site);
// peanut.cpp
Result<SiteSteps> plan_peanut(const Site& site);

}  // namespace ferrule::merging
