// SPDX-License-Identifier: Apache-2.0
#include "check/adapter_match.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "base/try.hpp"
#include "check/expert_match.hpp"
#include "check/module_path.hpp"
#include "check/module_shapes.hpp"
#include "ferrule/text.hpp"
#include "peft/method.hpp"
#include "peft/state_layout.hpp"

namespace ferrule::checks {
namespace {

constexpr std::string_view kBaseLayer = ".base_layer";

bool contains(std::string_view list, std::string_view entry) {
  const auto all = model::entries(list);
  return std::find(all.begin(), all.end(), entry) != all.end();
}

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
  Matcher(const Adapter& adapter, const model::BaseIndex& base, const peft::TargetRule& targets)
      : adapter_(adapter),
        config_(adapter.config()),
        base_(base),
        targets_(targets),
        experts_(base),
        layers_(replicated_layers(config_)) {}

  Result<MatchResult> run() {
    for (const auto& module : adapter_.modules()) {
      if (module.path().empty()) continue;
      FERRULE_TRY(auto match, match_module(module));
      result_.modules.push_back(std::move(match));
    }
    settle_experts();
    for (const auto& match : result_.modules) {
      if (match.standing == Standing::kMatched || match.standing == Standing::kConverted)
        ++result_.matched;
    }
    return std::move(result_);
  }

 private:
  Result<ModuleMatch> match_module(const AdapterModule& module) {
    ModuleMatch match{.module = &module,
                      .standing = Standing::kAbsent,
                      .live = replicate(without_base_layer(module.path()))};
    const bool spelt =
        std::all_of(module.tensors().begin(), module.tensors().end(),
                    [&](const AdapterTensor& tensor) { return is_spelt_right(module, tensor); });
    if (!spelt) {
      match.standing = Standing::kMisspelt;
      return match;
    }
    FERRULE_TRY(const bool found, find_live(module, match));
    if (!found) return match;
    if (match.standing == Standing::kConverted) return match;  // Shapes are settled with its group.
    const auto problem = judge_module(adapter_.config(), module, base_, match.live, targets_);
    if (problem) {
      match.standing = Standing::kMisshapen;
      result_.findings.push_back(*problem);
    } else {
      match.standing = Standing::kMatched;
    }
    return match;
  }

  /// Decides the live path; false where the base has nothing there.
  Result<bool> find_live(const AdapterModule& module, ModuleMatch& match) {
    if (exists(module, match.live)) return true;
    if (const auto other = under_other_class(match.live); other && exists(module, *other)) {
      match.live = *other;
      return true;
    }
    if (is_new_head(module)) {
      match.standing = Standing::kNewHead;
      return false;
    }
    if (config_.peft_type() != "LORA" || base_.names.empty()) return false;
    FERRULE_TRY(const auto renamed, base_.names.rename(match.live + ".weight"));
    if (renamed.converter != nullptr) {
      if (base_.find(renamed.name) == nullptr || !base_.names.converts_experts()) return false;
      experts_.add(renamed, module, result_.modules.size());
      match.standing = Standing::kConverted;
      return true;
    }
    auto live = renamed.name.substr(0, renamed.name.rfind('.'));
    if (live == match.live || !exists(module, live)) return false;
    FERRULE_TRY(const bool selected, targets_.selects(live));
    if (!selected && !(base_.names.converts_experts() && last_part(live) == "gate")) return false;
    result_.findings.push_back(
        about(Severity::kNote, "BS-19", module.path(),
              "the live model calls it " + quote(live) + "; PEFT renames it at load"));
    match.live = std::move(live);
    return true;
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
    const bool other = (!trained.empty() && trained != base_.class_name) ||
                       model::is_plain_model(*row) || task == "SEQ_CLS" || task == "TOKEN_CLS" ||
                       task == "QUESTION_ANS" || task == "FEATURE_EXTRACTION";
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

  void settle_experts() {
    for (auto& verdict : experts_.settle()) {
      auto& match = result_.modules[verdict.place];
      match.standing = verdict.standing;
      if (verdict.finding) result_.findings.push_back(std::move(*verdict.finding));
    }
  }

  const Adapter& adapter_;
  const AdapterConfig& config_;
  const model::BaseIndex& base_;
  const peft::TargetRule& targets_;
  ExpertGroups experts_;
  std::vector<std::uint64_t> layers_;
  MatchResult result_;
};

/// Without a class, names that are nn.Embedding in every model that has them.
bool looks_like_embedding(std::string_view name) {
  return name == "embed_tokens" || name == "wte" || name == "wpe" || name == "word_embeddings" ||
         name == "shared" || name == "embed_in";
}

}  // namespace

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
  const auto* weight = base.find(std::string(path) + ".weight");
  if (weight == nullptr) weight = base.find(std::string(path) + ".in_proj_weight");
  if (weight == nullptr || !weight->shape_known || base.is_packed(path)) return std::nullopt;
  BaseLayer layer{.kind = LayerKind::kOther, .weight = weight->shape};
  const auto name = last_part(path);
  if (layer.weight.size() > 2) layer.kind = LayerKind::kConv;
  if (layer.weight.size() != 2) return layer;
  layer.kind = LayerKind::kLinear;
  if (const auto* row = base.names.model_class()) {
    if (contains(row->conv1d, name)) layer.kind = LayerKind::kConv1D;
    if (contains(row->embeddings, name)) layer.kind = LayerKind::kEmbedding;
    return layer;
  }
  if (looks_like_embedding(name) || has_role(module, "lora_embedding_A") ||
      has_role(module, "hira_embedding_A") || has_role(module, "oft_embedding_R")) {
    layer.kind = LayerKind::kEmbedding;
  } else if (name == "c_attn" || name == "c_proj" || name == "c_fc" || name == "q_attn") {
    layer.kind = LayerKind::kConv1D;
  }
  return layer;
}

Result<MatchResult> match_modules(const Adapter& adapter, const model::BaseIndex& base,
                                  const peft::TargetRule& targets) {
  return Matcher(adapter, base, targets).run();
}

}  // namespace ferrule::checks
