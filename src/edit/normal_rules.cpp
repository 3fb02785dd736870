// SPDX-License-Identifier: Apache-2.0
#include "edit/normal_rules.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "adapter/method_modules.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/initial_conversion.hpp"

namespace ferrule::edit {
namespace {

const AdapterTensor* find_role(const Adapter& adapter, std::string_view role,
                               std::string_view leaf = {}) {
  for (const auto& tensor : adapter.tensors()) {
    if (tensor.role == role && (leaf.empty() || tensor.leaf == leaf)) return &tensor;
  }
  return nullptr;
}

bool is_given(const AdapterConfig& config, std::string_view field) {
  const auto* value = config.find(field);
  if (value == nullptr || value->is_null() || *value == Json(false)) return false;
  const auto* items = value->if_array();
  return items == nullptr || !items->empty();
}

Result<void> check_biases(const Adapter& adapter) {
  const auto& config = adapter.config();
  if (config.bias() != "none") {
    return base::at(base::unsupported(
                        "NM-3", "field \"bias\" is " + quote(config.bias()) +
                                    ", expected \"none\": trained biases of the base are not part "
                                    "of a plain LoRA"),
                    adapter.directory());
  }
  const auto* bias = find_role(adapter, "lora_B", "bias");
  if (bias == nullptr) bias = find_role(adapter, "bias");
  if (!config.flag("lora_bias") && bias == nullptr) return {};
  return base::at(
      base::unsupported(
          "NM-3",
          "field \"lora_bias\" is true: engines that read only A and B would leave the biases "
          "of B out"),
      adapter.directory());
}

Result<void> check_base(const Adapter& adapter) {
  if (!peft::trained_on_changed_base(adapter.config())) return {};
  const auto init = adapter.config().text("init_lora_weights").value_or("");
  return base::at(
      base::unsupported(
          "NM-4",
          "field \"init_lora_weights\" is " + quote(init) +
              ": the adapter was trained on a base that its initialization changed, and means "
              "something else on the base as published; save it with the initial adapter "
              "(ferrule save --initial), which makes it a plain one"),
      adapter.directory());
}

Result<void> check_variant(const Adapter& adapter) {
  for (const std::string_view field :
       {"use_qalora", "use_bdlora", "kasa_config", "velora_config", "monteclora_config",
        "arrow_config", "alora_invocation_tokens", "layer_replication", "target_parameters"}) {
    if (!is_given(adapter.config(), field)) continue;
    return base::at(
        base::unsupported("NM-5", "field " + quote(field) +
                                      " is set: the adapter is a variant of LoRA that a plain "
                                      "one cannot express"),
        adapter.directory());
  }
  for (const auto& tensor : adapter.tensors()) {
    if (!adapter::is_method_role(adapter.config(), tensor.role) || tensor.role == "lora_A" ||
        tensor.role == "lora_B" || tensor.role == "lora_embedding_A" ||
        tensor.role == "lora_embedding_B") {
      continue;
    }
    return base::at(
        base::unsupported("NM-5", "tensor " + quote(tensor.key) +
                                      " is of a variant of LoRA that a plain one cannot "
                                      "express"),
        adapter.directory());
  }
  return {};
}

/// Tied layers share their factors, one of them transposed: a strength in B of the one would have
/// to be in A of the other.
Result<void> check_tying(const Adapter& adapter) {
  if (!adapter.config().flag("ensure_weight_tying")) return {};
  for (const auto& module : adapter.modules()) {
    if (!module.tensor("lora_embedding_A") || module.strength() == 1) continue;
    return base::at(
        base::unsupported(
            "NM-5", "field \"ensure_weight_tying\" is true: embedding " + quote(module.path()) +
                        " shares its factors with the layer tied to it, which has them transposed"),
        adapter.directory());
  }
  return {};
}

}  // namespace

Result<void> check_normalizable(const Adapter& adapter) {
  for (const auto& finding : adapter.findings()) {
    if (finding.severity != Severity::kError) continue;
    return base::at(base::corrupt(finding.rule, finding.message), finding.path);
  }
  const auto& config = adapter.config();
  if (config.peft_type() != "LORA") {
    return base::at(base::unsupported(
                        "NM-1", "the adapter is of type " + config.peft_type() + ", expected LORA"),
                    adapter.directory());
  }
  const auto* magnitude = find_role(adapter, "lora_magnitude_vector");
  if (config.use_dora() || magnitude != nullptr) {
    return base::at(
        base::unsupported(
            "NM-2",
            "the adapter is a DoRA: its magnitudes normalize base and update together, which "
            "a plain LoRA cannot express"),
        adapter.directory());
  }
  FERRULE_CHECK(check_biases(adapter));
  FERRULE_CHECK(check_base(adapter));
  FERRULE_CHECK(check_variant(adapter));
  return check_tying(adapter);
}

std::vector<Finding> carried_along(const Adapter& adapter) {
  std::vector<Finding> findings;
  for (const auto& [role, what] :
       {std::pair<std::string_view, const char*>{"modules_to_save", "modules saved in full are"},
        {"embedding", "embeddings of the base are"},
        {"trainable_tokens", "trained tokens are"}}) {
    const auto* tensor = find_role(adapter, role);
    if (tensor == nullptr) continue;
    findings.push_back({.severity = Severity::kNote,
                        .rule = "NM-9",
                        .path = {},
                        .key = std::string(tensor->key),
                        .message = std::string(what) + " carried along as they are (" +
                                   quote(tensor->key) + "): not every engine reads them",
                        .advice = {}});
  }
  return findings;
}

}  // namespace ferrule::edit
