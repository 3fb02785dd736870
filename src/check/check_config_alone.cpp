// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <initializer_list>
#include <optional>
#include <utility>

#include "check/check_config.hpp"
#include "check/module_shapes.hpp"

namespace ferrule::checks {
namespace {

bool trains_tokens(const AdapterModule& module) {
  return std::any_of(module.tensors().begin(), module.tensors().end(), [](const auto& tensor) {
    return tensor.role == "trainable_tokens" || tensor.role == "trainable_tokens_delta";
  });
}

/// Rows of an output layer or an embedding that the adapter brings for that module, if it does.
std::optional<std::uint64_t> vocabulary_rows(const AdapterModule& module) {
  const auto name = module.path().substr(module.path().rfind('.') + 1);
  const bool head = name == "lm_head" || name == "embed_out";
  for (const auto& tensor : module.tensors()) {
    const auto shape = tensor.tensor.shape();
    const bool copy = tensor.role == "modules_to_save" || tensor.role == "embedding";
    const bool b = tensor.role == "lora_B" && tensor.leaf == "weight" && head;
    if ((b || (copy && tensor.leaf == "weight" && (head || looks_like_embedding(name)))) &&
        shape.size() == 2) {
      return shape[0];
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> first_of(const model::BaseIndex& base,
                                     std::initializer_list<const char*> fields) {
  for (const auto* field : fields) {
    if (const auto value = base.config_integer(field)) return value;
  }
  return std::nullopt;
}

}  // namespace

std::vector<Finding> compare_prompt(const Adapter& adapter, const model::BaseIndex& base) {
  std::vector<Finding> out;
  const auto& type = adapter.config().peft_type();
  const auto width = first_of(base, {"hidden_size", "n_embd", "d_model", "dim"});
  for (const auto& tensor : adapter.tensors()) {
    const auto shape = tensor.tensor.shape();
    if (tensor.key != "prompt_embeddings" || shape.size() != 2 || !width || *width <= 0) continue;
    auto expected = static_cast<std::uint64_t>(*width);
    if (type == "PREFIX_TUNING" || type == "CARTRIDGE") {
      const auto layers = first_of(base, {"num_hidden_layers", "n_layer", "num_layers"});
      const auto heads = first_of(base, {"num_attention_heads", "n_head", "num_heads"});
      const auto kv_heads = base.config_integer("num_key_value_heads").value_or(heads.value_or(0));
      if (!layers || !heads || *heads <= 0 || *layers <= 0 || kv_heads <= 0) continue;
      const auto head = base.config_integer("head_dim").value_or(*width / *heads);
      expected =
          static_cast<std::uint64_t>(*layers) * 2 * static_cast<std::uint64_t>(kv_heads * head);
    }
    if (shape[1] == expected) continue;
    out.push_back(about(Severity::kError, "BS-2", {},
                        "prompt_embeddings has " + std::to_string(shape[1]) +
                            " columns, the base needs " + std::to_string(expected),
                        "it was trained on a model of another size"));
  }
  return out;
}

std::vector<Finding> compare_with_config_alone(const Adapter& adapter,
                                               const model::BaseIndex& base) {
  auto out = compare_prompt(adapter, base);
  const bool composed = base.config.find("text_config") != nullptr ||
                        base.config.find("vision_config") != nullptr ||
                        base.config.find("encoder") != nullptr;
  const auto layers = first_of(base, {"num_hidden_layers", "n_layer", "num_layers"});
  const auto vocabulary = base.config_integer("vocab_size");
  const bool replicated = adapter.config().find("layer_replication") != nullptr &&
                          !adapter.config().find("layer_replication")->is_null();
  for (const auto& module : adapter.modules()) {
    const auto number = peft::layer_number(module.path());
    if (layers && *layers >= 0 && number && !composed && !replicated &&
        *number >= static_cast<std::uint64_t>(*layers)) {
      out.push_back(about(Severity::kError, "BS-8", module.path(),
                          "the config says " + std::to_string(*layers) +
                              " layers, this is of layer " + std::to_string(*number),
                          "it was trained on a model of another size"));
    }
    const auto path = module.path();
    if (vocabulary && *vocabulary > 0 && trains_tokens(module)) {
      const auto highest = highest_token(adapter.config(), path);
      if (highest && *highest >= static_cast<std::uint64_t>(*vocabulary)) {
        out.push_back(about(Severity::kError, "BS-9", path,
                            "the adapter trains token " + std::to_string(*highest) +
                                ", the base has " + std::to_string(*vocabulary) + " rows",
                            "resize the base's embeddings before loading"));
      }
    }
    const auto rows = module.tensor("lora_embedding_A");
    const auto own = vocabulary_rows(module);
    if (own && vocabulary && *vocabulary > 0 && path.find("position") == std::string_view::npos &&
        !path.ends_with("wpe") && *own != static_cast<std::uint64_t>(*vocabulary)) {
      out.push_back(about(Severity::kError, "BS-9", path,
                          "the vocabulary was resized: the adapter has " + std::to_string(*own) +
                              " rows, the base has " + std::to_string(*vocabulary),
                          "resize the base's embeddings before loading"));
    }
    const bool words = path.ends_with("embed_tokens") || path.ends_with("wte") ||
                       path.ends_with("word_embeddings");
    if (rows && vocabulary && *vocabulary > 0 && words && rows->shape().size() == 2 &&
        rows->shape()[1] != static_cast<std::uint64_t>(*vocabulary)) {
      out.push_back(about(Severity::kError, "BS-9", path,
                          "the vocabulary was resized: the adapter has " +
                              std::to_string(rows->shape()[1]) + " rows, the base has " +
                              std::to_string(*vocabulary),
                          "resize the base's embeddings before loading"));
    }
  }
  return out;
}

}  // namespace ferrule::checks
