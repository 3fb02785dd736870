// SPDX-License-Identifier: Apache-2.0
#include "peft/strength.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::peft {
namespace {

/// How a type makes its factor from r and alpha.
enum class Formula {
  kAlphaOverRank,
  kRslora,
  kAdalora,
  kGralora,
  kDeft,
  kSupertuning,
  kField,
  kOne
};

struct Row {
  std::string_view type;
  Formula formula;
  std::string_view field = {};  ///< For kField: the factor itself.
};

/// Types that are not here have no factor, or keep it in a tensor (DELORA's lambda).
constexpr Row kRows[] = {
    {"ADALORA", Formula::kAdalora},
    {"DEFT", Formula::kDeft},
    {"FOURIERFT", Formula::kField, "scaling"},
    {"GRALORA", Formula::kGralora},
    {"HIRA", Formula::kOne},
    {"LILY", Formula::kField, "scaling"},
    {"LOHA", Formula::kAlphaOverRank},
    {"LOKR", Formula::kAlphaOverRank},
    {"LORA", Formula::kRslora},
    {"PEANUT", Formula::kField, "scaling"},
    {"PSOFT", Formula::kAlphaOverRank},
    {"RANDLORA", Formula::kAlphaOverRank},
    {"SHADOW", Formula::kField, "shadow_alpha"},
    {"SHIRA", Formula::kOne},
    {"SUPERTUNING", Formula::kSupertuning},
    {"WAVEFT", Formula::kField, "scaling"},
};

const Row* find_row(std::string_view type) {
  const auto* const end = kRows + std::size(kRows);
  const auto* const found =
      std::find_if(kRows, end, [type](const Row& row) { return row.type == type; });
  return found == end ? nullptr : found;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// AdaLoRA's pattern says of every rank of a module whether it is kept.
std::optional<double> kept_ranks(const AdapterConfig& config, std::string_view module_path) {
  const auto* table = config.find("rank_pattern");
  const auto* mask = table == nullptr ? nullptr : table->find(std::string(module_path) + ".lora_E");
  const auto* items = mask == nullptr ? nullptr : mask->if_array();
  if (items == nullptr) return std::nullopt;
  return static_cast<double>(std::count_if(items->begin(), items->end(), [](const Json& item) {
    const auto* kept = item.if_bool();
    return kept != nullptr && *kept;
  }));
}

std::string formula_text(Formula formula, bool rslora, bool has_alpha) {
  switch (formula) {
    case Formula::kAlphaOverRank:
      return "alpha/r";
    case Formula::kRslora:
      return rslora ? "alpha/sqrt(r)" : "alpha/r";
    case Formula::kAdalora:
      return "alpha, or init_r where it is not positive";
    case Formula::kGralora:
      return "alpha/(r + hybrid_r)";
    case Formula::kDeft:
    case Formula::kSupertuning:
      return has_alpha ? "alpha/r" : "1";
    case Formula::kField:
      return "the config's factor";
    case Formula::kOne:
      return "1";
  }
  return {};
}

/// A module that target_modules names is adapted itself: "down_proj" in target_parameters would fit
/// every module, whether it has such a parameter or not.
bool is_targeted(const AdapterConfig& config, std::string_view path) {
  const auto targets = config.target_modules();
  if (!targets || targets->is_pattern) return false;
  return std::any_of(targets->names.begin(), targets->names.end(), [path](const auto& name) {
    return path == name || path.ends_with("." + name);
  });
}

}  // namespace

std::vector<std::string> pattern_paths(const AdapterConfig& config, std::string_view module_path) {
  constexpr std::string_view kBase = ".base_layer";
  constexpr std::string_view kOutProjection = ".base_layer.out_proj";
  if (config.peft_type() != "LORA") return {std::string(module_path)};
  // nn.MultiheadAttention's output projection is adapted as a part of it.
  if (module_path.ends_with(kOutProjection)) {
    module_path.remove_suffix(kOutProjection.size());
    return {std::string(module_path)};
  }
  std::string_view owner = module_path;
  while (owner.ends_with(kBase)) owner.remove_suffix(kBase.size());
  std::vector<std::string> names;
  for (const std::string& entry : config.target_parameters()) {
    const auto dot = entry.rfind('.');
    const auto name = dot == std::string::npos ? entry : entry.substr(dot + 1);
    const auto full = std::string(owner) + "." + name;
    if ((full == entry || full.ends_with("." + entry)) &&
        std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  if (names.empty() || is_targeted(config, owner)) return {std::string(module_path)};
  std::sort(names.begin(), names.end());
  // Layers nest in the order in which the module registers its parameters, the first innermost:
  // transformers' experts register gate_up_proj before down_proj.
  if (names == std::vector<std::string>{"down_proj", "gate_up_proj"}) {
    names = {owner == module_path ? "down_proj" : "gate_up_proj"};
  }
  for (auto& name : names) name = std::string(owner) + "." + name;
  return names;
}

Result<StrengthResolver::Table> StrengthResolver::compile_table(std::string_view name, bool search,
                                                                const PatternTable& patterns) {
  Table table{.name = name, .search = search, .entries = {}};
  for (const auto& [text, value] : patterns) {
    auto pattern = search ? regex::Pattern::compile(text) : regex::Pattern::compile_entry(text);
    if (!pattern) {
      Error error = std::move(pattern).error();
      error.message = std::string(name) + ": " + error.message;
      return error;
    }
    table.entries.push_back({text, *std::move(pattern), value});
  }
  return table;
}

Result<StrengthResolver> StrengthResolver::compile(const AdapterConfig& config) {
  StrengthResolver resolver(config);
  const std::string& type = config.peft_type();
  // HIRA has the field, but PEFT 0.21 makes its layers with `r` whatever rank_pattern says.
  if (is_one_of(type, {"LORA", "LOHA", "LOKR", "DELORA", "OSF"})) {
    FERRULE_TRY(resolver.ranks_,
                compile_table("rank_pattern", type == "OSF", config.rank_pattern()));
  }
  if (is_one_of(type, {"LORA", "LOHA", "LOKR"})) {
    FERRULE_TRY(resolver.alphas_, compile_table("alpha_pattern", false, config.alpha_pattern()));
  }
  const auto has_none = [](const std::optional<Table>& table) {
    return !table || table->entries.empty();
  };
  if (has_none(resolver.ranks_) && has_none(resolver.alphas_) && type != "ADALORA") {
    FERRULE_TRY(resolver.everywhere_, resolver.resolve_at({}));
  }
  return resolver;
}

Result<StrengthResolver::Resolved> StrengthResolver::look_up(const Table& table,
                                                             std::optional<double> fallback,
                                                             std::string_view module_path) const {
  for (const Entry& entry : table.entries) {
    FERRULE_TRY(const bool hit, table.search ? entry.pattern.search(module_path)
                                             : entry.pattern.match(module_path));
    if (hit) return Resolved{entry.value, std::string(table.name) + " " + quote(entry.text)};
  }
  // PEFT looks the path up as a key where no expression matched.
  for (const Entry& entry : table.entries) {
    if (!table.search && entry.text == module_path) {
      return Resolved{entry.value, std::string(table.name) + " " + quote(entry.text)};
    }
  }
  return Resolved{fallback, {}};
}

ModuleStrength StrengthResolver::apply(std::optional<double> rank,
                                       std::optional<double> alpha) const {
  ModuleStrength result{.strength = std::nullopt, .rank = rank, .alpha = alpha, .rule = {}};
  const auto* row = find_row(config_.peft_type());
  if (row == nullptr) return result;
  const double r = rank.value_or(0);
  const double a = alpha.value_or(0);
  switch (row->formula) {
    case Formula::kRslora:
      result.strength = a / (config_.use_rslora() ? std::sqrt(r) : r);
      break;
    case Formula::kAlphaOverRank:
      result.strength = a / r;
      break;
    case Formula::kAdalora:
      result.strength = a > 0 ? a : config_.number("init_r").value_or(0);
      break;
    case Formula::kGralora:
      result.strength = a / (r + config_.number("hybrid_r").value_or(0));
      break;
    case Formula::kDeft:
    case Formula::kSupertuning:
      result.strength = a != 0 && rank ? a / r : 1.0;
      break;
    case Formula::kField:
      result.strength = config_.number(row->field);
      break;
    case Formula::kOne:
      result.strength = 1.0;
      break;
  }
  // A rank of 0 has no update at all: no number rather than an infinite one.
  if (result.strength && !std::isfinite(*result.strength)) result.strength.reset();
  result.rule = formula_text(row->formula, config_.use_rslora(), a != 0);
  return result;
}

Result<ModuleStrength> StrengthResolver::resolve(std::string_view module_path) const {
  if (everywhere_) return *everywhere_;
  const auto paths = pattern_paths(config_, module_path);
  FERRULE_TRY(auto first, resolve_at(paths.front()));
  for (std::size_t i = 1; i < paths.size(); ++i) {
    FERRULE_TRY(const auto other, resolve_at(paths[i]));
    if (other.rank == first.rank && other.alpha == first.alpha) continue;
    return ModuleStrength{.strength = {},
                          .rank = {},
                          .alpha = {},
                          .rule =
                              "patterns give parameters of one module different strengths, and its "
                              "keys do not name them"};
  }
  return first;
}

Result<ModuleStrength> StrengthResolver::resolve_at(std::string_view module_path) const {
  std::optional<double> rank;
  if (const auto whole = config_.rank()) rank = static_cast<double>(*whole);
  if (!rank) rank = config_.number("effective_rank");
  Resolved r{rank, {}};
  Resolved a{config_.alpha(), {}};
  if (ranks_) {
    FERRULE_TRY(r, look_up(*ranks_, rank, module_path));
  } else if (config_.peft_type() == "ADALORA") {
    if (const auto kept = kept_ranks(config_, module_path)) r = {kept, "rank_pattern"};
  }
  if (alphas_) {
    FERRULE_TRY(a, look_up(*alphas_, config_.alpha(), module_path));
  }
  ModuleStrength result = apply(r.value, a.value);
  std::string rule;
  if (r.value) rule += r.how.empty() ? "r default" : r.how;
  if (a.value) rule += (rule.empty() ? "" : ", ") + (a.how.empty() ? "alpha default" : a.how);
  if (!result.rule.empty()) rule += (rule.empty() ? "" : ", ") + result.rule;
  result.rule = std::move(rule);
  return result;
}

}  // namespace ferrule::peft

namespace ferrule {

Result<ModuleStrength> resolve_strength(const AdapterConfig& config, std::string_view module_path) {
  FERRULE_TRY(const auto resolver, peft::StrengthResolver::compile(config));
  return resolver.resolve(module_path);
}

}  // namespace ferrule
