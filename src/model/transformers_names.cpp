// SPDX-License-Identifier: Apache-2.0
#include "model/transformers_names.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <span>

#include "base/try.hpp"

namespace ferrule::model {
namespace {

struct NameRule {
  /// "r" renames, "c" converts, "g" a group guarded by its first source, "oN" shifts a number, "l"
  /// makes one layer of two, "p" is what PEFT makes of a converter for an adapter's tensors.
  std::string_view kind;
  std::string_view pattern;
  std::string_view groups;
  std::string_view sources;
  std::string_view literals;
  std::string_view targets;
  std::string_view operations;
};

struct RuleSet {
  std::string_view name;
  std::string_view rows;  ///< Numbers of rules, in their order.
};

struct BaseClass {
  std::string_view type;
  std::string_view name;
};

using namespace std::string_view_literals;

#include "model/transformers_names_data.inc"

template <typename Row>
const Row* find_row(std::span<const Row> rows, std::string_view name,
                    std::string_view Row::*key) noexcept {
  const auto found =
      std::lower_bound(rows.begin(), rows.end(), name,
                       [key](const Row& row, std::string_view word) { return row.*key < word; });
  return found != rows.end() && (*found).*key == name ? &*found : nullptr;
}

const RuleSet* find_rules(std::string_view name) noexcept {
  return find_row<RuleSet>(kRuleSets, name, &RuleSet::name);
}

std::int64_t to_number(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// The sub-config at "text_config" or "a.b"; the config itself for "".
const Json* sub_config(const Json& config, std::string_view key) {
  const Json* found = &config;
  while (!key.empty() && found != nullptr) {
    const auto dot = key.find('.');
    found = found->find(key.substr(0, dot));
    key = dot == std::string_view::npos ? std::string_view() : key.substr(dot + 1);
  }
  return found;
}

std::string_view model_type(const Json* config) {
  const auto* type = config == nullptr ? nullptr : config->find("model_type");
  const auto* text = type == nullptr ? nullptr : type->if_string();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

bool below(std::string_view path, const std::vector<std::string>& seen) {
  return std::any_of(seen.begin(), seen.end(), [&](const std::string& above) {
    return above.empty() ||
           (path.starts_with(above) && path.size() > above.size() && path[above.size()] == '.');
  });
}

/// "layers.2i.mixer" is "layers.i.self_attn" and "layers.2i+1.mixer" "layers.i.mlp".
bool collapse_pair(std::string& name) {
  constexpr std::string_view kLayers = "layers.";
  for (auto at = name.find(kLayers); at != std::string::npos; at = name.find(kLayers, at + 1)) {
    std::size_t index = 0;
    const auto* begin = name.data() + at + kLayers.size();
    const auto* end = name.data() + name.size();
    const auto [rest, failed] = std::from_chars(begin, end, index);
    if (failed != std::errc() || rest == end || *rest != '.') continue;
    const auto word = static_cast<std::size_t>(rest + 1 - name.data());
    const auto stop = std::min(name.find('.', word), name.size());
    const auto part = std::string_view(name).substr(word, stop - word);
    std::string_view now;
    if (part == "mixer") now = index % 2 == 0 ? "self_attn" : "mlp";
    if (part == "attn_alpha") now = "lambda_1";
    if (part == "mlp_alpha") now = "lambda_2";
    if (now.empty()) continue;
    name = name.substr(0, at) + "layers." + std::to_string(index / 2) + "." + std::string(now) +
           name.substr(stop);
    return true;
  }
  return false;
}

}  // namespace

std::string_view transformers_version() noexcept { return kTransformersVersion; }

std::vector<ModelPart> parts_of(const ModelClass& row, const Json& config) {
  std::vector<ModelPart> parts = {{"", row.name, model_type(&config)}};
  for (const auto entry : entries(row.parts)) {
    const auto fields = entries(entry, ':');
    if (fields.size() != 4) continue;
    ModelPart part{std::string(fields[0]), fields[1], fields[2]};
    // An AutoModel within takes its class of the sub-config.
    const auto actual =
        fields[3] == "?" ? std::string_view() : model_type(sub_config(config, fields[3]));
    if (!fields[3].empty() && !actual.empty() && actual != part.type) {
      part.type = actual;
      const auto* base = find_row<BaseClass>(kBaseClasses, actual, &BaseClass::type);
      part.class_name = base == nullptr ? std::string_view() : base->name;
      part.replaced = true;
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

std::vector<std::string_view> entries(std::string_view list, char separator) {
  std::vector<std::string_view> out;
  if (list.empty()) return out;
  while (true) {
    const auto at = list.find(separator);
    out.push_back(list.substr(0, at));
    if (at == std::string_view::npos) return out;
    list.remove_prefix(at + 1);
  }
}

const ModelClass* find_model_class(std::string_view name) noexcept {
  return find_row<ModelClass>(kClasses, name, &ModelClass::name);
}

bool is_plain_model(const ModelClass& row) noexcept {
  const auto* base = find_row<BaseClass>(kBaseClasses, row.type, &BaseClass::type);
  return base != nullptr && base->name == row.name;
}

Result<TransformersNames> TransformersNames::make(const Json& config, std::string_view class_name) {
  TransformersNames names;
  const auto type = model_type(&config);
  names.class_ = find_model_class(class_name);
  if (type.empty()) return names;
  ModelClass plain{};
  plain.name = class_name;
  plain.type = type;
  const auto& row = names.class_ == nullptr ? plain : *names.class_;
  std::map<std::string_view, std::vector<std::string>> seen;
  for (const auto& part : parts_of(row, config)) {
    if (below(part.path, seen[part.class_name])) continue;
    bool by_class = !part.class_name.empty() && find_rules(part.class_name) != nullptr;
    if (!by_class && (part.type.empty() || below(part.path, seen[part.type]))) continue;
    const auto identifier = by_class ? part.class_name : part.type;
    if (find_rules(identifier) == nullptr) continue;
    std::optional<std::string> scope;
    if (!part.path.empty()) {
      std::string_view rest = part.path;
      if (rest.starts_with(row.prefix)) rest.remove_prefix(row.prefix.size());
      if (rest.starts_with('.')) rest.remove_prefix(1);
      scope = std::string(rest);
    }
    FERRULE_CHECK(names.add_rules(identifier, std::move(scope), row.prefix));
    seen[part.class_name].push_back(part.path);
    if (!by_class) seen[part.type].push_back(part.path);
  }
  FERRULE_CHECK(names.add_rules("legacy", std::nullopt, {}));
  names.renames_adapters_ = find_rules(type) != nullptr;
  const auto* family = find_row<BaseClass>(kExpertFamilies, type, &BaseClass::type);
  if (family != nullptr && names.renames_adapters_) {
    names.family_ = family->name == "mixtral" ? ExpertFamily::kMixtral : ExpertFamily::kQwen2Moe;
  }
  return names;
}

TransformersNames::RuleKind TransformersNames::kind_of(std::string_view letter) noexcept {
  if (letter == "c") return RuleKind::kConvert;
  if (letter == "p") return RuleKind::kAdapter;
  if (letter == "g") return RuleKind::kGroup;
  if (letter == "l") return RuleKind::kLayerPairs;
  return RuleKind::kRename;
}

Result<void> TransformersNames::add_rules(std::string_view identifier,
                                          std::optional<std::string> scope,
                                          std::string_view prefix) {
  const auto* set = find_rules(identifier);
  if (set == nullptr) return {};
  for (const auto number : entries(set->rows, ' ')) {
    const auto& row = kRules[static_cast<std::size_t>(to_number(number))];
    FERRULE_TRY(auto pattern, regex::Pattern::compile(row.pattern));
    const auto groups = entries(row.groups);
    const auto sources = entries(row.sources);
    const auto literals = entries(row.literals);
    // PEFT makes its converters without the scope.
    const bool scoped = row.kind != "p";
    Rule rule{.kind = kind_of(row.kind),
              .pattern = std::move(pattern),
              .branches = {},
              .converter = {.targets = entries(row.targets, '\t'),
                            .sources = sources.size(),
                            .operations = row.operations},
              .offset = {},
              .scope = scoped ? scope : std::nullopt,
              .prefix = prefix.empty() ? std::string() : std::string(prefix) + "."};
    if (row.kind.starts_with('o')) rule.offset = to_number(row.kind.substr(1));
    if (rule.scope && !rule.scope->empty()) *rule.scope += ".";
    for (std::size_t b = 0; b < groups.size(); ++b) {
      rule.branches.push_back({static_cast<std::size_t>(to_number(groups[b])),
                               static_cast<std::size_t>(to_number(sources[b])),
                               b < literals.size() ? literals[b] : std::string_view()});
    }
    rules_.push_back(std::move(rule));
  }
  return {};
}

/// The source that matched, and `name` renamed; nullopt where the rule does not concern it.
Result<std::optional<std::size_t>> TransformersNames::apply(const Rule& rule, std::string& name) {
  const std::optional<std::size_t> none;
  const bool possible =
      std::any_of(rule.branches.begin(), rule.branches.end(), [&](const Branch& branch) {
        return branch.literal.empty() || name.find(branch.literal) != std::string::npos;
      });
  if (!possible) return none;
  std::string taken;
  if (rule.scope) {
    taken = rule.prefix + *rule.scope;
    if (!name.starts_with(taken)) taken = *rule.scope;
    if (!name.starts_with(taken)) return none;
  }
  if (rule.kind == RuleKind::kLayerPairs) {
    return collapse_pair(name) ? std::optional<std::size_t>(0) : none;
  }
  const auto rest = std::string_view(name).substr(taken.size());
  FERRULE_TRY(const auto groups, rule.pattern.search_groups(rest));
  if (groups.empty()) return none;
  for (const auto& branch : rule.branches) {
    if (branch.group >= groups.size() || groups[branch.group].data() == nullptr) continue;
    const auto& targets = rule.converter.targets;
    std::string target(
        targets[rule.kind == RuleKind::kGroup ? std::min(branch.source, targets.size() - 1) : 0]);
    if (const auto at = target.find("\\1"); at != std::string::npos) {
      auto captured = branch.group + 1 < groups.size() ? std::string(groups[branch.group + 1]) : "";
      if (rule.offset) captured = std::to_string(to_number(captured) + *rule.offset);
      target.replace(at, 2, captured);
    }
    const auto from = rest.find(groups[0]);  // As Python's str.replace: the first such text.
    name = taken + std::string(rest.substr(0, from)) + target +
           std::string(rest.substr(from + groups[0].size()));
    return std::optional(branch.source);
  }
  return none;
}

Result<void> TransformersNames::apply_renamings(std::string& name) const {
  for (const auto& rule : rules_) {
    if (rule.kind == RuleKind::kConvert || rule.kind == RuleKind::kAdapter) continue;
    FERRULE_TRY(const auto source, apply(rule, name));
    static_cast<void>(source);
  }
  return {};
}

/// At most one of them takes the name.
Result<void> TransformersNames::apply_converters(RuleKind kind, Renamed& out) const {
  for (const auto& rule : rules_) {
    if (rule.kind != kind) continue;
    FERRULE_TRY(const auto source, apply(rule, out.name));
    if (!source) continue;
    out.converter = &rule.converter;
    out.source = *source;
    return {};
  }
  return {};
}

Result<TransformersNames::Renamed> TransformersNames::rename(std::string_view name) const {
  Renamed out{.name = std::string(name)};
  FERRULE_CHECK(apply_renamings(out.name));
  FERRULE_CHECK(apply_converters(RuleKind::kConvert, out));
  return out;
}

Result<TransformersNames::Renamed> TransformersNames::rename_adapter_key(
    std::string_view key) const {
  // Rules see the name of a live tensor, with the adapter's name in it.
  constexpr std::string_view kName = ".default";
  Renamed out{.name = std::string(key)};
  const auto role = out.name.find("lora_");
  if (role != std::string::npos) {
    out.name.insert(std::min(out.name.find('.', role), out.name.size()), kName);
  }
  FERRULE_CHECK(apply_renamings(out.name));
  FERRULE_CHECK(apply_converters(RuleKind::kAdapter, out));
  if (const auto at = out.name.rfind(kName); at != std::string::npos) {
    out.name.erase(at, kName.size());
  }
  // PEFT undoes what only takes off, or adds again, a part of the whole key's beginning.
  const auto whole = "base_model.model." + std::string(key);
  if (out.converter == nullptr && whole.ends_with(out.name)) out.name = std::string(key);
  return out;
}

}  // namespace ferrule::model
