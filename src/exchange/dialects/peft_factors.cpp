// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/peft_factors.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/low_rank.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

using Pair = std::pair<std::uint64_t, std::uint64_t>;

/// PEFT's factorization() of lokr/layer.py; `factor` 0 is its -1.
Pair factorization(std::uint64_t dimension, std::uint64_t factor) {
  if (factor > 0 && dimension % factor == 0) return {factor, dimension / factor};
  if (factor == 0) factor = dimension;
  std::uint64_t m = 1, n = dimension;
  const std::uint64_t length = m + n;
  while (m < n) {
    std::uint64_t next = m + 1;
    while (dimension % next != 0) ++next;
    if (next + dimension / next > length || next > factor) break;
    m = next;
    n = dimension / next;
  }
  return m > n ? Pair{n, m} : Pair{m, n};
}

/// A site of LoKr as PEFT sees it.
struct Kronecker {
  const Site* site;
  Pair out, in;
  std::uint64_t points = 1;  ///< Of the kernel.
  bool whole1 = false, whole2 = false, core = false;

  bool fits(std::uint64_t factor, bool both) const {
    if (factorization(out.first * out.second, factor) != out ||
        factorization(in.first * in.second, factor) != in) {
      return false;
    }
    const auto rank = static_cast<double>(site->rank);
    const bool want1 = !(both && rank < static_cast<double>(std::max(out.first, in.first)) / 2);
    const bool want2 = rank >= static_cast<double>(std::max(out.second, in.second)) / 2;
    return want1 == whole1 && want2 == whole2;
  }
};

std::uint64_t points_of(const Shape& shape, std::size_t first = 2) {
  std::uint64_t out = 1;
  for (std::size_t i = first; i < shape.size(); ++i) out *= shape[i];
  return out;
}

/// Of the base's weight there; null if it is not known.
const Shape* shape_in(const BaseComponent* base, const Site& site) {
  if (base == nullptr) return nullptr;
  const auto found = base->modules.find(site.path);
  return found == base->modules.end() ? nullptr : &found->second;
}

Result<Kronecker> kronecker_of(const Site& site, const BaseComponent* base) {
  const auto at = [&](const char* role) -> const Shape& {
    return site.others.find(role)->second.shape();
  };
  const auto has = [&](const char* role) { return site.others.contains(role); };
  Kronecker out{.site = &site, .out = {}, .in = {}};
  out.whole1 = has("lokr_w1");
  out.whole2 = has("lokr_w2");
  out.core = has("lokr_t2");
  const Shape* shape = shape_in(base, site);
  const bool first = out.whole1 || (has("lokr_w1_a") && has("lokr_w1_b"));
  const bool second = out.whole2 || (has("lokr_w2_a") && has("lokr_w2_b"));
  if (!first || !second) {
    return base::corrupt("EX-8", "module " + quote(site.name()) + " lacks a factor of LoKr");
  }
  out.out.first = at(out.whole1 ? "lokr_w1" : "lokr_w1_a")[0];
  out.in.first = at(out.whole1 ? "lokr_w1" : "lokr_w1_b")[1];
  if (out.whole2) {
    out.out.second = at("lokr_w2")[0];
    out.in.second = at("lokr_w2")[1];
    out.points = points_of(at("lokr_w2"));
    return out;
  }
  out.out.second = at("lokr_w2_a")[out.core ? 1 : 0];
  out.in.second = at("lokr_w2_b")[1];
  if (out.core) out.points = points_of(at("lokr_t2"));
  if (out.core || site.kind != SiteKind::kConv) return out;
  if (shape == nullptr) {
    return base::unsupported("EX-4", "how large the kernel of " + quote(site.name()) +
                                         " is only the base's weights say: name it with --base");
  }
  out.points = points_of(*shape);
  out.in.second /= std::max<std::uint64_t>(out.points, 1);
  return out;
}

Result<void> set_lokr(std::span<const Site* const> sites, const BaseComponent* base,
                      AdapterConfig& config) {
  std::vector<Kronecker> all;
  std::set<std::uint64_t> factors = {0};
  bool both = false, core = false;
  for (const auto* site : sites) {
    FERRULE_TRY(auto one, kronecker_of(*site, base));
    both = both || !one.whole1;
    core = core || one.core;
    factors.insert(one.out.first);
    factors.insert(one.in.first);
    all.push_back(std::move(one));
  }
  const auto fits = [&](std::uint64_t factor) {
    return std::all_of(all.begin(), all.end(),
                       [&](const auto& one) { return one.fits(factor, both); });
  };
  const auto found = std::find_if(factors.begin(), factors.end(), fits);
  const bool kernels = std::all_of(all.begin(), all.end(), [&](const auto& one) {
    return !core || one.core || one.whole2 || one.points == 1;
  });
  if (found == factors.end() || !kernels) {
    const auto odd =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return !one.fits(0, both); });
    return base::unsupported("EX-3",
                             "PEFT derives the shapes of LoKr's factors from one "
                             "decompose_factor and the rank, and none gives those of " +
                                 quote((odd == all.end() ? all.front() : *odd).site->name()) +
                                 " and all others");
  }
  FERRULE_CHECK(config.set("decompose_factor", *found == 0 ? Json(-1) : Json(*found)));
  FERRULE_CHECK(config.set("decompose_both", both));
  return config.set("use_effective_conv2d", core);
}

Result<void> set_loha(std::span<const Site* const> sites, const BaseComponent* base,
                      AdapterConfig& config) {
  bool core = false, flat = false;
  for (const auto* site : sites) {
    const bool own = site->others.contains("hada_t1");
    core = core || own;
    const auto* shape = shape_in(base, *site);
    const bool point = shape != nullptr && points_of(*shape) == 1;
    flat = flat || (!own && !point && site->kind == SiteKind::kConv);
  }
  if (core && flat) {
    return base::unsupported("EX-3",
                             "some convolutions have a core and some do not, and PEFT's "
                             "use_effective_conv2d is one for all");
  }
  return config.set("use_effective_conv2d", core);
}

}  // namespace

Values peft_magnitude(const Site& site) {
  Shape shape = {site.magnitude.element_count()};
  if (site.kind == SiteKind::kConv) {
    shape = {1, site.magnitude.element_count()};
    shape.resize(std::max<std::size_t>(site.a.shape().size(), 2), 1);
  }
  return site.magnitude.reshaped(shape);
}

Result<void> set_factors(const Middle& middle, const std::string& component,
                         const BaseComponent* base, AdapterConfig& config) {
  std::vector<const Site*> sites;
  for (const auto& site : middle.sites) {
    if (site.component != component) continue;
    if (site.method != config.peft_type()) {
      return base::unsupported("EX-3", quote(site.name()) + " is of the method " + site.method +
                                           " and others are of " + config.peft_type() +
                                           ", and an adapter of PEFT has one");
    }
    if (site.method != "LORA" && !site.magnitude.empty()) {
      return base::unsupported(
          "EX-3", quote(site.name()) + " is DoRA on " + site.method + ", which PEFT does not have");
    }
    sites.push_back(&site);
  }
  if (config.peft_type() == "LOKR") return set_lokr(sites, base, config);
  if (config.peft_type() == "LOHA") return set_loha(sites, base, config);
  return {};
}

namespace {

/// True if one config of PEFT holds all sites of the component as they are.
Result<bool> fit_one_config(const Middle& middle, const std::string& component,
                            const BaseFacts& base) {
  std::string method;
  for (const auto& site : middle.sites) {
    if (site.component == component) method = site.method;
  }
  if (method != "LORA" && method != "LOHA" && method != "LOKR") return true;
  FERRULE_TRY(auto config, AdapterConfig::make(method));
  return bool(set_factors(middle, component, base.component(component), config));
}

/// Sites of other methods as LoRA, if all can be; else what PEFT lacks is told when the config is
/// made.
void write_out(Middle& middle, const std::string& component, const BaseComponent* base,
               Ledger& ledger) {
  std::vector<std::pair<Site*, Site>> made;
  for (auto& site : middle.sites) {
    if (site.component != component || site.method == "LORA") continue;
    auto lora = as_lora(site, shape_in(base, site));
    if (!lora) return;
    made.emplace_back(&site, std::move(*lora));
  }
  if (made.empty()) return;
  const auto& [first, lora] = made.front();
  ledger.note(std::to_string(made.size()) + " modules of LoHa or LoKr (" + quote(first->name()) +
              ", now of rank " + std::to_string(lora.rank) +
              ") are written out as LoRA: PEFT has one method for a model, one "
              "decompose_factor, and DoRA on LoRA alone");
  for (auto& [site, factors] : made) *site = std::move(factors);
}

/// lora_bias of PEFT is one for all modules: those without a bias get zeros.
void fill_biases(Middle& middle, const std::string& component, Ledger& ledger) {
  std::vector<Site*> without;
  bool any = false;
  for (auto& site : middle.sites) {
    if (site.component != component || site.method != "LORA") continue;
    any = any || !site.bias.empty();
    if (site.bias.empty() && site.kind != SiteKind::kEmbedding) without.push_back(&site);
  }
  if (!any || without.empty()) return;
  for (auto* site : without) site->bias = Values::zeros(site->b.dtype(), {site->b.dim(0)});
  ledger.note(std::to_string(without.size()) +
              " modules get a bias of zeros: PEFT's lora_bias is one for all modules");
}

}  // namespace

Result<void> settle_methods(Middle& middle, const BaseFacts& base, Ledger& ledger) {
  std::set<std::string> components;
  for (const auto& site : middle.sites) components.insert(site.component);
  for (const auto& component : components) {
    FERRULE_TRY(const bool fits, fit_one_config(middle, component, base));
    if (!fits) write_out(middle, component, base.component(component), ledger);
    fill_biases(middle, component, ledger);
  }
  return {};
}

}  // namespace ferrule::exchange
