// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exchange/values.hpp"
#include "ferrule/json.hpp"

namespace ferrule::exchange {

enum class SiteKind : std::uint8_t { kLinear, kConv, kEmbedding };

/// A module of the base model and what the adapter adds to it: scale * B A for LoRA.
///
/// Factors are in PEFT's orientation whatever file they come from: A [rank, in(, kernel)], B [out,
/// rank(, 1)]; of an embedding A [rank, vocabulary], B [dim, rank]. Rows of B are in the order of
/// Hugging Face's weights. One expert of a fused parameter is a site of its own
/// ("...mlp.experts.3.gate_proj", mixtral "...experts.3.w1"): experts.hpp groups them again.
struct Site {
  /// Of an image model: "unet", "transformer", "text_encoder", "text_encoder_2" ...; else empty.
  std::string component = {};
  /// In the names of transformers or diffusers, without `base_model.model.`.
  std::string path = {};
  SiteKind kind = SiteKind::kLinear;
  /// PEFT's word: "LORA", or for `others` "LOHA", "LOKR", "IA3", "VERA" ...
  std::string method = "LORA";
  Values a = {};
  Values b = {};
  /// Tucker core of a convolution [rank, rank, kernel], if there is one.
  Values mid = {};
  /// DoRA's magnitude [out]: the norm of the rows of the weight.
  Values magnitude = {};
  /// lora_B.bias.
  Values bias = {};
  /// Tensors of other methods by PEFT's role ("hada_w1_a", "lokr_w2", "ia3_l").
  std::map<std::string, Values> others = {};
  /// Of the tensors; for LoKr and others what the method's strength divides by.
  std::uint64_t rank = 0;
  /// THE factor on the update: strength after rank, alpha, rsLoRA, patterns and folding.
  double scale = 1;
  /// alpha as the file had it, if scale is alpha / rank: so that nothing is computed twice.
  std::optional<double> alpha = {};
  /// A key of it in the source, for messages.
  std::string key = {};

  std::string name() const { return component.empty() ? path : component + "." + path; }
};

/// A tensor beside the sites, which replaces one of the model.
struct Extra {
  std::string component = {};
  /// The tensor's name in the model ("lm_head.weight").
  std::string path = {};
  /// "modules_to_save", "bias", "embedding" (a whole matrix saved along), "trainable_tokens".
  std::string role = {};
  Values values = {};
  std::string key = {};

  std::string name() const { return component.empty() ? path : component + "." + path; }
};

/// What a config says besides names and strengths.
struct Facts {
  std::optional<std::string> base_model = {};
  std::optional<std::string> revision = {};
  std::optional<std::string> task_type = {};
  double dropout = 0;
  /// aLoRA; empty if there are none.
  std::vector<std::int64_t> invocation_tokens = {};
  /// PEFT's configs as they were, by component; empty if the source is of another dialect.
  std::map<std::string, Json> peft_configs = {};
  /// An initialization ("pissa") after which the factors only fit a base that it changed, too.
  std::optional<std::string> changed_base = {};
  /// Experts are fused in the source (PEFT's target_parameters, GGUF, switch layers).
  bool fused_experts = false;
  /// They are mlx-lm's switch layers.
  bool switch_layers = false;
  /// Modules are those of transformers 5: what is a parameter there is one in PEFT's form.
  bool new_names = false;
  /// The source spells experts as transformers 4 does in mixtral ("block_sparse_moe.experts.0.w1").
  bool old_names = false;
};

/// An adapter between two dialects. Values point into files that `owners` keep open.
struct Middle {
  std::vector<Site> sites = {};
  std::vector<Extra> extras = {};
  Facts facts = {};
  std::vector<std::shared_ptr<const void>> owners = {};
  /// Remarks about the source for the report.
  std::vector<std::string> notes = {};
  /// Keys that the reader understood and that change nothing (an empty tensor, training state).
  std::vector<std::string> ignored = {};
};

}  // namespace ferrule::exchange
