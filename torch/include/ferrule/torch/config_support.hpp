// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/torch/lora_init.hpp"
#include "ferrule/torch/model.hpp"

namespace ferrule::libtorch::detail {

/// Whether an adapter is made to be trained or to be filled from a file.
enum class Purpose : std::uint8_t { kTrain, kLoad };

/// Fields that make PEFT build other layers, or change others, than the ones here.
inline constexpr std::array<std::string_view, 11> kForeignFields = {"alora_invocation_tokens",
                                                                    "arrow_config",
                                                                    "ensure_weight_tying",
                                                                    "kasa_config",
                                                                    "layer_replication",
                                                                    "monteclora_config",
                                                                    "target_parameters",
                                                                    "use_bdlora",
                                                                    "use_qalora",
                                                                    "velora_config",
                                                                    "megatron_config"};

/// Python's bool(value).
inline bool is_truthy(const Json* value) {
  if (value == nullptr || value->is_null()) return false;
  if (const auto* flag = value->if_bool()) return *flag;
  if (const auto* text = value->if_string()) return !text->empty();
  if (const auto* items = value->if_array()) return !items->empty();
  if (const auto* members = value->if_object()) return !members->empty();
  return value->number().value_or(0) != 0;
}

inline Result<void> check_method(const AdapterConfig& config) {
  static constexpr std::array<std::string_view, 7> kMethods = {
      "IA3", "LOHA", "LOKR", "LORA", "OFT", "TRAINABLE_TOKENS", "VERA"};
  const auto& type = config.peft_type();
  if (std::find(kMethods.begin(), kMethods.end(), type) == kMethods.end()) {
    return refuse(ErrorCode::kUnsupported, "LT-1",
                  "adapters of type " + quote(type) + " cannot hang on these layers: they carry " +
                      name_list(kMethods));
  }
  std::vector<std::string_view> foreign;
  for (const auto field : kForeignFields) {
    if (is_truthy(config.find(field))) foreign.push_back(field);
  }
  if (foreign.empty()) return {};
  return refuse(ErrorCode::kUnsupported, "LT-2",
                "the config uses what these layers do not do: " + name_list(foreign));
}

/// The initializations that can be made here: for those that need data (EVA, LoRA-GA) a file will
/// do.
inline Result<void> check_initialization(const AdapterConfig& config, Purpose purpose) {
  if (config.peft_type() == "OFT" && config.text("init_weights")) {
    return refuse(ErrorCode::kUnsupported, "LT-2",
                  "init_weights " + quote(*config.text("init_weights")) + " cannot be made here");
  }
  if (config.peft_type() != "LORA") return {};
  const auto word = lora_init_word(config);
  const bool known = word == "true" || word == "false" || word == "gaussian" ||
                     word == "orthogonal" || word == "olora" || word == "pissa" ||
                     pissa_iterations(word).has_value();
  const bool from_data = word == "eva" || word == "lora_ga";
  if (known || (from_data && purpose == Purpose::kLoad)) return {};
  return refuse(ErrorCode::kUnsupported, "LT-2",
                "init_lora_weights " + quote(word) + " cannot be made here");
}

/// Adapter names, and that all adapters of a model are of one method with one `bias` at most.
inline Result<void> check_company(const AdapterConfig& config, const std::string& name,
                                  const Adapters& others) {
  if (name.empty() || name.find('.') != std::string::npos) {
    return refuse(ErrorCode::kInvalidArgument, "LT-5",
                  "an adapter's name is not empty and holds no dot, unlike " + quote(name));
  }
  if (others.configs.contains(name)) {
    return refuse(ErrorCode::kInvalidArgument, "LT-5",
                  "the model has an adapter " + quote(name) + " already");
  }
  for (const auto& [other, theirs] : others.configs) {
    if (theirs->peft_type() != config.peft_type()) {
      return refuse(ErrorCode::kInvalidArgument, "LT-6",
                    "adapter " + quote(name) + " is of type " + config.peft_type() + ", adapter " +
                        quote(other) + " of type " + theirs->peft_type() +
                        ": one model takes adapters of one type");
    }
    if (config.peft_type() == "VERA" &&
        (config.integer("projection_prng_key") != theirs->integer("projection_prng_key") ||
         config.flag("save_projection", true) != theirs->flag("save_projection", true))) {
      return refuse(ErrorCode::kInvalidArgument, "LT-6",
                    "adapters " + quote(other) + " and " + quote(name) +
                        " differ in projection_prng_key or save_projection");
    }
    if (config.bias() != "none" && theirs->bias() != "none") {
      return refuse(ErrorCode::kInvalidArgument, "LT-6",
                    "adapters " + quote(other) + " and " + quote(name) +
                        " both train biases of the base: only one can");
    }
  }
  return {};
}

/// What PEFT changes of a config before it looks for modules: heads that a task trains as a whole,
/// and the embedding that the tokens are of.
inline Result<void> add_task_heads(AdapterConfig& config) {
  if (config.peft_type() == "TRAINABLE_TOKENS" && !config.target_modules()) {
    if (auto ok = config.set("target_modules", Json(Json::Array{"embed_tokens"})); !ok) return ok;
  }
  const auto task = config.task_type();
  std::vector<std::string> heads;
  if (task == "SEQ_CLS" || task == "TOKEN_CLS") heads = {"classifier", "score"};
  if (task == "QUESTION_ANS") heads = {"qa_outputs"};
  auto saved = config.modules_to_save();
  const auto before = saved.size();
  for (auto& head : heads) {
    if (std::find(saved.begin(), saved.end(), head) == saved.end()) saved.push_back(head);
  }
  if (saved.size() == before) return {};
  return config.set("modules_to_save", Json(Json::Array(saved.begin(), saved.end())));
}

/// The modules that `all-linear` leaves out: the output embedding of a language model, which PEFT
/// asks transformers for, and the head of a classifier.
inline bool is_output_layer(const std::string& path, const AdapterConfig& config,
                            const std::optional<std::string>& output_embeddings) {
  if (config.task_type() == "SEQ_CLS" && (path == "score" || path == "classifier")) return true;
  if (output_embeddings) return path == *output_embeddings;
  const auto dot = path.rfind('.');
  const auto name = dot == std::string::npos ? path : path.substr(dot + 1);
  return name == "lm_head" || name == "embed_out";
}

/// `all-linear`, spelled out as PEFT stores it; other configs as they are.
inline Result<void> expand_all_linear(AdapterConfig& config, const Places& places,
                                      const std::optional<std::string>& output_embeddings) {
  const auto targets = config.target_modules();
  if (!targets) {
    return refuse(ErrorCode::kInvalidArgument, "LT-3", "target_modules names no module");
  }
  std::string lower = targets->pattern;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (!targets->is_pattern || lower != "all-linear") return {};
  Json::Array names;
  for (const auto& place : places) {
    const bool linear = dynamic_cast<const ::torch::nn::LinearImpl*>(place.module) != nullptr;
    if (!linear || place.path.empty()) continue;
    if (!is_output_layer(place.path, config, output_embeddings)) names.emplace_back(place.path);
  }
  return config.set("target_modules", Json(std::move(names)));
}

}  // namespace ferrule::libtorch::detail
