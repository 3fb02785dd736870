// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/mlx_names.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "exchange/experts.hpp"

namespace ferrule::exchange {
namespace {

/// A part of a path that differs: at its beginning, or (with a '.' in front) anywhere in it.
struct Spelling {
  std::string_view model_type;
  std::string_view hf;
  std::string_view mlx;
};

constexpr std::string_view kRouter = ".block_sparse_moe.router";
constexpr std::string_view kRouterLayer = ".block_sparse_moe.router.layer";

/// The first line that fits is followed. The text models of those with pictures are one level
/// deeper in mlx-lm. Sources: sanitize() of mlx_lm/models/*.py, 0.32.2.
constexpr Spelling kSpellings[] = {{"gpt2", "transformer.", "model."},
                                   {"gptj", "transformer.", "model."},
                                   {"gpt_neox", "lm_head", "model.embed_out"},
                                   {"gpt_neox", "embed_out", "model.embed_out"},
                                   {"gpt_neox", "gpt_neox.layers.", "model.h."},
                                   {"gpt_neox", "gpt_neox.", "model."},
                                   {"granitemoe", kRouter, kRouterLayer},
                                   {"granitemoehybrid", kRouter, kRouterLayer},
                                   {"phimoe", ".mlp.router", ".block_sparse_moe.gate"},
                                   {"lfm2_moe", ".feed_forward.w1", ".feed_forward.gate_proj"},
                                   {"lfm2_moe", ".feed_forward.w2", ".feed_forward.down_proj"},
                                   {"lfm2_moe", ".feed_forward.w3", ".feed_forward.up_proj"}};

constexpr std::string_view kPictures[] = {"gemma3",   "gemma4",      "lfm2_vl", "mistral3",
                                          "qwen2_vl", "qwen2_5_vl",  "qwen3_5", "qwen3_5_moe",
                                          "qwen3_vl", "qwen3_vl_moe"};
constexpr std::pair<std::string_view, std::string_view> kDeeper[] = {
    {"model.language_model.", "language_model.model."}, {"lm_head", "language_model.lm_head"}};

/// What experts are in: "switch_mlp" in place of transformers' "experts" in most models.
constexpr std::pair<std::string_view, std::string_view> kExperts[] = {
    {"afmoe", "experts"},
    {"dots1", "experts"},
    {"gemma4", "experts.switch_glu"},
    {"gemma4_text", "experts.switch_glu"},
    {"gpt_oss", "experts"},
    {"llama4", "experts"},
    {"llama4_text", "experts"}};

/// Nothing if `from` is not there.
std::optional<std::string> swapped(std::string_view path, std::string_view from,
                                   std::string_view to) {
  const auto at = from.starts_with('.') ? path.find(from) : path.starts_with(from) ? 0 : path.npos;
  if (at == path.npos) return std::nullopt;
  return std::string(path.substr(0, at)) + std::string(to) +
         std::string(path.substr(at + from.size()));
}

std::string spelled(std::string_view path, const BaseFacts& base, bool to_mlx) {
  const auto type = model_type_of(base);
  for (const auto& spelling : kSpellings) {
    if (spelling.model_type != type) continue;
    const bool already = to_mlx && spelling.mlx.starts_with(spelling.hf);
    if (already && path.find(spelling.mlx) != path.npos) return std::string(path);
    auto out = to_mlx ? swapped(path, spelling.hf, spelling.mlx)
                      : swapped(path, spelling.mlx, spelling.hf);
    if (out) return *out;
  }
  if (std::find(std::begin(kPictures), std::end(kPictures), type) == std::end(kPictures)) {
    return std::string(path);
  }
  for (const auto& [hf, mlx] : kDeeper) {
    if (auto out = to_mlx ? swapped(path, hf, mlx) : swapped(path, mlx, hf)) return *out;
  }
  return std::string(path);
}

}  // namespace

std::string hf_to_mlx(std::string_view path, const BaseFacts& base) {
  return spelled(old_path(path, model_type_of(base)), base, true);
}

std::string mlx_to_hf(std::string_view path, const BaseFacts& base) {
  return spelled(path, base, false);
}

std::string mlx_experts(std::string_view experts, std::string_view part, const BaseFacts& base) {
  const auto type = model_type_of(base);
  std::string_view container = "switch_mlp";
  for (const auto& [name, own] : kExperts) {
    if (name == type) container = own;
  }
  // mixtral's experts have transformers 4's block name, and gate, up and down for their parts.
  std::string block(experts.substr(0, experts.rfind(".experts")));
  const bool old = old_path("x.mlp.experts.0.gate_proj", type).starts_with("x.block_sparse_moe.") ||
                   type.starts_with("granitemoe");
  if (old && block.ends_with(".mlp")) {
    block.replace(block.size() - 3, 3, "block_sparse_moe");
  }
  return spelled(block, base, true) + "." + std::string(container) + "." + std::string(part) +
         "_proj";
}

std::string_view mlx_has_no_layer(std::string_view path, const BaseFacts& base) {
  constexpr std::string_view kDivided[] = {"bailing_hybrid", "deepseek_v3",   "deepseek_v32",
                                           "glm4_moe_lite",  "glm_moe_dsa",   "kimi_linear",
                                           "kimi_k2",        "longcat_flash", "mistral4"};
  // Their routers have a weight and are not layers.
  constexpr std::string_view kRouters[] = {
      "deepseek",   "deepseek_v2",   "deepseek_v3",   "deepseek_v32", "dots1",
      "exaone_moe", "glm4_moe",      "glm4_moe_lite", "glm_moe_dsa",  "kimi_k2",
      "laguna",     "mimo_v2_flash", "nemotron_h",    "solar_open"};
  const auto type = model_type_of(base);
  const auto of = [&](const auto& types) {
    return std::find(std::begin(types), std::end(types), type) != std::end(types);
  };
  if (path.ends_with(".kv_b_proj") && of(kDivided)) {
    return "divides this module of the base into two that it cannot adapt";
  }
  if ((path.ends_with(".mlp.gate") || path.ends_with(".mixer.gate")) && of(kRouters)) {
    return "has a router there that it cannot adapt";
  }
  return {};
}

std::optional<MlxExperts> mlx_experts_at(std::string_view path, const BaseFacts& base) {
  for (const std::string_view container : {".experts.switch_glu.", ".switch_mlp.", ".experts."}) {
    const auto at = path.find(container);
    if (at == path.npos) continue;
    return MlxExperts{spelled(path.substr(0, at), base, false) + ".experts",
                      std::string(path.substr(at + container.size()))};
  }
  return std::nullopt;
}

bool is_embedding_path(std::string_view path) {
  constexpr std::array<std::string_view, 8> kNames = {
      "embed_tokens",   "wte",      "wpe",        "word_embeddings",
      "tok_embeddings", "embed_in", "embeddings", "word_embedding"};
  const auto leaf = path.substr(path.rfind('.') + 1);
  return std::find(kNames.begin(), kNames.end(), leaf) != kNames.end();
}

std::string model_type_of(const BaseFacts& base) {
  const auto* model = base.model();
  const auto* type = model == nullptr ? nullptr : model->config.find("model_type");
  const auto* text = type == nullptr ? nullptr : type->if_string();
  return text == nullptr ? std::string() : *text;
}

bool ties_embeddings(const BaseFacts& base) {
  const auto* model = base.model();
  if (model == nullptr) return false;
  if (const auto said = model->flag("tie_word_embeddings")) return *said;
  // What their config classes take for granted.
  constexpr std::array<std::string_view, 14> kTied = {
      "gemma",   "gemma2", "gemma3", "gemma3_text", "gemma4",  "gpt2", "cohere",
      "cohere2", "bloom",  "falcon", "starcoder2",  "codegen", "opt",  "smollm3"};
  const auto type = model_type_of(base);
  return std::find(kTied.begin(), kTied.end(), type) != kTied.end();
}

}  // namespace ferrule::exchange
