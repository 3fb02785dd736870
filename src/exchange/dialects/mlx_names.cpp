// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/mlx_names.hpp"

#include <algorithm>
#include <array>

#include "exchange/experts.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kSwitch = ".switch_mlp.";

/// Beginnings of paths that differ.
struct Prefix {
  std::string_view model_type;
  std::string_view hf;
  std::string_view mlx;
};
constexpr std::array<Prefix, 1> kPrefixes = {{{"gpt2", "transformer.", "model."}}};

std::string swapped(std::string_view path, std::string_view from, std::string_view to) {
  if (!path.starts_with(from)) return std::string(path);
  return std::string(to) + std::string(path.substr(from.size()));
}

}  // namespace

std::string hf_to_mlx(std::string_view path, const BaseFacts& base) {
  const auto type = model_type_of(base);
  std::string out = old_path(path, type);
  if (const auto at = out.find(kSwitch); at != std::string::npos) {
    // mixtral's experts have transformers 4's block name, and gate, up and down for their parts.
    const auto renamed = old_path("x.mlp.experts.0.gate_proj", type);
    if (renamed.starts_with("x.block_sparse_moe.")) {
      if (const auto block = out.rfind(".mlp", at); block != std::string::npos) {
        out.replace(block, 4, ".block_sparse_moe");
      }
    }
  }
  for (const auto& prefix : kPrefixes) {
    if (prefix.model_type == type) out = swapped(out, prefix.hf, prefix.mlx);
  }
  return out;
}

std::string mlx_to_hf(std::string_view path, const BaseFacts& base) {
  const auto type = model_type_of(base);
  std::string out(path);
  for (const auto& prefix : kPrefixes) {
    if (prefix.model_type == type) out = swapped(out, prefix.mlx, prefix.hf);
  }
  return out;
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
