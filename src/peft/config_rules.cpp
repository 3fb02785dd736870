// SPDX-License-Identifier: Apache-2.0
// What PEFT's config classes check when they are constructed, as tables.
#include "peft/config_rules.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/config_fields.hpp"

namespace ferrule::peft {
namespace {

using Names = std::span<const std::string_view>;
using Fields = ConfigFields;

bool is_one_of(std::string_view word, Names words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

/// A range that PEFT's constructor enforces. `owner` is a type or a nested config.
struct Range {
  std::string_view owner;
  std::string_view field;
  double least;
  bool least_included;
  double most = kNoLimit;
  bool most_included = true;
};

constexpr Range kRanges[] = {
    {"ADALORA", "orth_reg_weight", 0, true},
    {"ADALORA", "total_step", 0, false},
    {"CARTRIDGE", "num_frozen_tokens", 0, true},
    {"DELORA", "r", 0, false},
    {"FROD", "sparse_rate", 0, true, 1},
    {"GRALORA", "gralora_k", 0, false},
    {"LILY", "num_B", 2, true},
    {"LILY", "stride_A", 1, true},
    {"PEANUT", "depth", 0, true},
    {"PEANUT", "r", 0, false},
    {"PSOFT", "r", 0, false},
    {"ROAD", "group_size", 0, false},
    {"SUPERTUNING", "lora_dropout", 0, true, 1, false},
    {"SUPERTUNING", "r", 0, false},
    {"SUPERTUNING", "sparsity", 0, true, 1, false},
    {"TINYLORA", "r", 0, false},
    {"TINYLORA", "u", 0, false},
    {"TINYLORA", "weight_tying", 0, true, 1},
    {"UNILORA", "init_theta_d_bound", 0, false},
    {"UNILORA", "r", 0, false},
    {"UNILORA", "theta_d_length", 0, false},
    {"UNILORA", "unilora_dropout", 0, true, 1},
    {"arrow_config", "router_temperature", 0, false},
    {"arrow_config", "top_k", 0, false},
    {"eva_config", "rho", 1, true},
    {"eva_config", "tau", 0, true, 1},
    {"kasa_config", "beta", 0, true},
    {"kasa_config", "gamma", 0, true},
    {"monteclora_config", "buffer_size", 0, false},
    {"monteclora_config", "dirichlet_prior", 0, false},
    {"monteclora_config", "num_samples", 0, false},
    {"velora_config", "num_groups", 0, false},
    {"velora_config", "scale", 0, false},
};

constexpr std::string_view kAllBias[] = {"none", "all", "unilora_only"};
constexpr std::string_view kRoadVariants[] = {"road_1", "road_2", "road_4"};
constexpr std::string_view kGloraAB[] = {"lora", "vector", "constant", "none"};
constexpr std::string_view kGloraC[] = {"lora", "vector", "none"};
constexpr std::string_view kGloraDE[] = {"vector", "constant", "none"};
constexpr std::string_view kPsoftInit[] = {"psoft_init", "pissa_init"};
constexpr std::string_view kPsoftSvd[] = {"full", "lowrank"};
constexpr std::string_view kDeftMethods[] = {"qr", "relu"};
constexpr std::string_view kAdamssInit[] = {"orthogonal"};
constexpr std::string_view kPolyTypes[] = {"poly"};
constexpr std::string_view kVeloraInit[] = {"batch_average", "batch_average_once", "random"};

struct Choice {
  std::string_view owner;
  std::string_view field;
  Names values;
};

constexpr Choice kChoices[] = {
    {"ADAMSS", "init_weights", kAdamssInit},     {"DEFT", "decomposition_method", kDeftMethods},
    {"GLORA", "config_A_B", kGloraAB},           {"GLORA", "config_C", kGloraC},
    {"GLORA", "config_D_E", kGloraDE},           {"POLY", "poly_type", kPolyTypes},
    {"PSOFT", "ab_svd_init", kPsoftInit},        {"PSOFT", "psoft_svd", kPsoftSvd},
    {"ROAD", "variant", kRoadVariants},          {"UNILORA", "bias", kAllBias},
    {"velora_config", "init_type", kVeloraInit},
};

Result<void> check_range(const Range& range, const Fields& fields) {
  const auto value = fields.number(range.field);
  if (!value) return {};
  const bool above = range.least_included ? *value >= range.least : *value > range.least;
  const bool below = range.most_included ? *value <= range.most : *value < range.most;
  if (above && below) return {};
  std::string expected = (range.least_included ? "at least " : "more than ") +
                         std::to_string(static_cast<int>(range.least));
  if (range.most != kNoLimit) {
    expected += (range.most_included ? " and at most " : " and less than ") +
                std::to_string(static_cast<int>(range.most));
  }
  return base::corrupt("CF-10", "field " + quote(range.field) + " of " + std::string(range.owner) +
                                    " must be " + expected + ", found " + fields.dump(range.field));
}

Result<void> check_choice(std::string_view owner, std::string_view field, Names values,
                          const Fields& fields) {
  if (!fields.given(field)) return {};
  const auto found = fields.text(field);
  if (fields.is_text(field) && is_one_of(found, values)) return {};
  std::string message = "field " + quote(field) + " of " + std::string(owner) + " holds " +
                        fields.dump(field) + ", which PEFT does not know";
  if (const auto meant = suggest(found, values)) {
    message += "; did you mean " + quote(*meant) + "?";
  }
  return base::corrupt("CF-11", std::move(message));
}

Result<void> check_tables(std::string_view owner, const Fields& fields) {
  for (const Range& range : kRanges) {
    if (range.owner == owner) FERRULE_CHECK(check_range(range, fields));
  }
  for (const Choice& choice : kChoices) {
    if (choice.owner != owner) continue;
    FERRULE_CHECK(check_choice(owner, choice.field, choice.values, fields));
  }
  return {};
}

constexpr std::string_view kNoLayersWithPattern[] = {
    "ADALORA", "C3A",  "DEFT",  "DELORA", "FOURIERFT", "HIRA",  "HRA",
    "LORA",    "MISS", "PSOFT", "SHADOW", "UNILORA",   "WAVEFT"};
constexpr std::string_view kNoLayersPatternWithPattern[] = {
    "ADALORA", "C3A",  "DEFT",  "FOURIERFT", "HIRA",    "HRA",
    "LORA",    "MISS", "PSOFT", "SHADOW",    "UNILORA", "WAVEFT"};
constexpr std::string_view kLayersPatternNeedsIndices[] = {
    "ADALORA", "BOFT",   "DEFT",     "DELORA", "FOURIERFT", "FROD",   "HRA",
    "LILY",    "LOHA",   "LOKR",     "LORA",   "OFT",       "PEANUT", "PSOFT",
    "PVERA",   "SHADOW", "TINYLORA", "VBLORA", "VERA",      "WAVEFT"};

Result<void> check_layer_selection(std::string_view type, const Fields& fields) {
  const bool pattern = fields.is_text("target_modules");
  if (pattern && fields.given("layers_to_transform") && is_one_of(type, kNoLayersWithPattern)) {
    return base::corrupt(
        "CF-10", "\"layers_to_transform\" cannot be used where \"target_modules\" is a pattern");
  }
  if (pattern && fields.given("layers_pattern") && is_one_of(type, kNoLayersPatternWithPattern)) {
    return base::corrupt("CF-10",
                         "\"layers_pattern\" cannot be used where \"target_modules\" is a pattern");
  }
  if (fields.truthy("layers_pattern") && !fields.given("layers_to_transform") &&
      is_one_of(type, kLayersPatternNeedsIndices)) {
    return base::corrupt("CF-10", "\"layers_pattern\" needs \"layers_to_transform\"");
  }
  return {};
}

Result<void> check_lora(const Json& document) {
  const Fields fields(document);
  for (const std::string_view name :
       {"arrow_config", "eva_config", "kasa_config", "monteclora_config", "velora_config"}) {
    const auto* nested = document.find(name);
    if (nested != nullptr) FERRULE_CHECK(check_tables(name, Fields(*nested)));
  }
  if (const auto* bdlora = document.find("use_bdlora")) {
    const Fields nested(*bdlora);
    const auto second = nested.texts("target_modules_bd_b");
    for (const auto name : nested.texts("target_modules_bd_a")) {
      if (is_one_of(name, second)) {
        return base::corrupt("CF-10", "\"use_bdlora\" names " + quote(name) + " in both its lists");
      }
    }
  }
  if (fields.truthy("use_dora") && fields.truthy("megatron_config")) {
    return base::corrupt("CF-10", "DoRA cannot be used with \"megatron_config\"");
  }
  if (fields.text("init_lora_weights") == "loftq" && !fields.truthy("loftq_config")) {
    return base::corrupt("CF-10",
                         "\"init_lora_weights\" is \"loftq\" but \"loftq_config\" is empty");
  }
  if (fields.truthy("lora_bias") && fields.is_text("init_lora_weights")) {
    return base::corrupt("CF-10",
                         "\"lora_bias\" needs \"init_lora_weights\" true or false, found " +
                             fields.dump("init_lora_weights"));
  }
  if (fields.truthy("lora_bias") && fields.truthy("use_dora")) {
    return base::corrupt("CF-10", "\"lora_bias\" cannot be used with DoRA");
  }
  return {};
}

Result<void> check_adalora(const Fields& fields) {
  if (fields.truthy("use_dora")) return base::corrupt("CF-10", "ADALORA does not support DoRA");
  if (fields.truthy("loftq_config"))
    return base::corrupt("CF-10", "ADALORA does not support LoftQ");
  if (!fields.given("total_step")) {
    return base::corrupt("CF-10", "ADALORA needs \"total_step\", the number of training steps");
  }
  const double steps = fields.number("total_step").value_or(0);
  if (fields.number("tinit").value_or(0) >= steps - fields.number("tfinal").value_or(0)) {
    return base::corrupt("CF-10", "\"tinit\" " + fields.dump("tinit") +
                                      " leaves no step between it and " +
                                      "\"total_step\" - \"tfinal\"");
  }
  return {};
}

Result<void> check_adamss(const Fields& fields) {
  if (!fields.truthy("use_asa")) return {};
  for (const std::string_view name :
       {"mask_interval", "asa_target_subspaces", "asa_schedule_exponent"}) {
    FERRULE_CHECK(check_range({"ADAMSS", name, 0, false}, fields));
  }
  if (fields.number("init_warmup").value_or(0) >= fields.number("final_warmup").value_or(0)) {
    return base::corrupt("CF-10", "\"init_warmup\" must be less than \"final_warmup\"");
  }
  return {};
}

Result<void> check_prompts(std::string_view type, const Fields& fields) {
  if (type == "CARTRIDGE" && fields.given("num_virtual_tokens") &&
      fields.number("num_frozen_tokens").value_or(0) >
          fields.number("num_virtual_tokens").value_or(0)) {
    return base::corrupt("CF-10", "\"num_frozen_tokens\" is more than \"num_virtual_tokens\"");
  }
  if (type == "CPT") {
    if (fields.text("task_type") != "CAUSAL_LM") {
      return base::corrupt(
          "CF-10", "CPT needs \"task_type\" \"CAUSAL_LM\", found " + fields.dump("task_type"));
    }
    const std::size_t count = fields.length("cpt_token_ids");
    if (fields.length("cpt_mask") != count || fields.length("cpt_tokens_type_mask") != count) {
      return base::corrupt(
          "CF-10",
          "\"cpt_token_ids\", \"cpt_mask\" and \"cpt_tokens_type_mask\" must be of "
          "equal length");
    }
  }
  if (type == "PROMPT_TUNING") {
    const bool from_text = fields.text("prompt_tuning_init") == "TEXT";
    if (from_text && !fields.truthy("tokenizer_name_or_path")) {
      return base::corrupt("CF-10",
                           "\"prompt_tuning_init\" \"TEXT\" needs \"tokenizer_name_or_path\"");
    }
    if (from_text && !fields.given("prompt_tuning_init_text")) {
      return base::corrupt("CF-10",
                           "\"prompt_tuning_init\" \"TEXT\" needs \"prompt_tuning_init_text\"");
    }
    if (!from_text && fields.truthy("tokenizer_kwargs")) {
      return base::corrupt("CF-10", "\"tokenizer_kwargs\" needs \"prompt_tuning_init\" \"TEXT\"");
    }
  }
  return {};
}

/// Exactly one of two sizes.
Result<void> check_either(const Fields& fields, std::string_view a, std::string_view b) {
  if (fields.truthy(a) != fields.truthy(b)) return {};
  return base::corrupt("CF-10", "exactly one of " + quote(a) + " and " + quote(b) +
                                    " must be other than 0, found " + fields.dump(a) + " and " +
                                    fields.dump(b));
}

Result<void> check_psoft(const Fields& fields) {
  if (!fields.truthy("use_cayley_neumann")) return {};
  FERRULE_CHECK(check_range({"PSOFT", "num_cayley_neumann_terms", 0, false}, fields));
  const auto eps = fields.number("cayley_neumann_eps");
  if (eps && (*eps <= 0 || *eps >= 1)) {
    return base::corrupt("CF-10", "\"cayley_neumann_eps\" must be between 0 and 1, found " +
                                      fields.dump("cayley_neumann_eps"));
  }
  return {};
}

Result<void> check_ia3(const Fields& fields) {
  if (fields.is_text("target_modules") || !fields.given("target_modules")) return {};
  const auto targets = fields.texts("target_modules");
  for (const auto name : fields.texts("feedforward_modules")) {
    if (!is_one_of(name, targets)) {
      return base::corrupt("CF-10", "\"feedforward_modules\" names " + quote(name) +
                                        ", which \"target_modules\" does not");
    }
  }
  return {};
}

Result<void> check_own(std::string_view type, const Json& document) {
  const Fields fields(document);
  if (type == "LORA" || type == "ADALORA") FERRULE_CHECK(check_lora(document));
  if (type == "ADALORA") return check_adalora(fields);
  if (type == "ADAMSS") return check_adamss(fields);
  if (type == "BOFT") return check_either(fields, "boft_block_size", "boft_block_num");
  if (type == "OFT") return check_either(fields, "r", "oft_block_size");
  if (type == "PSOFT") return check_psoft(fields);
  if (type == "IA3") return check_ia3(fields);
  if (type == "WAVEFT") {
    return check_choice(type, "wavelet_family", wavelet_families(), fields);
  }
  if (type == "PEANUT") return check_choice(type, "act_fn", activations(), fields);
  if (type == "GRALORA" &&
      std::fmod(fields.number("r").value_or(0), fields.number("gralora_k").value_or(1)) != 0) {
    return base::corrupt("CF-10", "\"r\" " + fields.dump("r") +
                                      " is not divisible by \"gralora_k\" " +
                                      fields.dump("gralora_k"));
  }
  if (type == "ROAD" && std::fmod(fields.number("group_size").value_or(0), 2) != 0) {
    return base::corrupt("CF-10",
                         "\"group_size\" must be even, found " + fields.dump("group_size"));
  }
  if (type == "SUPERTUNING" && fields.given("lora_alpha") && !fields.given("r")) {
    return base::corrupt("CF-10", "\"lora_alpha\" is given but \"r\" is not");
  }
  if (type == "SHADOW" && fields.text("shadow_model") != "mirror") {
    for (const std::string_view name : {"shadow_num_hidden_layers", "shadow_hidden_size",
                                        "shadow_num_attention_heads", "shadow_intermediate_size"}) {
      if (fields.given(name)) {
        return base::corrupt("CF-10", quote(name) + " needs \"shadow_model\" \"mirror\"");
      }
    }
  }
  return check_prompts(type, fields);
}

Result<void> check_bias(const Fields& fields) {
  const auto bias = fields.text("bias");
  if (!fields.is_text("bias") || bias == "none" || bias == "all") return {};
  constexpr std::string_view kOnly = "_only";
  if (bias.size() >= kOnly.size() && bias.substr(bias.size() - kOnly.size()) == kOnly) return {};
  return base::corrupt(
      "CF-11",
      "field \"bias\" must be \"none\", \"all\" or end in \"_only\", found " + quote(bias));
}

/// Types whose layers take any `r` (OFT's 0 means: from the block size), or none.
constexpr std::string_view kAnyRank[] = {"ADAMSS", "OFT", "OSF"};

Result<void> check_rank(std::string_view type, const Fields& fields) {
  const auto* field = rank_field(*find_type(type));
  if (field == nullptr || is_one_of(type, kAnyRank)) return {};
  const auto rank = fields.number(field->name);
  // A pattern may replace the default everywhere.
  if (!rank || fields.truthy("rank_pattern")) return {};
  if (*rank > 0 || (type == "ADALORA" && *rank == 0)) return {};
  return base::corrupt("CF-12", "rank " + quote(field->name) +
                                    " must be a positive integer, found " +
                                    fields.dump(field->name));
}

}  // namespace

const FieldSchema* rank_field(const TypeSchema& type) noexcept {
  if (const auto* field = type.find("init_r")) return field;
  if (const auto* field = type.find("r")) return field;
  return type.find("effective_rank");
}

Result<void> check_config(std::string_view peft_type, const Json& document) {
  const Fields fields(document);
  FERRULE_CHECK(check_layer_selection(peft_type, fields));
  FERRULE_CHECK(check_tables(peft_type, fields));
  FERRULE_CHECK(check_own(peft_type, document));
  FERRULE_CHECK(check_bias(fields));
  return check_rank(peft_type, fields);
}

}  // namespace ferrule::peft
