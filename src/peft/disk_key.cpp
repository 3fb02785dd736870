// SPDX-License-Identifier: Apache-2.0
#include "peft/disk_key.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "peft/state_layout.hpp"

namespace ferrule::peft {
namespace {

constexpr std::string_view kPeftPrefix = "base_model.";
constexpr std::string_view kTokensTail = ".token_adapter.trainable_tokens_delta";

std::size_t offset_of(std::string_view key, std::string_view part) {
  return static_cast<std::size_t>(part.data() - key.data());
}

std::string_view rest_from(std::string_view key, const std::vector<std::string_view>& parts,
                           std::size_t index) {
  return index < parts.size() ? key.substr(offset_of(key, parts[index])) : std::string_view();
}

/// The key as a tensor of `method`; kind is kMethod or kNameLeft.
std::optional<DiskKey> parse_method_key(std::string_view key,
                                        const std::vector<std::string_view>& parts,
                                        const Method& method) {
  const auto scope = key.starts_with(kModelPrefix) || !key.starts_with(kPeftPrefix) ? Scope::kLayer
                                                                                    : Scope::kModel;
  std::optional<DiskKey> named;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (scope == Scope::kModel && i > 1) break;
    const auto* role = find_role(method, scope, parts[i]);
    if (role == nullptr) continue;
    DiskKey found{.kind = KeyKind::kMethod,
                  .scope = scope,
                  .role = role,
                  .module = key.substr(0, offset_of(key, parts[i]) - 1),
                  .attribute = parts[i],
                  .leaf = rest_from(key, parts, i + 1),
                  .other = {}};
    if (role->place == NamePlace::kLiteralDefault) {
      if (i + 1 >= parts.size() || parts[i + 1] != "default") continue;
      found.leaf = rest_from(key, parts, i + 2);
    }
    if (leaf_fits(*role, found.leaf) ||
        (!role->dropped_leaf.empty() && found.leaf == role->dropped_leaf)) {
      return found;
    }
    if (i + 1 < parts.size()) {
      const auto leaf = rest_from(key, parts, i + 2);
      if (leaf_fits(*role, leaf) || (!role->dropped_leaf.empty() && leaf == role->dropped_leaf)) {
        found.kind = KeyKind::kNameLeft;
        found.leaf = leaf;
        found.other = parts[i + 1];
        named = found;
      }
    }
  }
  return named;
}

/// modules_to_save names match modules by a raw suffix, as PEFT wraps them.
std::optional<DiskKey> parse_saved_module(std::string_view key,
                                          const std::vector<std::string_view>& parts,
                                          const AdapterConfig& config) {
  for (const auto& entry : config.modules_to_save()) {
    for (std::size_t i = 1; i < parts.size(); ++i) {
      const auto module = key.substr(0, offset_of(key, parts[i]) - 1);
      if (entry.empty() || !module.ends_with(entry)) continue;
      return DiskKey{.kind = KeyKind::kModulesToSave,
                     .scope = Scope::kLayer,
                     .role = nullptr,
                     .module = module,
                     .attribute = "modules_to_save",
                     .leaf = rest_from(key, parts, i),
                     .other = {}};
    }
  }
  return std::nullopt;
}

bool looks_like_embedding(std::string_view module) {
  if (module.ends_with(".base_layer")) module.remove_suffix(std::string_view(".base_layer").size());
  const auto dot = module.rfind('.');
  const auto last = dot == std::string_view::npos ? module : module.substr(dot + 1);
  constexpr std::array<std::string_view, 10> kHeads = {
      "lm_head", "embed_out", "output", "decoder",  "wte",
      "shared",  "head",      "score",  "proj_out", "generator_lm_head"};
  return std::find(kHeads.begin(), kHeads.end(), last) != kHeads.end() ||
         module.find("embed") != std::string_view::npos;
}

const Method* foreign_method(std::string_view key, const std::vector<std::string_view>& parts,
                             const Method& own) {
  if (!own.prompt_learning &&
      (key == "prompt_embeddings" || key == "prefix_task_cols" || key == "prefix_task_rows")) {
    return find_method(key == "prompt_embeddings" ? "PROMPT_TUNING" : "MULTITASK_PROMPT_TUNING");
  }
  // Several methods have a lora_A; far the most files with one are LoRA's.
  if (const auto* lora = find_method("LORA"); lora != &own && parse_method_key(key, parts, *lora)) {
    return lora;
  }
  for (const auto& method : all_methods()) {
    if (&method != &own && parse_method_key(key, parts, method)) return &method;
  }
  return nullptr;
}

DiskKey plain(KeyKind kind, std::string_view key, std::string_view attribute) {
  const auto dot = key.rfind('.');
  return {.kind = kind,
          .scope = Scope::kLayer,
          .role = nullptr,
          .module = dot == std::string_view::npos ? std::string_view() : key.substr(0, dot),
          .attribute = attribute,
          .leaf = dot == std::string_view::npos ? key : key.substr(dot + 1),
          .other = {}};
}

}  // namespace

DiskKey parse_disk_key(std::string_view key, const AdapterConfig& config, const Method& method) {
  const auto parts = split(key);
  if (method.prompt_learning) {
    const bool multitask = config.peft_type() == "MULTITASK_PROMPT_TUNING";
    if (key == "prompt_embeddings" ||
        (multitask && (key == "prefix_task_cols" || key == "prefix_task_rows"))) {
      const auto in_encoder = key != "prompt_embeddings"          ? key
                              : config.peft_type() == "CARTRIDGE" ? "trainable_embedding"
                                                                  : "embedding.weight";
      return {.kind = KeyKind::kPrompt,
              .scope = Scope::kModel,
              .role = nullptr,
              .module = {},
              .attribute = key,
              .leaf = {},
              .other = in_encoder};
    }
  } else if (auto found = parse_method_key(key, parts, method)) {
    return *found;
  }
  if (key.ends_with(kTokensTail) && config.has_trainable_token_indices()) {
    auto found = plain(KeyKind::kTokens, key, "trainable_tokens");
    found.module = key.substr(0, key.size() - kTokensTail.size());
    found.leaf = {};
    return found;
  }
  if (const auto found = parse_saved_module(key, parts, config)) return *found;
  if (parts.back() == "boft_P" && method.peft_type == "BOFT") {
    return plain(KeyKind::kIgnored, key, "boft_P");
  }
  if (method.peft_type == "OFT" && (parts.back() == "oft_r" || parts.back() == "oft_s")) {
    return plain(KeyKind::kObsolete, key, parts.back());
  }
  if (const auto* other = foreign_method(key, parts, method)) {
    auto found = plain(KeyKind::kForeign, key, parts.back());
    found.other = other->peft_type;
    return found;
  }
  if ((key == "bias" || key.ends_with(".bias")) && config.bias() != "none") {
    return plain(KeyKind::kBias, key, "bias");
  }
  if (parts.size() > 2 && key.starts_with(kPeftPrefix) &&
      (parts.back() == "weight" || parts.back() == "bias") &&
      looks_like_embedding(key.substr(0, key.rfind('.')))) {
    // With ensure_weight_tying the module tied to a saved one is wrapped as it is, and named
    // nowhere in the config.
    if (config.flag("ensure_weight_tying") && !config.modules_to_save().empty() &&
        key.find(".base_layer.") == std::string_view::npos) {
      return plain(KeyKind::kModulesToSave, key, "modules_to_save");
    }
    return plain(KeyKind::kEmbedding, key, "embedding");
  }
  return plain(KeyKind::kUnknown, key, {});
}

std::string live_key(std::string_view key, const DiskKey& parsed, std::string_view name) {
  const std::string adapter(name);
  const auto join = [&](std::string_view leaf) {
    auto out = std::string(parsed.module) + "." + std::string(parsed.attribute) + "." + adapter;
    if (!leaf.empty()) out += "." + std::string(leaf);
    return out;
  };
  switch (parsed.kind) {
    case KeyKind::kMethod:
      if (parsed.role->place == NamePlace::kNone) return std::string(key);
      if (parsed.role->place == NamePlace::kAtEnd) return std::string(key) + "." + adapter;
      return join(parsed.leaf.empty() ? parsed.role->dropped_leaf : parsed.leaf);
    case KeyKind::kPrompt:
      return "prompt_encoder." + adapter + "." + std::string(parsed.other);
    case KeyKind::kModulesToSave:
      return join(parsed.leaf);
    case KeyKind::kTokens:
      return std::string(key) + "." + adapter;
    default:
      return std::string(key);
  }
}

std::string_view base_path(std::string_view module) {
  if (module.starts_with(kModelPrefix)) return module.substr(kModelPrefix.size());
  if (module.starts_with(kPeftPrefix)) return module.substr(kPeftPrefix.size());
  return module == "base_model" || module == "base_model.model" ? std::string_view() : module;
}

}  // namespace ferrule::peft
