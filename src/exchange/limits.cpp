// SPDX-License-Identifier: Apache-2.0
#include "exchange/limits.hpp"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

Result<void> check_lora(const Site& site) {
  const auto bad = [&](std::string message) {
    return base::corrupt("EX-8", "module " + quote(site.name()) + " " + std::move(message));
  };
  if (site.a.empty() || site.b.empty()) {
    return bad(std::string("has only one of its two factors (") + quote(site.key) + ")");
  }
  if (site.a.shape().size() < 2 || site.b.shape().size() < 2 || site.a.element_count() == 0 ||
      site.b.element_count() == 0) {
    return bad("has empty or flat factors of shape " + base::shape_text(site.a.shape()) + " and " +
               base::shape_text(site.b.shape()));
  }
  if (!site.mid.empty()) return {};
  if (site.a.dim(0) != site.b.dim(1)) {
    return bad("has factors that do not fit each other: A is " + base::shape_text(site.a.shape()) +
               ", B is " + base::shape_text(site.b.shape()));
  }
  return {};
}

/// One feature that a target may lack.
class Limiter {
 public:
  Limiter(const Carries& carries, std::string_view target, Ledger& ledger)
      : carries_(carries), target_(target), ledger_(ledger) {}

  /// False if the whole site goes.
  bool keep(Site& site) {
    if (site.method != "LORA" && !carries_.methods.contains(site.method)) {
      return lose("methods", site.key, "is of the method " + site.method);
    }
    if (site.kind == SiteKind::kEmbedding && !carries_.embeddings) {
      return lose("embeddings", site.key, "is LoRA on an embedding");
    }
    if (site.kind == SiteKind::kConv && !carries_.conv) {
      return lose("convolutions", site.key, "is LoRA on a convolution");
    }
    if (!site.mid.empty() && !carries_.mid) return lose("convolutions", site.key, "has a core");
    if (!site.component.empty() && !carries_.components) {
      return lose("components", site.key, "belongs to " + site.component);
    }
    if (!site.magnitude.empty() && !carries_.dora) {
      lose("dora", site.name() + ".lora_magnitude_vector", "is a magnitude of DoRA");
      site.magnitude = {};
    }
    if (!site.bias.empty() && !carries_.bias) {
      lose("bias", site.name() + ".lora_B.bias", "is a bias of LoRA");
      site.bias = {};
    }
    return true;
  }

  bool keep(const Extra& extra) {
    if (carries_.extras.contains(extra.role)) return true;
    // A copy of the base's own matrix, which save_pretrained puts beside LoRA on an embedding.
    const bool bias = extra.role == "embedding" && extra.key.ends_with(".base_layer.bias");
    if (bias || extra.key.ends_with(".base_layer.weight")) {
      if (!bias) ledger_.report().dropped.push_back(extra.key);
      ledger_.note(extra.key + " is the base's own and is left to the base");
      return false;
    }
    return lose(extra.role, extra.key, "is a whole tensor of the model (" + extra.role + ")");
  }

 private:
  bool lose(std::string_view what, std::string key, std::string why) {
    ledger_.lost(what, std::move(key),
                 std::move(why) + ", which " + std::string(target_) + " cannot hold");
    return false;
  }

  const Carries& carries_;
  std::string_view target_;
  Ledger& ledger_;
};

}  // namespace

Result<void> check_sites(const Middle& middle, const std::filesystem::path& source) {
  std::set<std::string> seen;
  for (const auto& site : middle.sites) {
    if (site.method == "LORA") {
      auto checked = check_lora(site);
      if (!checked) return base::at(checked.error(), source);
    }
    if (!seen.insert(site.name()).second) {
      return base::at(base::corrupt("EX-8", "module " + quote(site.name()) + " is there twice (" +
                                                quote(site.key) + ")"),
                      source);
    }
  }
  if (middle.sites.empty() && middle.extras.empty()) {
    return base::at(base::corrupt("EX-1", "the adapter changes no module"), source);
  }
  return {};
}

void limit(Middle& middle, const Carries& carries, std::string_view target, Ledger& ledger) {
  Limiter limiter(carries, target, ledger);
  std::vector<Site> sites;
  for (auto& site : middle.sites) {
    if (limiter.keep(site)) sites.push_back(std::move(site));
  }
  middle.sites = std::move(sites);
  std::vector<Extra> extras;
  for (auto& extra : middle.extras) {
    if (limiter.keep(extra)) extras.push_back(std::move(extra));
  }
  middle.extras = std::move(extras);
  if (!middle.facts.invocation_tokens.empty() && !carries.invocation_tokens) {
    ledger.lost("invocation_tokens", "alora_invocation_tokens",
                "aLoRA's invocation tokens have no place in " + std::string(target));
    if (ledger.may_drop("invocation_tokens")) middle.facts.invocation_tokens.clear();
  }
  if (middle.facts.changed_base && !carries.changed_base) {
    ledger.lost("initialization", "init_lora_weights",
                "the adapter was trained on a base that its initialization (" +
                    *middle.facts.changed_base +
                    ") had changed, and gives wrong results on the original one; save it with "
                    "PEFT's path_initial_model_for_weight_conversion");
  }
}

}  // namespace ferrule::exchange
