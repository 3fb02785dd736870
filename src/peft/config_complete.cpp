// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "peft/config_fields.hpp"
#include "peft/config_rules.hpp"

namespace ferrule::peft {
namespace {

void complete_nested(Json& document, std::string_view name) {
  auto* nested = document.find(name);
  const auto* schema = find_sub_config(name);
  if (nested == nullptr || !nested->is_object() || schema == nullptr) return;
  for (const auto& field : schema->fields) {
    if (nested->find(field.name) == nullptr) nested->set(field.name, field.default_value.to_json());
  }
}

void complete_lora(Json& document) {
  const ConfigFields fields(document);
  const std::string init(fields.text("init_lora_weights"));
  // One branch of PEFT's constructor, in its order: the first that applies is the only one.
  if (init != "loftq" && fields.truthy("loftq_config")) {
    document.set("loftq_config", Json::Object());
  } else if (init == "eva" && !fields.given("eva_config")) {
    document.set("eva_config", Json::Object());
  } else if (init == "corda" && !fields.given("corda_config") && !fields.given("eva_config")) {
    document.set("corda_config", Json::Object());
  }
  for (const std::string_view name :
       {"arrow_config", "corda_config", "eva_config", "kasa_config", "lora_ga_config",
        "monteclora_config", "use_bdlora", "velora_config"}) {
    complete_nested(document, name);
  }
}

void complete_cpt(Json& document) {
  const ConfigFields fields(document);
  if (!fields.given("cpt_token_ids")) document.set("cpt_token_ids", Json::Array{Json(0)});
  const std::size_t count = fields.length("cpt_token_ids");
  for (const std::string_view name : {"cpt_mask", "cpt_tokens_type_mask"}) {
    if (!fields.given(name)) document.set(name, Json::Array(count, Json(1)));
  }
  document.set("num_virtual_tokens", static_cast<std::uint64_t>(count));
  document.set("num_transformer_submodules", 1);
}

}  // namespace

void complete_config(std::string_view peft_type, Json& document) {
  const ConfigFields fields(document);
  if (peft_type == "LORA" || peft_type == "ADALORA") complete_lora(document);
  if (peft_type == "CPT") complete_cpt(document);
  if (peft_type == "ADAMSS" && *document.find("init_weights") == Json(false)) {
    document.set("init_weights", {});
  }
  if (peft_type == "XLORA") {
    if (!fields.given("hidden_size")) document.set("hidden_size", 4096);
    if (!fields.given("adapters")) document.set("adapters", Json::Object());
  }
  if (peft_type == "SUPERTUNING" && fields.given("r") && !fields.given("lora_alpha")) {
    const auto* rank = document.find("r")->if_int64();
    if (rank != nullptr && *rank > 0 && *rank <= std::numeric_limits<std::int64_t>::max() / 2) {
      document.set("lora_alpha", *rank * 2);
    }
  }
}

}  // namespace ferrule::peft
