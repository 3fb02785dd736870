// SPDX-License-Identifier: Apache-2.0
#include "peft/disk_key.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "peft/key_path.hpp"

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

/// With `bias="all"` PEFT also writes the biases of a saved module under the names that its wrapper
/// gives them, and does not read them back.
bool is_stray_bias(std::string_view leaf, const AdapterConfig& config) {
  return config.bias() == "all" && leaf.ends_with(".bias") &&
         (leaf.starts_with("modules_to_save.") || leaf.starts_with("original_module."));
}

/// modules_to_save names match modules by a raw suffix, as PEFT wraps them.
std::optional<DiskKey> parse_saved_module(std::string_view key,
                                          const std::vector<std::string_view>& parts,
                                          const AdapterConfig& config) {
  for (const auto& entry : config.modules_to_save()) {
    for (std::size_t i = 1; i < parts.size(); ++i) {
      const auto module = key.substr(0, offset_of(key, parts[i]) - 1);
      if (entry.empty() || !module.ends_with(entry)) continue;
      const auto leaf = rest_from(key, parts, i);
      const auto kind = is_stray_bias(leaf, config) ? KeyKind::kIgnored : KeyKind::kModulesToSave;
      return DiskKey{.kind = kind,
                     .scope = Scope::kLayer,
                     .role = nullptr,
                     .module = module,
                     .attribute = "modules_to_save",
                     .leaf = leaf,
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

// Recognizers ------------------------------------------------------------------------------------

struct Candidate {
  std::string_view key;
  std::vector<std::string_view> parts;
  const AdapterConfig& config;
  const Method& method;
};

/// What the key is, or nullopt if it is nothing that this one knows.
using Recognizer = std::optional<DiskKey> (*)(const Candidate& candidate);

std::optional<DiskKey> prompt(const Candidate& candidate) {
  const auto key = candidate.key;
  if (!candidate.method.prompt_learning) return std::nullopt;
  const auto& type = candidate.config.peft_type();
  const bool multitask =
      type == "MULTITASK_PROMPT_TUNING" && (key == "prefix_task_cols" || key == "prefix_task_rows");
  if (key != "prompt_embeddings" && !multitask) return std::nullopt;
  const auto in_encoder = multitask             ? key
                          : type == "CARTRIDGE" ? "trainable_embedding"
                                                : "embedding.weight";
  return DiskKey{.kind = KeyKind::kPrompt,
                 .scope = Scope::kModel,
                 .role = nullptr,
                 .module = {},
                 .attribute = key,
                 .leaf = {},
                 .other = in_encoder};
}

std::optional<DiskKey> own_tensor(const Candidate& candidate) {
  if (candidate.method.prompt_learning) return std::nullopt;
  return parse_method_key(candidate.key, candidate.parts, candidate.method);
}

std::optional<DiskKey> tokens(const Candidate& candidate) {
  const auto key = candidate.key;
  if (!key.ends_with(kTokensTail) || !candidate.config.has_trainable_token_indices()) {
    return std::nullopt;
  }
  auto found = plain(KeyKind::kTokens, key, "trainable_tokens");
  found.module = key.substr(0, key.size() - kTokensTail.size());
  found.leaf = {};
  return found;
}

std::optional<DiskKey> saved_module(const Candidate& candidate) {
  return parse_saved_module(candidate.key, candidate.parts, candidate.config);
}

std::optional<DiskKey> of_an_old_release(const Candidate& candidate) {
  const auto last = candidate.parts.back();
  if (candidate.method.peft_type == "BOFT" && last == "boft_P") {
    return plain(KeyKind::kIgnored, candidate.key, last);
  }
  if (candidate.method.peft_type == "OFT" && (last == "oft_r" || last == "oft_s")) {
    return plain(KeyKind::kObsolete, candidate.key, last);
  }
  return std::nullopt;
}

std::optional<DiskKey> foreign_tensor(const Candidate& candidate) {
  const auto* other = foreign_method(candidate.key, candidate.parts, candidate.method);
  if (other == nullptr) return std::nullopt;
  auto found = plain(KeyKind::kForeign, candidate.key, candidate.parts.back());
  found.other = other->peft_type;
  return found;
}

std::optional<DiskKey> base_bias(const Candidate& candidate) {
  const auto key = candidate.key;
  const bool bias = key == "bias" || key.ends_with(".bias");
  if (!bias || candidate.config.bias() == "none") return std::nullopt;
  return plain(KeyKind::kBias, key, "bias");
}

std::optional<DiskKey> base_embedding(const Candidate& candidate) {
  const auto key = candidate.key;
  const auto last = candidate.parts.back();
  if (candidate.parts.size() <= 2 || !key.starts_with(kPeftPrefix) ||
      (last != "weight" && last != "bias") ||
      !looks_like_embedding(key.substr(0, key.rfind('.')))) {
    return std::nullopt;
  }
  // With ensure_weight_tying the module tied to a saved one is wrapped in the same way, and the
  // config does not name it.
  if (candidate.config.flag("ensure_weight_tying") && !candidate.config.modules_to_save().empty() &&
      key.find(".base_layer.") == std::string_view::npos) {
    return plain(KeyKind::kModulesToSave, key, "modules_to_save");
  }
  return plain(KeyKind::kEmbedding, key, "embedding");
}

/// Tried in this order, and the first answer counts: what the config asks for comes before what a
/// name merely looks like.
constexpr Recognizer kRecognizers[] = {
    prompt,             // prompt_embeddings
    own_tensor,         // PATH.lora_A.weight, if the method is LORA
    tokens,             // PATH.token_adapter.trainable_tokens_delta
    saved_module,       // PATH.weight, if modules_to_save names the end of PATH
    of_an_old_release,  // PATH.boft_P, PATH.oft_r
    foreign_tensor,     // PATH.lora_A.weight, if the method is another one
    base_bias,          // PATH.bias, if `bias` is not "none"
    base_embedding,     // base_model.model.PATH.lm_head.weight
};

}  // namespace

DiskKey parse_disk_key(std::string_view key, const AdapterConfig& config, const Method& method) {
  const Candidate candidate{.key = key, .parts = split(key), .config = config, .method = method};
  for (const auto recognizer : kRecognizers) {
    if (auto found = recognizer(candidate)) return *found;
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
    case KeyKind::kIgnored:  // PEFT renames by the module, whatever follows.
      return parsed.attribute == "modules_to_save" ? join(parsed.leaf) : std::string(key);
    default:
      return std::string(key);
  }
}

std::string_view base_path(std::string_view module) {
  if (module == "base_model" || module == "base_model.model") return {};
  if (module.starts_with(kModelPrefix)) return module.substr(kModelPrefix.size());
  if (module.starts_with(kPeftPrefix)) return module.substr(kPeftPrefix.size());
  return module;
}

}  // namespace ferrule::peft
