// SPDX-License-Identifier: Apache-2.0
#include "check/module_shapes.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/checked.hpp"
#include "base/shape_text.hpp"
#include "check/adapter_match.hpp"
#include "check/method_shapes.hpp"
#include "ferrule/text.hpp"

namespace ferrule::checks {
namespace {

std::string grouped(std::uint64_t number) {
  auto text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

Finding misshapen(const AdapterModule& module, const AdapterTensor& tensor,
                  const std::string& expected, std::span<const std::uint64_t> weight) {
  return about(Severity::kError, "BS-2", module.path(),
               std::string(tensor.role) +
                   (tensor.leaf.empty() ? "" : "." + std::string(tensor.leaf)) + " has shape " +
                   base::shape_text(tensor.tensor.shape()) + ", expected " + expected +
                   " for the base's weight of shape " + base::shape_text(weight),
               "it was trained on a model of another size");
}

Finding resized(const AdapterModule& module, std::uint64_t rows, std::uint64_t base_rows) {
  return about(Severity::kError, "BS-9", module.path(),
               "the vocabulary was resized: the adapter has " + grouped(rows) +
                   " rows, the base has " + grouped(base_rows),
               "resize the base's embeddings to " + grouped(rows) + " before loading");
}

/// Shapes that are the same but for their first extent.
bool differ_in_rows(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  return a.size() == 2 && b.size() == 2 && a[0] != b[0] && a[1] == b[1];
}

bool is_vocabulary(const model::BaseIndex& base, const std::string& live,
                   const AdapterModule& module) {
  const auto layer = layer_at(base, live, module);
  const auto name = std::string_view(live).substr(live.rfind('.') + 1);
  return (layer && layer->kind == LayerKind::kEmbedding) || name == "lm_head" ||
         name == "embed_out" || name == "proj_out";
}

/// A tensor that replaces one of the base's own.
std::optional<Finding> judge_copy(const AdapterModule& module, const AdapterTensor& tensor,
                                  const model::BaseIndex& base, const std::string& live) {
  const auto name = live + "." + std::string(tensor.leaf);
  const auto* own = base.find(name);
  if (own == nullptr) {
    if (base.is_packed(live)) return std::nullopt;
    return about(Severity::kError, "BS-1", module.path(),
                 "the base has no tensor " + quote(name) + ", which the adapter replaces");
  }
  const auto shape = tensor.tensor.shape();
  if (!own->shape_known ||
      std::equal(shape.begin(), shape.end(), own->shape.begin(), own->shape.end())) {
    return std::nullopt;
  }
  if (differ_in_rows(shape, own->shape) && is_vocabulary(base, live, module)) {
    return resized(module, shape[0], own->shape[0]);
  }
  return misshapen(module, tensor, base::shape_text(own->shape), own->shape);
}

/// Parameters of the module that target_parameters names.
std::vector<const model::BaseTensor*> targeted(const model::BaseIndex& base,
                                               const std::string& live,
                                               const peft::TargetRule& targets) {
  std::vector<const model::BaseTensor*> out;
  for (const auto& tensor : base.below(live)) {
    const bool direct = tensor.name.find('.', live.size() + 1) == std::string::npos;
    if (direct && targets.selects_parameter(tensor.name)) out.push_back(&tensor);
  }
  return out;
}

bool fits_parameter(const AdapterModule& module, const model::BaseTensor& parameter,
                    bool transposed) {
  const auto a = module.tensor("lora_A");
  const auto b = module.tensor("lora_B");
  if (!parameter.shape_known) return true;
  if (!a || !b || a->shape().size() != 2 || b->shape().size() != 2) return false;
  const auto& shape = parameter.shape;
  if (shape.size() != 2 && shape.size() != 3) return false;
  const std::uint64_t experts = shape.size() == 3 ? shape[0] : 1;
  auto out = shape[shape.size() - 2];
  auto in = shape[shape.size() - 1];
  if (transposed && shape.size() == 3) std::swap(out, in);
  return experts != 0 && a->shape()[0] % experts == 0 && a->shape()[0] == b->shape()[1] &&
         a->shape()[1] == in && b->shape()[0] == out;
}

std::optional<Finding> judge_parameters(const AdapterModule& module, const model::BaseIndex& base,
                                        const std::string& live,
                                        const std::vector<const model::BaseTensor*>& parameters) {
  const auto kind = base.kind_of(live);
  for (const auto* parameter : parameters) {
    if (fits_parameter(module, *parameter, kind.letter == 'T')) return std::nullopt;
    if (!kind.known() && fits_parameter(module, *parameter, true)) return std::nullopt;
  }
  std::string text;
  for (const auto* parameter : parameters) {
    text += (text.empty() ? "" : ", ") + quote(parameter->name) + " of shape " +
            base::shape_text(parameter->shape);
  }
  const auto a = module.tensor("lora_A");
  const auto b = module.tensor("lora_B");
  return about(Severity::kError, "BS-2", module.path(),
               "lora_A of shape " + (a ? base::shape_text(a->shape()) : std::string("?")) +
                   " and lora_B of shape " + (b ? base::shape_text(b->shape()) : std::string("?")) +
                   " fit none of the base's parameters: " + text,
               "it was trained on a model of another size, or with another number of experts");
}

std::optional<Finding> judge_tokens(const AdapterModule& module, const AdapterTensor& tensor,
                                    const AdapterConfig& config, const BaseLayer& layer) {
  const auto shape = tensor.tensor.shape();
  if (layer.weight.size() != 2) return std::nullopt;
  if (shape.size() != 2 || shape[1] != layer.weight[1]) {
    return misshapen(module, tensor, "[*, " + std::to_string(layer.weight[1]) + "]", layer.weight);
  }
  const auto highest = highest_token(config, module.path()).value_or(0);
  if (highest < layer.weight[0]) return std::nullopt;
  return about(Severity::kError, "BS-9", module.path(),
               "the adapter trains token " + grouped(highest) + ", the base has " +
                   grouped(layer.weight[0]) + " rows",
               "resize the base's embeddings before loading");
}

/// LoRA's factors of another layer kind: PEFT makes `lora_embedding_A` on an embedding and `lora_A`
/// on all else, and drops the other.
std::optional<Finding> judge_kind(const AdapterModule& module, const AdapterTensor& tensor,
                                  const BaseLayer& layer) {
  const bool of_embedding = tensor.role == "lora_embedding_A" || tensor.role == "lora_embedding_B";
  const bool of_layer = tensor.role == "lora_A" || tensor.role == "lora_B";
  const bool is_embedding = layer.kind == LayerKind::kEmbedding;
  if ((!of_embedding && !of_layer) || of_embedding == is_embedding) return std::nullopt;
  return about(Severity::kError, "BS-2", module.path(),
               std::string(tensor.role) + " does not belong to " +
                   (is_embedding ? "an embedding" : "a layer that is not an embedding") +
                   ", which the base has there");
}

std::optional<Finding> judge_on_layer(const AdapterConfig& config, const AdapterModule& module,
                                      const AdapterTensor& tensor, const BaseLayer& layer) {
  if (tensor.role == "trainable_tokens" || tensor.role == "trainable_tokens_delta") {
    return judge_tokens(module, tensor, config, layer);
  }
  if (config.peft_type() == "LORA") {
    if (auto wrong = judge_kind(module, tensor, layer)) return wrong;
  }
  const auto expected = expected_shape(config, tensor, layer);
  if (!expected) return std::nullopt;
  const auto shape = tensor.tensor.shape();
  if (tensor.role == "lora_embedding_A" && shape.size() == 2 && shape[1] != layer.weight[0]) {
    return resized(module, shape[1], layer.weight[0]);
  }
  // LoRA on the output layer: B has a row for each token.
  const auto name = module.path().substr(module.path().rfind('.') + 1);
  if (tensor.role == "lora_B" && shape.size() == 2 && (name == "lm_head" || name == "embed_out")) {
    return resized(module, shape[0], layer.out());
  }
  return misshapen(module, tensor, *expected, layer.weight);
}

/// Whether all of the module's tensors fit that layer.
bool fits_layer(const AdapterConfig& config, const AdapterModule& module, const BaseLayer& layer) {
  return !shapes_disagree(config, module, layer) &&
         std::none_of(module.tensors().begin(), module.tensors().end(),
                      [&](const AdapterTensor& tensor) {
                        return expected_shape(config, tensor, layer).has_value();
                      });
}

/// A weight of which only the number of elements is known (bitsandbytes, 4 bits).
std::optional<Finding> judge_elements(const AdapterModule& module, const model::BaseIndex& base,
                                      const std::string& live) {
  const auto packed = base.packed.find(live);
  if (packed == base.packed.end() || !packed->second.elements) return std::nullopt;
  const auto a = module.tensor("lora_A");
  const auto b = module.tensor("lora_B");
  if (!a || !b || a->shape().size() != 2 || b->shape().size() != 2) return std::nullopt;
  if (base::checked_mul(a->shape()[1], b->shape()[0]) == packed->second.elements) {
    return std::nullopt;
  }
  return about(Severity::kError, "BS-2", module.path(),
               "its factors make an update of " +
                   base::shape_text(std::vector{b->shape()[0], a->shape()[1]}) +
                   ", the base's packed weight has " + std::to_string(*packed->second.elements) +
                   " elements",
               "it was trained on a model of another size");
}

}  // namespace

std::optional<std::uint64_t> highest_token(const AdapterConfig& config, std::string_view path) {
  std::optional<std::uint64_t> highest;
  const auto take = [&](const Json& list) {
    if (list.if_array() == nullptr) return;
    for (const auto& item : *list.if_array()) {
      if (const auto* index = item.if_int64(); index != nullptr && *index >= 0) {
        highest = std::max(highest.value_or(0), static_cast<std::uint64_t>(*index));
      }
    }
  };
  for (const auto* field : {"trainable_token_indices", "token_indices"}) {
    const auto* value = config.find(field);
    if (value == nullptr) continue;
    take(*value);
    if (value->if_object() != nullptr) {
      for (const auto& [name, list] : *value->if_object()) {
        if (path.ends_with(name)) take(list);
      }
    }
  }
  return highest;
}

std::optional<Finding> judge_module(const AdapterConfig& config, const AdapterModule& module,
                                    const model::BaseIndex& base, const std::string& live,
                                    const peft::TargetRule& targets) {
  const auto parameters = module.tensor("lora_A") ? targeted(base, live, targets)
                                                  : std::vector<const model::BaseTensor*>();
  if (!parameters.empty()) return judge_parameters(module, base, live, parameters);
  if (auto wrong = judge_elements(module, base, live)) return wrong;
  auto layer = layer_at(base, live, module);
  if (layer && layer->either && !fits_layer(config, module, *layer)) {
    auto other = *layer;
    other.kind = LayerKind::kConv1D;
    if (fits_layer(config, module, other)) layer = other;
  }
  for (const auto& tensor : module.tensors()) {
    std::optional<Finding> wrong;
    if (tensor.role == "modules_to_save" || tensor.role == "bias" || tensor.role == "embedding" ||
        tensor.role == "ln_tuning_layers") {
      wrong = judge_copy(module, tensor, base, live);
    } else if (layer) {
      wrong = judge_on_layer(config, module, tensor, *layer);
    } else if (tensor.role == "adaption_prompt") {
      const auto hidden = base.config_integer("hidden_size");
      const auto shape = tensor.tensor.shape();
      if (hidden && (shape.size() != 3 || shape[2] != static_cast<std::uint64_t>(*hidden))) {
        wrong = misshapen(module, tensor, "[1, *, " + std::to_string(*hidden) + "]", {});
      }
    }
    if (wrong) return wrong;
  }
  if (layer) {
    if (const auto why = shapes_disagree(config, module, *layer)) {
      return about(Severity::kError, "BS-2", module.path(), *why);
    }
  } else if (module.tensor("lora_A") && !base.is_packed(live) &&
             base.find(live + ".weight") == nullptr &&
             base.find(live + ".in_proj_weight") == nullptr) {
    return about(Severity::kError, "BS-1", module.path(),
                 "the base's " + quote(live) + " has no weight to adapt");
  }
  return std::nullopt;
}

}  // namespace ferrule::checks
