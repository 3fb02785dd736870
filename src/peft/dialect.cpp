// SPDX-License-Identifier: Apache-2.0
// Adapters of other programs, recognized by what only they write. Sources: the savers of each
// program (docs/dialects.md).
#include "peft/dialect.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>

#include "ferrule/text.hpp"
#include "peft/method.hpp"
#include "peft/state_layout.hpp"

namespace ferrule::peft {
namespace {

constexpr Dialect kAdapterHub = {
    "adapterhub", "an adapter of the `adapters` library (AdapterHub)",
    "load it with that library: its tensors and config are not those of PEFT, and adding "
    "peft_type to the config does not change that; `ferrule convert --to peft` makes a PEFT "
    "adapter of what PEFT has too"};
constexpr Dialect kMlx = {
    "mlx", "an adapter of mlx-lm",
    "its factors are transposed and its strength is the field scale; mlx-lm loads it, PEFT does "
    "not; `ferrule convert --to peft` makes a PEFT adapter of it"};
constexpr Dialect kTorchtune = {
    "torchtune", "an adapter of torchtune",
    "its names are those of torchtune's own models; take the adapter_model.safetensors or .bin "
    "that torchtune writes for PEFT next to it, or `ferrule convert --to peft`"};
constexpr Dialect kLitgpt = {
    "litgpt", "an adapter of LitGPT",
    "its names are those of LitGPT's own models; LitGPT can merge it (litgpt merge_lora), "
    "`ferrule convert --to peft` makes a PEFT adapter of it"};
constexpr Dialect kPaddle = {
    "paddle", "an adapter of PaddleNLP",
    "its factors are transposed and have no .weight; PaddleNLP loads it, PEFT does not; `ferrule "
    "convert --to peft` makes a PEFT adapter of it"};
constexpr Dialect kKohya = {
    "kohya", "a LoRA of kohya-ss (sd-scripts)",
    "its modules are spelled with underscores, its strengths are tensors called alpha; diffusers "
    "(load_lora_weights) and ComfyUI load it, PEFT does not; `ferrule convert --to peft` makes a "
    "PEFT adapter of it"};
constexpr Dialect kLycoris = {
    "lycoris", "an adapter of LyCORIS",
    "its modules are spelled with underscores, its strengths are tensors called alpha; ComfyUI "
    "and the lycoris package load it, PEFT does not; `ferrule convert --to peft` makes a PEFT "
    "adapter of it"};
constexpr Dialect kDiffusers = {
    "diffusers", "a LoRA of diffusers",
    "it holds several models' adapters in one file, without a config; diffusers loads it with "
    "load_lora_weights, PEFT does not; `ferrule convert --to peft` makes PEFT adapters of it"};
constexpr Dialect kMistral = {
    "mistral", "a LoRA of mistral-finetune",
    "its names are those of Mistral's own models; mistral-inference loads it, PEFT does not; "
    "`ferrule convert --to peft` makes a PEFT adapter of it"};
constexpr Dialect kMegatron = {
    "megatron", "an adapter of Megatron-Bridge or NeMo",
    "its layers are fused as Megatron fuses them; Megatron-Bridge exports it for PEFT "
    "(save_hf_adapter)"};
constexpr Dialect kMerged = {
    "merged-linear", "a LoRA on fused layers as PEFT 0.2 trained it (MergedLinear, enable_lora)",
    "PEFT dropped MergedLinear in 0.3, and no later release loads it: load it with PEFT 0.2"};
constexpr Dialect kModelConfig = {"model", "the config of a model of transformers",
                                  "an adapter's own adapter_config.json has to be in its place"};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool starts_with_one(std::string_view text, std::initializer_list<std::string_view> heads) {
  return std::any_of(heads.begin(), heads.end(),
                     [text](std::string_view head) { return text.starts_with(head); });
}

bool ends_with_one(std::string_view text, std::initializer_list<std::string_view> tails) {
  return std::any_of(tails.begin(), tails.end(),
                     [text](std::string_view tail) { return text.ends_with(tail); });
}

/// kohya's and LyCORIS's paths have no dots: prefix, underscores, then the tensor's own name.
const Dialect* underscored(std::string_view key) {
  if (key.starts_with("lycoris_")) return &kLycoris;
  if (!starts_with_one(key, {"lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_te3_",
                             "lora_transformer_", "lora_prior_"})) {
    return nullptr;
  }
  const auto tensor = key.substr(std::min(key.find('.'), key.size()));
  return starts_with_one(tensor, {".hada_", ".lokr_", ".oft_", ".a1", ".b1", ".diff", ".w_norm"})
             ? &kLycoris
             : &kKohya;
}

bool is_diffusers(std::string_view key) {
  const bool factor =
      ends_with_one(key, {".lora_A.weight", ".lora_B.weight", ".lora.down.weight",
                          ".lora.up.weight", ".lora_linear_layer.down.weight",
                          ".lora_linear_layer.up.weight", "_lora.down.weight", "_lora.up.weight"});
  return factor && starts_with_one(key, {"unet.", "diffusion_model.", "transformer.blocks.",
                                         "transformer.transformer_blocks.",
                                         "transformer.single_transformer_blocks.", "text_encoder.",
                                         "text_encoder_2.", "text_encoder_3."});
}

bool is_mistral(std::string_view key) {
  return key.starts_with("layers.") && (has(key, ".attention.w") || has(key, ".feed_forward.w")) &&
         ends_with_one(key, {".lora_A.weight", ".lora_B.weight"});
}

/// Z-Image and Lumina 2 call their layers as Mistral's models do, but not what is in attention.
bool has_image_names(const TensorSource& source) {
  return std::any_of(source.tensors().begin(), source.tensors().end(), [](const auto& tensor) {
    return has(tensor.name, ".attention.to_") || has(tensor.name, ".attention.qkv.") ||
           has(tensor.name, ".attention.out.") || has(tensor.name, ".adaLN_modulation.");
  });
}

}  // namespace

const Dialect* dialect_of_config(const Json& document) {
  if (document.if_object() == nullptr) return nullptr;
  const auto field = [&](std::string_view name) { return document.find(name) != nullptr; };
  if (const auto* fused = document.find("enable_lora");
      fused != nullptr && fused->if_array() != nullptr) {
    return &kMerged;
  }
  if (field("peft_type")) return nullptr;
  if (field("fine_tune_type") || field("lora_parameters") || field("lora_layers")) return &kMlx;
  if (field("config") && (field("model_class") || field("config_id") || field("hidden_size"))) {
    return &kAdapterHub;
  }
  if (field("architectures") && field("model_type")) return &kModelConfig;
  return nullptr;
}

const Dialect* dialect_of_key(std::string_view key) {
  if (const auto* found = underscored(key)) return found;
  if (ends_with_one(key, {".lora_a.weight", ".lora_b.weight"})) return &kTorchtune;
  if (ends_with_one(key, {".lora_a", ".lora_b"})) return &kMlx;
  if (has(key, ".loras.") || has(key, ".adapter_down.") || has(key, ".adapter_up.")) {
    return &kAdapterHub;
  }
  if (ends_with_one(key, {".adapter.linear_in.weight", ".adapter.linear_out.weight"})) {
    return &kMegatron;
  }
  if (ends_with_one(key, {".lora_A", ".lora_B"}) && !key.starts_with(kModelPrefix)) {
    return has(key, "transformer.h.") || key.starts_with("lm_head.") ? &kLitgpt : &kPaddle;
  }
  if (is_diffusers(key)) return &kDiffusers;
  if (is_mistral(key)) return &kMistral;
  return nullptr;
}

DialectFound dialect_of(const TensorSource& source) {
  std::optional<bool> image;
  for (const auto& [name, view] : source.tensors()) {
    const auto* dialect = dialect_of_key(name);
    if (dialect == &kMistral) {
      if (!image) image = has_image_names(source);
      if (*image) continue;
    }
    if (dialect != nullptr) return {dialect, name};
  }
  return {};
}

std::string describe(const DialectFound& found) {
  return std::string(found.dialect->what) + ", not of PEFT (tensor " + quote(found.key) + ")";
}

bool is_peft_key(std::string_view key) {
  if (key == "prompt_embeddings" || key.starts_with("prompt_encoder.")) return true;
  for (const auto part : split(key)) {
    for (const auto& method : all_methods()) {
      if (find_role(method, Scope::kLayer, part) != nullptr) return true;
    }
  }
  return false;
}

}  // namespace ferrule::peft
