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

constexpr KerasLayer kGemma3Layers[] = {
    {1, "mlp.down_proj", "ffw_linear", Kernel::kDense},
    {2, "mlp.up_proj", "ffw_gating_2", Kernel::kDense},
    {3, "mlp.gate_proj", "ffw_gating", Kernel::kDense},
    {7, "self_attn.o_proj", "attention_output", Kernel::kOutput},
    {10, "self_attn.v_proj", "value", Kernel::kHeads},
    {11, "self_attn.k_proj", "key", Kernel::kHeads},
    {12, "self_attn.q_proj", "query", Kernel::kHeads}};
constexpr KerasLayer kPhi3Layers[] = {
    {1, "mlp.down_proj", "feedforward_output_dense", Kernel::kDense},
    {2, "mlp.gate_proj", "feedforward_gate_dense", Kernel::kDense},
    {3, "mlp.up_proj", "feedforward_intermediate_dense", Kernel::kDense},
    {6, "self_attn.o_proj", "attention_output", Kernel::kOutput},
    {7, "self_attn.v_proj", "value", Kernel::kHeads},
    {8, "self_attn.k_proj", "key", Kernel::kHeads},
    {9, "self_attn.q_proj", "query", Kernel::kHeads}};
constexpr KerasLayer kMixtralLayers[] = {
    {4, "mlp.gate", "sparse_feedforward_gate_dense", Kernel::kDense},
    {7, "self_attn.o_proj", "attention_output", Kernel::kOutput},
    {8, "self_attn.v_proj", "value", Kernel::kHeads},
    {9, "self_attn.k_proj", "key", Kernel::kHeads},
    {10, "self_attn.q_proj", "query", Kernel::kHeads}};
constexpr KerasLayer kGpt2Layers[] = {
    {2, "mlp.c_proj", "feedforward_output_dense", Kernel::kDense},
    {3, "mlp.c_fc", "feedforward_intermediate_dense", Kernel::kDense},
    {6, "attn.c_proj", "attention_output", Kernel::kOutput},
    {7, "attn.v_proj", "value", Kernel::kHeads},
    {8, "attn.k_proj", "key", Kernel::kHeads},
    {9, "attn.q_proj", "query", Kernel::kHeads}};
constexpr KerasLayer kOptLayers[] = {{2, "fc2", "feedforward_output_dense", Kernel::kDense},
                                     {3, "fc1", "feedforward_intermediate_dense", Kernel::kDense},
                                     {6, "self_attn.out_proj", "attention_output", Kernel::kOutput},
                                     {7, "self_attn.v_proj", "value", Kernel::kHeads},
                                     {8, "self_attn.k_proj", "key", Kernel::kHeads},
                                     {9, "self_attn.q_proj", "query", Kernel::kHeads}};
constexpr KerasLayer kBloomLayers[] = {
    {2, "mlp.dense_4h_to_h", "mlp_output_dense", Kernel::kDense},
    {3, "mlp.dense_h_to_4h", "mlp_intermediate_dense", Kernel::kDense},
    {6, "self_attention.dense", "output_dense", Kernel::kDense},
    {7, "self_attention.v_proj", "value_dense", Kernel::kHeads},
    {8, "self_attention.k_proj", "key_dense", Kernel::kHeads},
    {9, "self_attention.q_proj", "query_dense", Kernel::kHeads}};

constexpr std::string_view kLlamaAt = "model.layers.";
constexpr KerasBackbone kBackbones[] = {{"llama", kLlamaAt, 1, 11, false, kLlamaLayers},
                                        {"mistral", kLlamaAt, 1, 11, false, kLlamaLayers},
                                        {"qwen2", kLlamaAt, 1, 11, false, kLlamaLayers},
                                        {"qwen3", kLlamaAt, 1, 13, false, kQwen3Layers},
                                        {"gemma", kLlamaAt, 1, 11, true, kGemmaLayers},
                                        {"gemma2", kLlamaAt, 1, 13, true, kGemma2Layers},
                                        {"gemma3_text", kLlamaAt, 1, 15, true, kGemma3Layers},
                                        {"phi3", kLlamaAt, 1, 11, false, kPhi3Layers},
                                        {"mixtral", kLlamaAt, 1, 11, false, kMixtralLayers},
                                        {"gpt2", "transformer.h.", 2, 10, false, kGpt2Layers},
                                        {"opt", "model.decoder.layers.", 3, 10, false, kOptLayers},
                                        {"bloom", "transformer.h.", 1, 10, false, kBloomLayers}};

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
  return base::unsupported("EX-9",
                           "keras-hub's backbone for models of the type " + quote(type) +
                               " is not among those that Ferrule knows (bloom, gemma, gemma2, "
                               "gemma3_text, gpt2, llama, mistral, mixtral, opt, phi3, "
                               "qwen2, qwen3)");
}

std::uint64_t keras_heads_at(const KerasLayer& layer, const Heads& heads) {
  if (layer.kernel == Kernel::kDense) return 1;
  const bool query = layer.path.ends_with("q_proj") || layer.kernel == Kernel::kOutput;
  return query ? heads.query : heads.key_value;
}

}  // namespace ferrule::exchange
