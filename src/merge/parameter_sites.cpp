// SPDX-License-Identifier: Apache-2.0
#include "merge/parameter_sites.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::merging {
namespace {

/// In the order in which transformers' experts register them.
constexpr std::array<std::string_view, 7> kOrder = {
    "gate_up_proj", "gate_up_proj_bias", "gate_proj", "up_proj",
    "down_proj",    "down_proj_bias",    "weight"};

std::size_t order_of(std::string_view name) {
  const auto leaf = name.substr(name.rfind('.') + 1);
  return static_cast<std::size_t>(std::find(kOrder.begin(), kOrder.end(), leaf) - kOrder.begin());
}

std::size_t depth_of(std::string_view path) {
  constexpr std::string_view kBaseLayer = ".base_layer";
  std::size_t depth = 0;
  for (auto at = path.find(kBaseLayer); at != path.npos; at = path.find(kBaseLayer, at + 1)) {
    ++depth;
  }
  return depth;
}

/// How the factors lie in a parameter.
struct Fit {
  std::size_t experts = 1;
  bool stacked = false;
  bool swapped = false;  ///< Rows are `in`.
};

std::optional<Fit> fit(const AdapterTensor& a, const AdapterTensor& b,
                       const std::vector<std::uint64_t>& shape, char letter) {
  if (shape.size() != 2 && shape.size() != 3) return std::nullopt;
  const auto a_shape = a.tensor.shape();
  const auto b_shape = b.tensor.shape();
  if (a_shape.size() != 2 || b_shape.size() != 2 || a_shape[0] != b_shape[1]) return std::nullopt;
  Fit out;
  out.stacked = shape.size() == 3;
  out.experts = out.stacked ? static_cast<std::size_t>(shape[0]) : 1;
  if (out.experts == 0 || a_shape[0] % out.experts != 0) return std::nullopt;
  const auto rows = shape[shape.size() - 2];
  const auto columns = shape[shape.size() - 1];
  const bool straight = b_shape[0] == rows && a_shape[1] == columns;
  const bool crossed = a_shape[1] == rows && b_shape[0] == columns && out.stacked;
  out.swapped = crossed && (!straight || letter == 'T');
  if (!straight && !crossed) return std::nullopt;
  return out;
}

StepMaker maker(const Site& site, const AdapterTensor& a, const AdapterTensor& b, const Fit& fit,
                double strength) {
  const auto total = static_cast<std::size_t>(a.tensor.shape()[0]);
  const auto in = static_cast<std::size_t>(a.tensor.shape()[1]);
  const auto rank = total / fit.experts;
  (void)site;
  return low_rank_maker(
      {.rank = rank,
       .experts = fit.experts,
       .stacked = fit.stacked,
       .a =
           [view = a.tensor, rank, in](std::size_t e) {
             return Strided{.tensor = view, .first = e * rank * in, .vector = in, .element = 1};
           },
       .b =
           [view = b.tensor, total, experts = fit.experts](std::size_t e) {
             return Strided{.tensor = view, .first = e, .vector = experts, .element = total};
           },
       .scale = strength,
       .rounding = DeltaRounding::kDelta,
       .swapped = fit.swapped});
}

/// PEFT looks the parameter's own path up in the patterns.
Result<double> strength_of(const Site& site, const std::string& parameter) {
  auto plain = site.config();
  FERRULE_CHECK(plain.set("target_parameters", Json()));
  FERRULE_TRY(const auto resolved, resolve_strength(plain, parameter));
  return resolved.strength.value_or(1) * site.weight * (site.undo ? -1 : 1);
}

}  // namespace

ParameterSites::ParameterSites(const model::BaseIndex& base, const LiveTensors& live,
                               const peft::TargetRule& targets, const checks::MatchResult& match)
    : base_(base), live_(live), targets_(targets) {
  for (const auto& module : match.modules) {
    if (module.module->find("lora_A") != nullptr) ++wrappers_[module.live];
  }
}

std::vector<const model::BaseTensor*> ParameterSites::targeted(const std::string& live) const {
  std::vector<const model::BaseTensor*> out;
  for (const auto& tensor : base_.below(live)) {
    const bool direct = tensor.name.find('.', live.size() + 1) == std::string::npos;
    if (direct && targets_.selects_parameter(tensor.name)) out.push_back(&tensor);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const model::BaseTensor* a, const model::BaseTensor* b) {
                     return order_of(a->name) < order_of(b->name);
                   });
  return out;
}

Result<std::optional<ParameterSite>> ParameterSites::find(const Site& site,
                                                          const AdapterModule& module) const {
  std::optional<ParameterSite> none;
  if (site.config().peft_type() != "LORA") return none;
  const auto* a = module.find("lora_A");
  const auto* b = module.find("lora_B");
  if (a == nullptr || b == nullptr) return none;
  const auto parameters = targeted(site.live);
  if (parameters.empty()) return none;
  const auto letter = base_.kind_of(site.live).letter;
  const auto depth = depth_of(module.path());
  const auto found = wrappers_.find(site.live);
  const auto count = found == wrappers_.end() ? std::size_t{1} : found->second;
  std::vector<const model::BaseTensor*> candidates;
  // By convention first, then any that the factors fit.
  if (depth < count && count == parameters.size()) {
    candidates.push_back(parameters[count - 1 - depth]);
  }
  candidates.insert(candidates.end(), parameters.begin(), parameters.end());
  for (const auto* parameter : candidates) {
    const auto how = fit(*a, *b, parameter->shape, letter);
    if (!how) continue;
    FERRULE_TRY(const double strength, strength_of(site, parameter->name));
    return std::optional(ParameterSite{parameter->name, maker(site, *a, *b, *how, strength)});
  }
  return site.refuse("BS-2", "its factors fit none of the parameters that the config targets");
}

}  // namespace ferrule::merging
