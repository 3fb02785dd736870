// SPDX-License-Identifier: Apache-2.0
#include "check/adapter_match.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "base/try.hpp"
#include "check/expert_match.hpp"
#include "check/live_config.hpp"
#include "check/module_path.hpp"
#include "check/module_shapes.hpp"
#include "ferrule/text.hpp"
#include "peft/disk_key.hpp"
#include "peft/key_path.hpp"
#include "peft/method.hpp"

namespace ferrule::checks {
namespace {

constexpr std::string_view kBaseLayer = ".base_layer";

bool has_role(const AdapterModule& module, std::string_view role) {
  return std::any_of(module.tensors().begin(), module.tensors().end(),
                     [&](const AdapterTensor& tensor) { return tensor.role == role; });
}

/// False where a key has more, or less, than prefix, path, role and leaf.
bool is_spelt_right(const AdapterModule& module, const AdapterTensor& tensor) {
  if (tensor.role.empty()) return false;
  auto key = tensor.key;
  if (key.starts_with(peft::kModelPrefix)) {
    key.remove_prefix(peft::kModelPrefix.size());
  } else if (key.starts_with("base_model.")) {
    key.remove_prefix(std::string_view("base_model.").size());
  } else {
    return false;
  }
  if (!key.starts_with(module.path())) return false;
  const auto below = key.size() - module.path().size();
  auto wanted = 1 + tensor.role.size() + (tensor.leaf.empty() ? 0 : 1 + tensor.leaf.size());
  if (tensor.role == "modules_to_save" || tensor.role == "bias" || tensor.role == "embedding" ||
      tensor.role == "trainable_tokens" || tensor.role.starts_with("shadow_")) {
    return true;
  }
  return below == wanted;
}

/// The layer numbers of the live model, by those of an adapter with layer_replication.
std::vector<std::uint64_t> replicated_layers(const AdapterConfig& config) {
  constexpr std::size_t kMaxLayers = 100'000;
  std::vector<std::uint64_t> layers;
  const auto* ranges = config.find("layer_replication");
  if (ranges == nullptr || ranges->if_array() == nullptr) return layers;
  for (const auto& range : *ranges->if_array()) {
    const auto* pair = range.if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].if_int64() || !(*pair)[1].if_int64())
      continue;
    for (auto i = *(*pair)[0].if_int64(); i < *(*pair)[1].if_int64(); ++i) {
      if (i < 0 || layers.size() >= kMaxLayers) break;
      layers.push_back(static_cast<std::uint64_t>(i));
    }
  }
  return layers;
}

class Matcher {
 public:
  Matcher(const Adapter& adapter, const LiveConfig& live, const model::BaseIndex& base,
          const peft::TargetRule& targets)
      : adapter_(adapter),
        config_(adapter.config()),
        live_(live),
        base_(base),
        targets_(targets),
        experts_(adapter.config(), live, base, targets),
        layers_(replicated_layers(config_)) {}

  Result<MatchResult> run() {
    for (const auto& module : adapter_.modules()) {
      if (module.path().empty()) continue;
      FERRULE_TRY(auto match, match_module(module));
      result_.modules.push_back(std::move(match));
    }
    FERRULE_CHECK(settle_experts());
    for (const auto& match : result_.modules) {
      if (match.standing == Standing::kMatched || match.standing == Standing::kConverted)
        ++result_.matched;
    }
    return std::move(result_);
  }

 private:
  bool is_ignored(const AdapterTensor& tensor) const {
    const auto* method = peft::find_method(config_.peft_type());
    return tensor.role.empty() && method != nullptr &&
           peft::parse_disk_key(tensor.key, config_, *method).kind == peft::KeyKind::kIgnored;
  }

  Result<ModuleMatch> match_module(const AdapterModule& module) {
    ModuleMatch match{.module = &module,
                      .standing = Standing::kAbsent,
                      .live = replicate(without_base_layer(module.path()))};
    const bool spelt = std::all_of(module.tensors().begin(), module.tensors().end(),
                                   [&](const AdapterTensor& tensor) {
                                     return is_spelt_right(module, tensor) || is_ignored(tensor);
                                   });
    if (!spelt) {
      match.standing = Standing::kMisspelt;
      return match;
    }
    FERRULE_TRY(const bool found, find_live(module, match));
    if (!found) return match;
    if (match.standing == Standing::kConverted) return match;  // Settled with its group.
    const auto problem = judge_module(live_.config, module, base_, match.live, targets_);
    if (problem) {
      match.standing = Standing::kMisshapen;
      result_.findings.push_back(*problem);
    } else {
      match.standing = Standing::kMatched;
    }
    return match;
  }

  /// Decides the live path; false if the base has nothing there.
  Result<bool> find_live(const AdapterModule& module, ModuleMatch& match) {
    FERRULE_TRY(const auto renamed, rename_at_load(module));
    if (renamed) {
      if (renamed->converter != nullptr) {
        experts_.add(*renamed, module, result_.modules.size());
        match.standing = Standing::kConverted;
        return true;
      }
      return follow(module, replicate(without_base_layer(path_of(renamed->name))), match);
    }
    if (exists(module, match.live)) return true;
    if (const auto other = under_other_class(match.live); other && exists(module, *other)) {
      match.live = *other;
      return true;
    }
    if (is_new_head(module)) match.standing = Standing::kNewHead;
    return false;
  }

  /// What PEFT makes of the module's keys at load, if anything.
  Result<std::optional<model::TransformersNames::Renamed>> rename_at_load(
      const AdapterModule& module) {
    std::optional<model::TransformersNames::Renamed> none;
    if (config_.peft_type() != "LORA" || !base_.names.renames_adapters()) return none;
    for (const auto& tensor : module.tensors()) {
      if (!tensor.role.starts_with("lora_")) continue;
      auto key = std::string(module.path()) + "." + std::string(tensor.role);
      if (!tensor.leaf.empty()) key += "." + std::string(tensor.leaf);
      FERRULE_TRY(auto renamed, base_.names.rename_adapter_key(key));
      if (renamed.converter == nullptr && renamed.name == key) return none;
      return std::optional(std::move(renamed));
    }
    return none;
  }

  static std::string_view path_of(std::string_view key) {
    return key.substr(0, key.rfind(".lora_"));
  }

  /// The module under the name that PEFT gives it at load.
  Result<bool> follow(const AdapterModule& module, std::string live, ModuleMatch& match) {
    const auto old = std::exchange(match.live, std::move(live));
    if (!exists(module, match.live)) {
      if (!exists(module, old)) {
        match.live = old;
        return false;
      }
      match.standing = Standing::kSaid;
      result_.findings.push_back(
          about(Severity::kError, "BS-4", module.path(),
                "PEFT renames it at load to " + quote(match.live) +
                    ", as if it came from a checkpoint, and the base has no such module: it drops "
                    "the tensors",
                "no name loads; transformers renames what it saved itself"));
      return false;
    }
    FERRULE_TRY(const bool selected, targets_.selects(match.live));
    if (targets_.known() && !selected && !is_parameter(match.live)) {
      match.live = old;
      if (!exists(module, old)) return false;  // BS-4 says why.
      match.standing = Standing::kSaid;
      result_.findings.push_back(about(Severity::kError, "BS-4", module.path(),
                                       "PEFT renames it at load, and the config does not target "
                                       "it under the new name"));
      return false;
    }
    result_.findings.push_back(
        about(Severity::kNote, "BS-19", module.path(),
              "the live model calls it " + quote(match.live) + "; PEFT renames it at load"));
    return true;
  }

  /// True if a parameter of the module is targeted (a router's weight).
  bool is_parameter(const std::string& path) const {
    const auto below = base_.below(path);
    return std::any_of(below.begin(), below.end(), [&](const model::BaseTensor& tensor) {
      return targets_.selects_parameter(tensor.name);
    });
  }

  bool exists(const AdapterModule& module, const std::string& path) const {
    if (base_.find(path + ".weight") != nullptr || base_.is_packed(path)) return true;
    if (base_.has_module(path)) return true;
    // A container is enough for what is hung on it.
    return (config_.peft_type() == "ADAPTION_PROMPT" || config_.peft_type() == "SHADOW" ||
            has_role(module, "modules_to_save")) &&
           !base_.below(path).empty();
  }

  /// The path in the base's class of a model that was trained as another class of the same family.
  std::optional<std::string> under_other_class(const std::string& path) const {
    const auto* row = base_.names.model_class();
    if (row == nullptr || row->prefix.empty()) return std::nullopt;
    const auto trained = adapter_class(config_);
    const auto task = config_.task_type().value_or("");
    const bool other =
        (!trained.empty() && trained != base_.class_name) ||
        (model::is_plain_model(*row) && !model::has_child(*row, row->prefix).value_or(false)) ||
        task == "SEQ_CLS" || task == "TOKEN_CLS" || task == "QUESTION_ANS" ||
        task == "FEATURE_EXTRACTION";
    if (!other) return std::nullopt;
    const auto prefix = std::string(row->prefix) + ".";
    if (path.starts_with(prefix)) return path.substr(prefix.size());
    return prefix + path;
  }

  bool is_new_head(const AdapterModule& module) const {
    if (!has_role(module, "modules_to_save")) return false;
    const auto task = config_.task_type().value_or("");
    const auto trained = adapter_class(config_);
    return task == "SEQ_CLS" || task == "TOKEN_CLS" || task == "QUESTION_ANS" ||
           (!trained.empty() && trained != base_.class_name);
  }

  std::string replicate(std::string path) const {
    if (layers_.empty()) return path;
    const auto number = peft::layer_number(path);
    if (!number || *number >= layers_.size()) return path;
    const auto text = "." + std::to_string(*number) + ".";
    const auto at = path.find(text);
    if (at != std::string::npos) {
      path.replace(at, text.size(), "." + std::to_string(layers_[*number]) + ".");
    }
    return path;
  }

  Result<void> settle_experts() {
    FERRULE_TRY(auto settled, experts_.settle());
    for (const auto& [place, standing] : settled.standings) {
      result_.modules[place].standing = standing;
    }
    for (auto& finding : settled.findings) result_.findings.push_back(std::move(finding));
    return {};
  }

  const Adapter& adapter_;
  const AdapterConfig& config_;
  const LiveConfig& live_;
  const model::BaseIndex& base_;
  const peft::TargetRule& targets_;
  ExpertGroups experts_;
  std::vector<std::uint64_t> layers_;
  MatchResult result_;
};

LayerKind layer_kind(char letter) {
  switch (letter) {
    case 'L':
    case 'M':
      return LayerKind::kLinear;
    case 'C':
      return LayerKind::kConv1D;
    case '1':
    case '2':
    case '3':
      return LayerKind::kConv;
    case 'E':
      return LayerKind::kEmbedding;
    default:
      return LayerKind::kOther;
  }
}

}  // namespace

bool looks_like_embedding(std::string_view name) noexcept {
  return name == "embed_tokens" || name == "wte" || name == "wpe" || name == "word_embeddings" ||
         name == "shared" || name == "embed_in";
}

std::string without_base_layer(std::string_view path) {
  std::string out(path);
  for (auto at = out.find(kBaseLayer); at != std::string::npos; at = out.find(kBaseLayer, at)) {
    const auto end = at + kBaseLayer.size();
    if (end < out.size() && out[end] != '.') {
      at = end;
      continue;
    }
    out.erase(at, kBaseLayer.size());
  }
  return out;
}

std::string adapter_class(const AdapterConfig& config) {
  const auto* mapping = config.find("auto_mapping");
  const auto* name = mapping == nullptr ? nullptr : mapping->find("base_model_class");
  return name == nullptr || name->if_string() == nullptr ? std::string() : *name->if_string();
}

Finding about(Severity severity, std::string_view code, std::string_view module,
              std::string message, std::string advice) {
  return {.severity = severity,
          .rule = std::string(code),
          .path = {},
          .key = std::string(module),
          .message = std::move(message),
          .advice = std::move(advice)};
}

std::optional<BaseLayer> layer_at(const model::BaseIndex& base, std::string_view path,
                                  const AdapterModule& module) {
  BaseLayer layer{.kind = LayerKind::kOther, .weight = {}};
  if (const auto packed = base.packed.find(path); packed != base.packed.end()) {
    if (!packed->second.shape) return std::nullopt;
    layer.weight = *packed->second.shape;
  } else {
    const auto* weight = base.find(std::string(path) + ".weight");
    if (weight == nullptr) weight = base.find(std::string(path) + ".in_proj_weight");
    if (weight == nullptr || !weight->shape_known) return std::nullopt;
    layer.weight = weight->shape;
  }
  const auto kind = base.kind_of(path);
  if (kind.known()) {
    layer.kind = layer_kind(kind.letter);
    return layer;
  }
  if (layer.weight.size() > 2) layer.kind = LayerKind::kConv;
  if (layer.weight.size() != 2) return layer;
  layer.kind = LayerKind::kLinear;
  const auto name = last_part(path);
  if (looks_like_embedding(name) || has_role(module, "lora_embedding_A") ||
      has_role(module, "hira_embedding_A") || has_role(module, "oft_embedding_R")) {
    layer.kind = LayerKind::kEmbedding;
  } else {
    // A Conv1D in transformers' own models; models of other code call Linear layers so.
    layer.either = name == "c_attn" || name == "c_proj" || name == "c_fc" || name == "q_attn";
  }
  return layer;
}

Result<MatchResult> match_modules(const Adapter& adapter, const LiveConfig& live,
                                  const model::BaseIndex& base, const peft::TargetRule& targets) {
  return Matcher(adapter, live, base, targets).run();
}

}  // namespace ferrule::checks
