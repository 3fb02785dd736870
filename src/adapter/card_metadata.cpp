// SPDX-License-Identifier: Apache-2.0
#include "adapter/card_metadata.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "ferrule/version.hpp"
#include "format/card/hub_id.hpp"

namespace ferrule::adapter {
namespace {

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::optional<std::string> string_member(const Json* object, std::string_view key) {
  if (object == nullptr) return std::nullopt;
  const Json* value = object->find(key);
  if (value == nullptr || value->if_string() == nullptr) return std::nullopt;
  return *value->if_string();
}

/// Whether the base model is one of transformers'. PEFT writes `auto_mapping` exactly if there is
/// no task type, and the classes for task types are made for transformers' models.
bool guess_transformers(const AdapterConfig* config, const ModelFacts& facts) {
  if (facts.is_transformers) return *facts.is_transformers;
  if (facts.module) return starts_with(*facts.module, "transformers");
  if (config == nullptr) return false;
  if (const auto library = string_member(config->find("auto_mapping"), "parent_library")) {
    return starts_with(*library, "transformers");
  }
  return config->task_type().has_value();
}

/// PEFT asks whether `peft_model.base_model.model` is a PreTrainedModel. base_model is the tuner
/// that wraps the model for most methods, so that this is the model itself; for prompt learning it
/// is the model, so that this is its part called `model`, which GPT-2, say, does not have.
bool has_transformers_tag(const AdapterConfig* config, const ModelFacts& facts, bool is_known) {
  if (!is_known || config == nullptr || !config->is_prompt_learning() || facts.modules.empty()) {
    return is_known;
  }
  const auto inner = facts.modules.find("model");
  return inner != facts.modules.end() &&
         (ends_with(inner->second, "Model") || ends_with(inner->second, "DecoderWrapper"));
}

struct BaseNames {
  std::optional<std::string> in_tag;    ///< `base_model.name_or_path`
  std::optional<std::string> in_field;  ///< `_name_or_path` of the model's config
};

/// Each from where PEFT takes it; if that is not known, from the other, or from the adapter's
/// config. A model that is known not to be one of transformers' has no name unless it says so.
BaseNames base_names(const AdapterConfig* config, const ModelFacts& facts) {
  BaseNames names{facts.name_or_path, string_member(&facts.config, "_name_or_path")};
  if (facts.is_transformers == false) return names;
  if (!names.in_tag) names.in_tag = names.in_field;
  if (!names.in_tag && config != nullptr) names.in_tag = config->base_model_name_or_path();
  if (!names.in_field && facts.config.is_null()) names.in_field = names.in_tag;
  return names;
}

}  // namespace

CardMetadata card_metadata(const CardAdapter& active, const ModelFacts& facts,
                           const CardOptions& options) {
  const AdapterConfig* config = active.config;
  CardMetadata data;
  data.plain = options.plain;
  data.is_transformers = guess_transformers(config, facts);
  data.peft_version = facts.peft_version.value_or(std::string(peft_version()));
  data.tags = facts.model_tags;
  if (has_transformers_tag(config, facts, data.is_transformers)) {
    data.tags.emplace_back("transformers");
  }
  if (config != nullptr && config->peft_type() == "LORA") data.tags.emplace_back("lora");
  const BaseNames names = base_names(config, facts);
  const auto is_id = [&](const std::optional<std::string>& name) {
    return name && !options.base_is_local && format::is_hub_id(*name);
  };
  if (is_id(names.in_tag)) data.tags.push_back(std::string(kAdapterTag) + *names.in_tag);
  if (is_id(names.in_field)) data.base_model = names.in_field;
  if (!data.base_model) data.local_base_model = names.in_field ? names.in_field : names.in_tag;
  if (is_id(data.local_base_model)) data.local_base_model.reset();
  std::sort(data.tags.begin(), data.tags.end());
  data.tags.erase(std::unique(data.tags.begin(), data.tags.end()), data.tags.end());
  if (config != nullptr && config->task_type() == "CAUSAL_LM") {
    data.pipeline_tag = "text-generation";
  }
  return data;
}

}  // namespace ferrule::adapter
