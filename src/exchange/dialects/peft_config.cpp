// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/peft_config.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "base/ascii.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "edit/retarget.hpp"
#include "exchange/dialects/peft_factors.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

std::string leaf_of(std::string_view path) { return std::string(path.substr(path.rfind('.') + 1)); }

/// The path with the number of its layer taken out ("model.layers.*.mlp.up_proj"), and the number.
std::pair<std::string, std::optional<std::uint64_t>> by_layer(std::string_view path) {
  std::size_t first = 0;
  while (first <= path.size()) {
    const auto end = std::min(path.find('.', first), path.size());
    const auto part = path.substr(first, end - first);
    if (base::is_number(part) && part.size() < 9) {
      return {std::string(path.substr(0, first)) + "*" + std::string(path.substr(end)),
              std::stoull(std::string(part))};
    }
    first = end + 1;
  }
  return {std::string(path), std::nullopt};
}

/// True if a leaf's name selects these modules in the base and no others: by the names of its
/// weights, else if each of its layers has them.
bool leaf_is_exact(const std::string& leaf, const std::set<std::string>& paths,
                   const BaseComponent* base) {
  if (base == nullptr) return false;
  const std::string tail = "." + leaf;
  if (!base->modules.empty()) {
    return std::all_of(base->modules.begin(), base->modules.end(), [&](const auto& module) {
      const bool hit = module.first == leaf || module.first.ends_with(tail);
      return !hit || paths.contains(module.first);
    });
  }
  if (base->config.find("vision_config") != nullptr) return false;
  auto layers = base->integer("num_hidden_layers");
  if (!layers) layers = base->integer("n_layer");
  if (!layers) return false;
  std::map<std::string, std::set<std::uint64_t>> groups;
  for (const auto& path : paths) {
    const auto [shape, layer] = by_layer(path);
    if (!layer) return groups.empty() && paths.size() == 1;
    groups[shape].insert(*layer);
  }
  return groups.size() == 1 && groups.begin()->second.size() == static_cast<std::uint64_t>(*layers);
}

/// True if the path alone selects another module, too: "proj_out" every block's.
bool selects_others(const std::string& path, const std::set<std::string>& paths,
                    const BaseComponent* base, bool image) {
  if (base == nullptr || base->modules.empty()) {
    return image && path.find('.') == std::string::npos;
  }
  const std::string tail = "." + path;
  return std::any_of(base->modules.begin(), base->modules.end(), [&](const auto& module) {
    return module.first.ends_with(tail) && !paths.contains(module.first);
  });
}

/// An expression that matches these paths and no others.
std::string expression(const std::set<std::string>& paths) {
  std::string out;
  for (const auto& path : paths) {
    if (!out.empty()) out += '|';
    for (const char c : path) {
      if (c == '.') out += '\\';
      out += c;
    }
  }
  return out;
}

Json targets(std::span<const PeftLayer> layers, const BaseComponent* base, bool image) {
  std::map<std::string, std::set<std::string>> leaves;
  std::set<std::string> all;
  for (const auto& layer : layers) {
    if (layer.is_parameter) continue;
    leaves[leaf_of(layer.path)].insert(layer.path);
    all.insert(layer.path);
  }
  Json::Array out;
  for (const auto& [leaf, paths] : leaves) {
    // "0" of "to_out.0" selects too much, and a lone name may be no name of a module list.
    if (!base::is_number(leaf) && leaf_is_exact(leaf, paths, base)) {
      out.emplace_back(leaf);
      continue;
    }
    for (const auto& path : paths) {
      if (selects_others(path, all, base, image)) return expression(all);
      out.emplace_back(path);
    }
  }
  return out;
}

template <typename T>
T most_common(const std::vector<T>& values) {
  std::map<T, std::size_t> counts;
  for (const auto& value : values) ++counts[value];
  T best = values.front();
  for (const auto& value : values) {
    if (counts[value] > counts[best]) best = value;
  }
  return best;
}

double alpha_of(const PeftLayer& layer) {
  return layer.alpha ? *layer.alpha : layer.scale * static_cast<double>(layer.rank);
}

/// A pattern for each layer that differs from the default, by the leaf's name if all modules of
/// that name agree.
Json pattern(std::span<const PeftLayer> layers, double usual, double (*value)(const PeftLayer&)) {
  std::map<std::string, std::set<double>> by_leaf;
  for (const auto& layer : layers) by_leaf[leaf_of(layer.path)].insert(value(layer));
  Json::Object leaves, paths;
  std::set<std::string> seen;
  for (const auto& layer : layers) {
    const auto leaf = leaf_of(layer.path);
    if (by_leaf[leaf].size() == 1 && !base::is_number(leaf)) {
      if (value(layer) != usual && seen.insert(leaf).second) {
        leaves.emplace_back(leaf, edit::plain_number(value(layer)));
      }
    } else if (value(layer) != usual) {
      paths.emplace_back(layer.path, edit::plain_number(value(layer)));
    }
  }
  // PEFT sorts the entries and takes the first that matches, and a long path may end in a short
  // one.
  for (auto& [path, number] : paths) {
    const std::string tail = "." + path;
    const bool others = std::any_of(layers.begin(), layers.end(), [&, &own = number](auto& layer) {
      return layer.path.ends_with(tail) && edit::plain_number(value(layer)) != own;
    });
    if (others) path = "^" + path;
  }
  for (auto& leaf : leaves) paths.push_back(std::move(leaf));
  return paths;
}

Result<AdapterConfig> start_of(const Middle& middle, const std::string& component,
                               const std::string& method) {
  const auto found = middle.facts.peft_configs.find(component);
  if (found != middle.facts.peft_configs.end()) {
    return AdapterConfig::parse(found->second.dump());
  }
  FERRULE_TRY(auto config, AdapterConfig::make(method));
  if (middle.facts.base_model) {
    FERRULE_CHECK(config.set("base_model_name_or_path", *middle.facts.base_model));
  }
  if (middle.facts.revision) FERRULE_CHECK(config.set("revision", *middle.facts.revision));
  if (middle.facts.task_type) FERRULE_CHECK(config.set("task_type", *middle.facts.task_type));
  FERRULE_CHECK(config.set("inference_mode", true));
  return config;
}

Result<void> set_lora(const Middle& middle, const std::string& component, AdapterConfig& config) {
  bool dora = false, bias = false, without = false;
  for (const auto& site : middle.sites) {
    if (site.component != component) continue;
    dora = dora || !site.magnitude.empty();
    without = without || site.magnitude.empty();
    bias = bias || !site.bias.empty();
  }
  if (dora && without) {
    return base::unsupported("EX-3",
                             "some modules have magnitudes of DoRA and some do not, and "
                             "use_dora of PEFT is one for all");
  }
  FERRULE_CHECK(config.set("use_dora", dora));
  FERRULE_CHECK(config.set("lora_bias", bias));
  FERRULE_CHECK(config.set("use_rslora", false));
  if (!middle.facts.invocation_tokens.empty()) {
    Json::Array tokens;
    for (const auto token : middle.facts.invocation_tokens) tokens.emplace_back(token);
    FERRULE_CHECK(config.set("alora_invocation_tokens", std::move(tokens)));
  }
  if (middle.facts.dropout != 0) {
    FERRULE_CHECK(config.set("lora_dropout", middle.facts.dropout));
  }
  return {};
}

/// Modules whose inputs IA3 scales: expressions, as PEFT wants names in a list of both.
Result<void> set_scaling(const Middle& middle, const std::string& component,
                         AdapterConfig& config) {
  if (middle.facts.peft_configs.contains(component)) return {};
  std::set<std::string> inputs, all;
  for (const auto& site : middle.sites) {
    if (site.component != component) continue;
    all.insert(site.path);
    const auto& vector = site.others.find("ia3_l")->second;
    const bool input = vector.shape().size() == 2 && vector.dim(0) == 1 && vector.dim(1) != 1;
    if (input) inputs.insert(site.path);
  }
  if (inputs.empty()) return config.set("feedforward_modules", Json::Array());
  FERRULE_CHECK(config.set("target_modules", expression(all)));
  return config.set("feedforward_modules", expression(inputs));
}

Result<void> set_saved_modules(const Middle& middle, const std::string& component,
                               AdapterConfig& config) {
  std::set<std::string> modules;
  for (const auto& extra : middle.extras) {
    if (extra.component != component || extra.role != "modules_to_save") continue;
    modules.insert(extra.path.substr(0, extra.path.rfind('.')));
  }
  if (modules.empty() || !config.modules_to_save().empty()) return {};
  return config.set("modules_to_save", Json::Array(modules.begin(), modules.end()));
}

}  // namespace

Result<AdapterConfig> peft_config(const Middle& middle, const std::string& component,
                                  std::span<const PeftLayer> layers, const BaseFacts& base) {
  std::string method = "LORA";
  for (const auto& site : middle.sites) {
    if (site.component == component) method = site.method;
  }
  FERRULE_TRY(auto config, start_of(middle, component, method));
  const bool ranked = method != "IA3";
  if (!layers.empty() && ranked) {
    std::vector<std::uint64_t> ranks;
    for (const auto& layer : layers) ranks.push_back(layer.rank);
    const auto rank = most_common(ranks);
    std::vector<double> alphas;
    for (const auto& layer : layers) alphas.push_back(alpha_of(layer));
    const double alpha = most_common(alphas);
    const bool lora = method == "LORA";
    FERRULE_CHECK(config.set("r", rank));
    FERRULE_CHECK(config.set(lora ? "lora_alpha" : "alpha", edit::plain_number(alpha)));
    FERRULE_CHECK(config.set("rank_pattern",
                             pattern(layers, static_cast<double>(rank), [](const PeftLayer& layer) {
                               return static_cast<double>(layer.rank);
                             })));
    FERRULE_CHECK(config.set("alpha_pattern", pattern(layers, alpha, alpha_of)));
  }
  FERRULE_CHECK(
      config.set("target_modules", targets(layers, base.component(component), !component.empty())));
  if (!ranked) FERRULE_CHECK(set_scaling(middle, component, config));
  std::set<std::string> parameters;
  for (const auto& layer : layers) {
    if (layer.is_parameter) parameters.insert(layer.path);
  }
  FERRULE_CHECK(set_factors(middle, component, base.component(component), config));
  if (method == "LORA") {
    FERRULE_CHECK(set_lora(middle, component, config));
    FERRULE_CHECK(config.set(
        "target_parameters",
        parameters.empty() ? Json() : Json(Json::Array(parameters.begin(), parameters.end()))));
  }
  FERRULE_CHECK(set_saved_modules(middle, component, config));
  return config;
}

}  // namespace ferrule::exchange
