// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/keras_models.hpp"

#include <string>

#include "base/errors.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr KerasLayer kLlamaLayers[] = {
    {2, "mlp.down_proj", "feedforward_output_dense", Kernel::kDense},
    {3, "mlp.gate_proj", "feedforward_gate_dense", Kernel::kDense},
    {4, "mlp.up_proj", "feedforward_intermediate_dense", Kernel::kDense},
    {7, "self_attn.o_proj", "attention_output", Kernel::kOutput},
    {8, "self_attn.v_proj", "value", Kernel::kHeads},
    {9, "self_attn.k_proj", "key", Kernel::kHeads},
    {10, "self_attn.q_proj", "query", Kernel::kHeads}};
constexpr KerasLayer kQwen3Layers[] = {
    {2, "mlp.down_proj", "feedforward_output_dense", Kernel::kDense},
    {3, "mlp.gate_proj", "feedforward_gate_dense", Kernel::kDense},
    {4, "mlp.up_proj", "feedforward_intermediate_dense", Kernel::kDense},
    {7, "self_attn.o_proj", "attention_output", Kernel::kOutput},
    {8, "self_attn.v_proj", "value", Kernel::kHeads},
    {10, "self_attn.k_proj", "key", Kernel::kHeads},
    {12, "self_attn.q_proj", "query", Kernel::kHeads}};
constexpr KerasLayer kGemmaLayers[] = {{1, "mlp.down_proj", "ffw_linear", Kernel::kDense},
                                       {2, "mlp.up_proj", "ffw_gating_2", Kernel::kDense},
                                       {3, "mlp.gate_proj", "ffw_gating", Kernel::kDense},
                                       {6, "self_attn.o_proj", "attention_output", Kernel::kOutput},
                                       {7, "self_attn.v_proj", "value", Kernel::kHeads},
                                       {8, "self_attn.k_proj", "key", Kernel::kHeads},
                                       {9, "self_attn.q_proj", "query", Kernel::kHeads}};
constexpr KerasLayer kGemma2Layers[] = {
    {1, "mlp.down_proj", "ffw_linear", Kernel::kDense},
    {2, "mlp.up_proj", "ffw_gating_2", Kernel::kDense},
    {3, "mlp.gate_proj", "ffw_gating", Kernel::kDense},
    {7, "self_attn.o_proj", "attention_output", Kernel::kOutput},
    {8, "self_attn.v_proj", "value", Kernel::kHeads},
    {9, "self_attn.k_proj", "key", Kernel::kHeads},
    {10, "self_attn.q_proj", "query", Kernel::kHeads}};

constexpr KerasBackbone kBackbones[] = {
    {"llama", 1, 11, false, kLlamaLayers}, {"mistral", 1, 11, false, kLlamaLayers},
    {"qwen2", 1, 11, false, kLlamaLayers}, {"qwen3", 1, 13, false, kQwen3Layers},
    {"gemma", 1, 11, true, kGemmaLayers},  {"gemma2", 1, 13, true, kGemma2Layers}};

}  // namespace

Result<const KerasBackbone*> keras_backbone_of(const Request& request) {
  const auto type = request.base.known() ? model_type_of(request.base) : request.arch;
  for (const auto& backbone : kBackbones) {
    if (backbone.model_type == type) return &backbone;
  }
  if (type.empty()) {
    return base::unsupported("EX-4",
                             "--base is needed, because keras-hub numbers layers by the backbone");
  }
  return base::unsupported("EX-9", "keras-hub's backbone for models of the type " + quote(type) +
                                       " is not among those that Ferrule knows (llama, mistral, "
                                       "qwen2, qwen3, gemma, gemma2)");
}

std::uint64_t keras_heads_at(const KerasLayer& layer, const Heads& heads) {
  if (layer.kernel == Kernel::kDense) return 1;
  const bool query = layer.path.ends_with("q_proj") || layer.kernel == Kernel::kOutput;
  return query ? heads.query : heads.key_value;
}

}  // namespace ferrule::exchange
