// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/litgpt_models.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "exchange/dialects/mlx_names.hpp"
#include "exchange/experts.hpp"

namespace ferrule::exchange {
namespace {

constexpr LayerNames::Pair kHead[] = {{"lm_head", "lm_head"}};
constexpr LayerNames::Pair kQkv[] = {{"self_attn", "attn.qkv"}};
constexpr LayerNames::Pair kLayers = {"model.layers.", "transformer.h."};

// LLaMAMLP, GemmaMLP and LLaMAMoE: fc_1 is the gate. Row orders are transformers' own.
constexpr LayerNames::Pair kLlama[] = {{"self_attn.o_proj", "attn.proj"},
                                       {"mlp.gate_proj", "mlp.fc_1"},
                                       {"mlp.up_proj", "mlp.fc_2"},
                                       {"mlp.down_proj", "mlp.proj"},
                                       {"mlp.gate", "mlp.gate"}};
constexpr LayerNames::Pair kPhi[] = {
    {"self_attn.dense", "attn.proj"}, {"mlp.fc1", "mlp.fc"}, {"mlp.fc2", "mlp.proj"}};
constexpr LayerNames::Pair kNeox[] = {{"attention.dense", "attn.proj"},
                                      {"mlp.dense_h_to_4h", "mlp.fc"},
                                      {"mlp.dense_4h_to_h", "mlp.proj"}};
constexpr LayerNames::Pair kFalcon[] = {{"self_attention.dense", "attn.proj"},
                                        {"mlp.dense_h_to_4h", "mlp.fc"},
                                        {"mlp.dense_4h_to_h", "mlp.proj"}};
constexpr LayerNames::Pair kNeoxQkv[] = {{"attention", "attn.qkv"}};
// transformers 5 calls it lm_head as well.
constexpr LayerNames::Pair kNeoxHead[] = {{"lm_head", "lm_head"}, {"embed_out", "lm_head"}};
constexpr LayerNames::Pair kFalconQkv[] = {{"self_attention", "attn.qkv"}};

constexpr LayerNames::Pair kNeoxLayers = {"gpt_neox.layers.", "transformer.h."};
constexpr LayerNames::Pair kFalconLayers = {"transformer.h.", "transformer.h."};

constexpr LayerNames::Pair kExpertParts[] = {
    {"gate_proj", "fc_1"}, {"up_proj", "fc_2"}, {"down_proj", "proj"}};

constexpr LitgptModel kLlamaModel{
    {kLayers, kLlama, kHead, {"mlp.experts.", "mlp.experts."}, kExpertParts}, {kLayers, kQkv, {}}};
constexpr std::pair<std::string_view, LitgptModel> kModels[] = {
    {"phi", {{kLayers, kPhi, kHead}, {kLayers, kQkv, {}}}},
    {"gpt_neox", {{kNeoxLayers, kNeox, kNeoxHead}, {kNeoxLayers, kNeoxQkv, {}}}},
    {"falcon", {{kFalconLayers, kFalcon, kHead}, {kFalconLayers, kFalconQkv, {}}}}};

/// More than any model has, for a config that says anything.
constexpr std::uint64_t kMaxExperts = 65536;

std::uint64_t number_of(const BaseFacts& base, std::string_view field) {
  const auto* model = base.model();
  const auto value = model == nullptr ? std::nullopt : model->integer(field);
  return value && *value > 0 ? static_cast<std::uint64_t>(*value) : 0;
}

}  // namespace

const LitgptModel& litgpt_model_of(const BaseFacts& base) {
  const auto type = model_type_of(base);
  for (const auto& [name, model] : kModels) {
    if (name == type) return model;
  }
  return kLlamaModel;
}

std::vector<LayerSwitch> litgpt_switches(const LitgptModel& model, const BaseFacts& base) {
  LayerSwitch mlp;
  const auto experts = std::min(expert_count(base), kMaxExperts);
  for (const auto& [hf, lit] : model.names.inside) {
    if (!lit.starts_with("mlp.")) continue;
    // The router: a row for each expert.
    if (lit == "mlp.gate") {
      if (experts != 0)
        mlp.push_back({std::string(hf), false, {number_of(base, "hidden_size"), experts}});
      continue;
    }
    if (experts == 0) mlp.push_back({std::string(hf), lit == "mlp.proj", {}});
  }
  for (std::uint64_t i = 0; i < experts; ++i) {
    const auto stem = "mlp.experts." + std::to_string(i) + ".";
    for (const auto& [hf, lit] : kExpertParts) {
      mlp.push_back({stem + std::string(hf), lit == "proj", {}});
    }
  }
  LayerSwitch projection;
  projection.push_back({std::string(model.names.inside.front().first), false, {}});
  std::vector<LayerSwitch> out;
  out.push_back(std::move(projection));
  out.push_back(std::move(mlp));
  return out;
}

}  // namespace ferrule::exchange
