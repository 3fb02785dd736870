// SPDX-License-Identifier: Apache-2.0
#include "check/live_config.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "base/try.hpp"
#include "check/adapter_match.hpp"
#include "ferrule/text.hpp"
#include "peft/targets.hpp"

namespace ferrule::checks {
namespace {

using model::ExpertFamily;

/// An expert's old module, and the fused parameter that holds it now.
struct Moved {
  std::string_view from;
  std::string_view to;
};

constexpr std::array<Moved, 4> kMixtral = {
    {{"gate", "gate.weight"}, {"w1", "gate_up_proj"}, {"w3", "gate_up_proj"}, {"w2", "down_proj"}}};
constexpr std::array<Moved, 4> kQwen2Moe = {{{"gate", "gate.weight"},
                                             {"gate_proj", "gate_up_proj"},
                                             {"up_proj", "gate_up_proj"},
                                             {"down_proj", "down_proj"}}};
constexpr std::string_view kPair = "gate_up_proj";
constexpr std::string_view kPairPattern = R"(.*\.gate_up_proj)";

std::span<const Moved> moves(ExpertFamily family) {
  if (family == ExpertFamily::kMixtral) return kMixtral;
  if (family == ExpertFamily::kQwen2Moe) return kQwen2Moe;
  return {};
}

std::string_view leaf(std::string_view path) { return path.substr(path.rfind('.') + 1); }

bool ends_in(std::string_view path, std::string_view name) {
  return path == name || (path.size() > name.size() && path.ends_with(name) &&
                          path[path.size() - name.size() - 1] == '.');
}

/// The last components of what an expression selects, among modules and parameters.
Result<std::set<std::string>> resolve_pattern(const AdapterConfig& config,
                                              const model::BaseIndex& base) {
  FERRULE_TRY(const auto targets, peft::TargetRule::compile(config));
  std::set<std::string> found;
  for (const auto& module : base.all_modules) {
    FERRULE_TRY(const bool hit, targets.selects(module.path));
    if (hit) found.emplace(leaf(module.path));
  }
  for (const auto& tensor : base.tensors) {
    FERRULE_TRY(const bool hit, targets.selects(tensor.name));
    if (hit) found.emplace(leaf(tensor.name));
  }
  for (const auto& [from, to] : moves(base.names.expert_family())) {
    for (const auto& tensor : base.tensors) {
      if (found.contains(std::string(from))) break;
      if (!ends_in(tensor.name, to)) continue;
      const auto container = tensor.name.substr(0, tensor.name.size() - leaf(tensor.name).size());
      FERRULE_TRY(const bool hit, targets.selects(container + std::string(from)));
      if (hit) found.emplace(from);
    }
  }
  return found;
}

/// A pattern table with that entry set: in its place if it is there, else after the others.
Json with_entry(const AdapterConfig& config, std::string_view field, const Json& value) {
  Json::Object out;
  bool there = false;
  const auto* old = config.find(field);
  if (old != nullptr && old->if_object() != nullptr) {
    for (const auto& [key, number] : *old->if_object()) {
      const bool same = key == kPairPattern;
      out.emplace_back(key, same ? value : number);
      there |= same;
    }
  }
  if (!there) out.emplace_back(std::string(kPairPattern), value);
  return Json(std::move(out));
}

Json list_of(const std::set<std::string>& names) {
  Json::Array out;
  for (const auto& name : names) out.emplace_back(name);
  return Json(std::move(out));
}

Result<void> fuse_experts(const model::BaseIndex& base, LiveConfig& live) {
  const auto selector = live.config.target_modules();
  std::set<std::string> names;
  if (live.all_linear) {
    for (const auto& name : selector->names) names.emplace(leaf(name));
    for (const auto& [from, to] : moves(base.names.expert_family())) names.emplace(from);
  } else if (selector && selector->is_pattern) {
    FERRULE_TRY(names, resolve_pattern(live.config, base));
    if (names.empty()) return {};
  } else if (selector) {
    names.insert(selector->names.begin(), selector->names.end());
  }
  std::set<std::string> rest;
  std::set<std::string> pair;
  const auto given = live.config.target_parameters();
  std::set<std::string> parameters(given.begin(), given.end());
  for (const auto& name : names) {
    const auto table = moves(base.names.expert_family());
    const auto move = std::find_if(table.begin(), table.end(),
                                   [&](const Moved& entry) { return ends_in(name, entry.from); });
    if (move == table.end()) {
      rest.insert(name);
      continue;
    }
    live.fused = true;
    parameters.emplace(move->to);
    if (move->to == kPair) pair.emplace(move->from);
  }
  if (pair.size() == 1) {
    live.refused =
        about(Severity::kError, "BS-5", {},
              "the config targets " + quote(*pair.begin()) + " without the other half of " +
                  quote(kPair) + ", into which transformers 5 fuses both: PEFT raises ValueError");
  }
  FERRULE_CHECK(live.config.set("target_modules", list_of(rest)));
  FERRULE_CHECK(live.config.set("target_parameters", list_of(parameters)));
  if (pair.size() == 2) {
    const auto rank = live.config.rank().value_or(8) * 2;
    const auto alpha = live.config.alpha().value_or(8) * 2;
    auto ranks = with_entry(live.config, "rank_pattern", Json(rank));
    auto alphas = with_entry(live.config, "alpha_pattern", Json(alpha));
    FERRULE_CHECK(live.config.set("rank_pattern", std::move(ranks)));
    FERRULE_CHECK(live.config.set("alpha_pattern", std::move(alphas)));
  }
  return {};
}

/// The output layer, which "all-linear" leaves out.
bool is_head(const AdapterConfig& config, const model::BaseIndex& base, std::string_view path) {
  if (const auto* row = base.names.model_class()) {
    if (!row->head.empty()) return path == row->head;
    return config.task_type() == "SEQ_CLS" && (path == "score" || path == "classifier");
  }
  return path == "lm_head" || path == "embed_out" || path == "output" || path == "score" ||
         path == "classifier";
}

bool is_linear(const model::BaseIndex& base, const model::LiveModule& module) {
  if (module.kind.known()) return module.kind.letter == 'L' || module.kind.letter == 'C';
  if (base.is_packed(module.path)) return true;
  const auto* weight = base.find(module.path + ".weight");
  const auto name = leaf(module.path);
  return weight != nullptr && weight->shape.size() == 2 && !looks_like_embedding(name);
}

Result<void> spell_out_linear(const model::BaseIndex& base, LiveConfig& live) {
  std::set<std::string> names;
  for (const auto& module : base.all_modules) {
    if (is_linear(base, module) && !is_head(live.config, base, module.path)) {
      names.insert(module.path);
    }
  }
  return live.config.set("target_modules", list_of(names));
}

}  // namespace

bool targets_all_linear(const AdapterConfig& config) {
  constexpr std::string_view kAllLinear = "all-linear";
  const auto selector = config.target_modules();
  return selector && selector->is_pattern &&
         std::equal(kAllLinear.begin(), kAllLinear.end(), selector->pattern.begin(),
                    selector->pattern.end(), [](char a, char b) {
                      return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b - 'A' + 'a') : b);
                    });
}

Result<LiveConfig> live_config(const AdapterConfig& config, const model::BaseIndex& base) {
  LiveConfig live{
      .config = config, .all_linear = targets_all_linear(config), .fused = {}, .refused = {}};
  if (live.all_linear) FERRULE_CHECK(spell_out_linear(base, live));
  if (config.peft_type() == "LORA" && base.names.converts_experts()) {
    FERRULE_CHECK(fuse_experts(base, live));
  }
  return live;
}

}  // namespace ferrule::checks
