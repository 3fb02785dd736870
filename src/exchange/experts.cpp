// SPDX-License-Identifier: Apache-2.0
#include "exchange/experts.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/fold.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::uint64_t kMaxExperts = 65536;

constexpr std::string_view kOldBlock = "block_sparse_moe";

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  if (const auto at = out.find(from); at != std::string::npos) out.replace(at, from.size(), to);
  return out;
}

/// gate and up of these models alternate row by row.
bool alternates(const BaseFacts& base) { return model_type_of(base) == "gpt_oss"; }

/// Where transformers 5 has the experts of a layer: in granite's models, still in the old block.
std::string fused_block(std::string_view experts, const BaseFacts& base) {
  if (!model_type_of(base).starts_with("granitemoe")) return std::string(experts);
  return replaced(experts, ".mlp.", "." + std::string(kOldBlock) + ".");
}

std::uint64_t largest_rank(const ExpertGroup& group) {
  std::uint64_t rank = 0;
  for (const auto& site : group.sites) rank = std::max(rank, site.rank);
  return rank;
}

Error refused(const std::string& name, std::string why) {
  return base::unsupported("EX-12", "the experts " + quote(name) + " " + std::move(why));
}

/// All experts of the group with one rank and one scale, none left out.
Result<void> complete(ExpertGroup& group, std::uint64_t count, std::vector<Site> found,
                      Ledger& ledger) {
  const Site& first = found.front();
  std::uint64_t rank = 0;
  std::uint64_t highest = 0;
  for (const auto& site : found) {
    rank = std::max(rank, site.rank);
    highest = std::max(highest, expert_place(site.path)->index);
    if (!site.magnitude.empty() || !site.bias.empty() || site.a.shape().size() != 2) {
      return refused(site.path, "have more than two factors, which fused ones cannot");
    }
    if (site.a.dim(1) != first.a.dim(1) || site.b.dim(0) != first.b.dim(0)) {
      return refused(site.path, "have other shapes than " + quote(first.path));
    }
  }
  if (count == 0) count = highest + 1;
  if (highest >= count || count > kMaxExperts) {
    return refused(group.experts, "have the number " + std::to_string(highest) +
                                      ", and there are " + std::to_string(count) +
                                      " in a layer of the base");
  }
  Site none = first;
  none.key.clear();
  none.a = Values::zeros(first.a.dtype(), {rank, first.a.dim(1)});
  none.b = Values::zeros(first.b.dtype(), {first.b.dim(0), rank});
  none.rank = rank;
  group.sites.assign(count, none);
  for (auto& site : found) {
    const auto place = *expert_place(site.path);
    if (site.scale != first.scale) {
      if (first.scale == 0) return refused(group.experts, "have strengths of which one is 0");
      FERRULE_TRY(const auto folded, fold(site, site.scale / first.scale, site.b.dtype(), ledger));
      site.a = folded.a;
      site.b = folded.b;
    }
    if (site.rank != rank) site.alpha.reset();
    site.scale = first.scale;
    site.a = site.a.padded(0, rank);
    site.b = site.b.padded(1, rank);
    site.rank = rank;
    group.sites[place.index] = std::move(site);
  }
  return {};
}

}  // namespace

Result<std::vector<ExpertGroup>> take_experts(std::vector<Site>& sites, std::uint64_t count,
                                              Ledger& ledger) {
  std::map<std::pair<std::string, std::string_view>, std::vector<Site>> found;
  std::vector<Site> rest;
  for (auto& site : sites) {
    const auto place = expert_place(site.path);
    if (place && site.method == "LORA") {
      found[{place->experts, place->part}].push_back(std::move(site));
    } else {
      rest.push_back(std::move(site));
    }
  }
  sites = std::move(rest);
  std::vector<ExpertGroup> groups;
  for (auto& [place, members] : found) {
    ExpertGroup group{
        .experts = place.first, .part = place.second, .sites = {}, .key = members.front().key};
    FERRULE_CHECK(complete(group, count, std::move(members), ledger));
    groups.push_back(std::move(group));
  }
  return groups;
}

namespace {

/// gate and up of one layer, or down alone, as PEFT's factors.
class Fusing {
 public:
  Fusing(const BaseFacts& base, Ledger& ledger) : alternating_(alternates(base)), ledger_(ledger) {}

  Result<FusedLayer> join(const ExpertGroup* gate, const ExpertGroup* up) {
    const ExpertGroup& one = gate != nullptr ? *gate : *up;
    if (gate == nullptr || up == nullptr) {
      // The other half is not adapted: rows of zeros.
      std::vector<Values> a, b;
      for (const auto& site : one.sites) {
        const auto none = Values::zeros(site.b.dtype(), site.b.shape());
        a.push_back(site.a);
        b.push_back(gate != nullptr ? rows(site.b, none) : rows(none, site.b));
      }
      return layer(one, a, b, largest_rank(one), one.sites.front().alpha);
    }
    if (gate->sites.size() != up->sites.size()) {
      return refused(one.experts, "have " + std::to_string(gate->sites.size()) + " gates and " +
                                      std::to_string(up->sites.size()) + " ups");
    }
    if (gate->sites.front().a.dim(1) != up->sites.front().a.dim(1)) {
      return refused(one.experts, "have gates and ups of different sizes");
    }
    return shared(*gate, *up) ? join_shared(*gate, *up) : join_apart(*gate, *up);
  }

  Result<FusedLayer> down(const ExpertGroup& group) {
    std::vector<Values> a, b;
    for (const auto& site : group.sites) {
      a.push_back(site.a);
      b.push_back(site.b);
    }
    return layer(group, a, b, largest_rank(group), group.sites.front().alpha);
  }

 private:
  Values rows(const Values& gate, const Values& up) const {
    const std::array both = {gate, up};
    return alternating_ ? Values::interleaved(both, 0) : Values::concatenated(both, 0);
  }

  static bool shared(const ExpertGroup& gate, const ExpertGroup& up) {
    for (std::size_t i = 0; i < gate.sites.size(); ++i) {
      if (gate.sites[i].a.shape() != up.sites[i].a.shape()) return false;
      if (!gate.sites[i].a.same_values(up.sites[i].a)) return false;
    }
    return true;
  }

  /// up's B for the strength of gate.
  Result<Values> matched(const Site& gate, const Site& up) {
    if (up.scale == gate.scale) return up.b;
    if (gate.scale == 0) return refused(gate.path, "have strengths of which one is 0");
    FERRULE_TRY(auto folded, fold(up, up.scale / gate.scale, up.b.dtype(), ledger_));
    return folded.b;
  }

  Result<FusedLayer> join_shared(const ExpertGroup& gate, const ExpertGroup& up) {
    std::vector<Values> a, b;
    for (std::size_t i = 0; i < gate.sites.size(); ++i) {
      FERRULE_TRY(const auto ups, matched(gate.sites[i], up.sites[i]));
      a.push_back(gate.sites[i].a);
      b.push_back(rows(gate.sites[i].b, ups));
    }
    return layer(gate, a, b, largest_rank(gate), gate.sites.front().alpha);
  }

  Result<FusedLayer> join_apart(const ExpertGroup& gate, const ExpertGroup& up) {
    const auto rank = gate.sites.front().rank + up.sites.front().rank;
    std::vector<Values> a, b;
    for (std::size_t i = 0; i < gate.sites.size(); ++i) {
      const auto& g = gate.sites[i];
      const auto& u = up.sites[i];
      FERRULE_TRY(const auto ups, matched(g, u));
      const std::array both = {g.a, u.a};
      a.push_back(Values::concatenated(both, 0));
      // gate's columns first, then up's: each fills its own rows.
      const std::array nothing = {Values::zeros(g.b.dtype(), {g.b.dim(0), u.rank}),
                                  Values::zeros(u.b.dtype(), {u.b.dim(0), g.rank})};
      const std::array gate_row = {g.b, nothing[0]};
      const std::array up_row = {nothing[1], ups};
      b.push_back(rows(Values::concatenated(gate_row, 1), Values::concatenated(up_row, 1)));
    }
    std::optional<double> alpha;
    if (const auto& old = gate.sites.front().alpha) {
      const double grown =
          *old * (static_cast<double>(rank) / static_cast<double>(gate.sites.front().rank));
      if (grown / static_cast<double>(rank) == gate.sites.front().scale) alpha = grown;
    }
    return layer(gate, a, b, rank, alpha);
  }

  static Result<FusedLayer> layer(const ExpertGroup& group, const std::vector<Values>& a,
                                  const std::vector<Values>& b, std::uint64_t rank,
                                  std::optional<double> alpha) {
    return FusedLayer{.module = group.experts,
                      .parameter = {},
                      .rank = rank,
                      .scale = group.sites.front().scale,
                      .alpha = alpha,
                      .a = Values::concatenated(a, 0),
                      .b = Values::interleaved(b, 1),
                      .key = group.key};
  }

  bool alternating_;
  Ledger& ledger_;
};

}  // namespace

Result<std::vector<FusedLayer>> fuse_experts(std::vector<Site>& sites, const BaseFacts& base,
                                             Ledger& ledger) {
  FERRULE_TRY(const auto groups, take_experts(sites, expert_count(base), ledger));
  struct Parts {
    const ExpertGroup* gate = nullptr;
    const ExpertGroup* up = nullptr;
    const ExpertGroup* down = nullptr;
  };
  std::map<std::string, Parts> layers;
  for (const auto& group : groups) {
    auto& parts = layers[group.experts];
    (group.part == "gate" ? parts.gate : group.part == "up" ? parts.up : parts.down) = &group;
  }
  Fusing fusing(base, ledger);
  std::vector<FusedLayer> out;
  for (const auto& [path, parts] : layers) {
    const auto experts = fused_block(path, base);
    if (parts.gate != nullptr || parts.up != nullptr) {
      FERRULE_TRY(auto layer, fusing.join(parts.gate, parts.up));
      layer.module = experts;
      layer.parameter = experts + ".gate_up_proj";
      // The wrapper of the parameter that the module registers first is the inner one.
      if (parts.down != nullptr) layer.module += ".base_layer";
      out.push_back(std::move(layer));
    }
    if (parts.down != nullptr) {
      FERRULE_TRY(auto layer, fusing.down(*parts.down));
      layer.module = experts;
      layer.parameter = experts + ".down_proj";
      out.push_back(std::move(layer));
    }
  }
  return out;
}

namespace {

/// `site` with the factors of one expert and part.
Site expert_site(const Site& fused, const ExpertPlace& place, Values a, Values b) {
  Site site = fused;
  site.path =
      place.experts + "." + std::to_string(place.index) + "." + std::string(place.part) + "_proj";
  site.rank = a.dim(0);
  site.a = std::move(a);
  site.b = std::move(b);
  return site;
}

}  // namespace

Result<void> split_parameter(const Site& fused, const std::string& parameter, double rank,
                             const BaseFacts& base, Middle& out) {
  std::string module = fused.path;
  while (module.ends_with(".base_layer")) module.resize(module.size() - 11);
  const auto leaf = parameter.substr(parameter.rfind('.') + 1);
  if (leaf == "weight") {
    out.sites.push_back(fused);
    out.sites.back().path = canonical_path(module);
    return {};
  }
  const bool pair = leaf == "gate_up_proj";
  const auto whole = rank >= 1 ? static_cast<std::uint64_t>(rank) : 0;
  if ((!pair && leaf != "down_proj") || !module.ends_with(".experts") || fused.a.empty() ||
      fused.b.empty() || fused.a.shape().size() != 2 || fused.b.shape().size() != 2 || whole == 0 ||
      fused.a.dim(0) != fused.b.dim(1) || fused.a.dim(0) % whole != 0 ||
      (pair && fused.b.dim(0) % 2 != 0)) {
    return refused(fused.path,
                   "have factors that no fused parameter has (" + quote(fused.key) + ")");
  }
  const auto count = fused.a.dim(0) / whole;
  const auto known = expert_count(base);
  if (known != 0 && known != count) {
    return refused(fused.path, "are " + std::to_string(count) + ", and a layer of the base has " +
                                   std::to_string(known));
  }
  if (count > kMaxExperts) return refused(fused.path, "are too many");
  out.facts.fused_experts = true;
  module = replaced(module, kOldBlock, "mlp");
  const auto half = fused.b.dim(0) / 2;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto a = fused.a.slice(0, i * whole, whole);
    const auto b = fused.b.slice(1, i, whole, count);
    if (!pair) {
      out.sites.push_back(expert_site(fused, {module, i, "down"}, a, b));
      continue;
    }
    const bool mixed = alternates(base);
    out.sites.push_back(expert_site(fused, {module, i, "gate"}, a,
                                    mixed ? b.slice(0, 0, half, 2) : b.slice(0, 0, half)));
    out.sites.push_back(expert_site(fused, {module, i, "up"}, a,
                                    mixed ? b.slice(0, 1, half, 2) : b.slice(0, half, half)));
  }
  return {};
}

}  // namespace ferrule::exchange
