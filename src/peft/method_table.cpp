// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "base/ascii.hpp"
#include "peft/method.hpp"

namespace ferrule::peft {
namespace {

constexpr Scope kModel = Scope::kModel;
constexpr Scope kLayer = Scope::kLayer;
constexpr NamePlace kAfter = NamePlace::kAfterAttribute;
constexpr NamePlace kDefault = NamePlace::kLiteralDefault;

/// A layer-level view of memory that belongs to the model: never saved from there.
constexpr Role shared_view(std::string_view attribute, std::string_view leaves = "") {
  return {.attribute = attribute, .leaves = leaves, .saved = Saved::kNo, .shared = true};
}

/// A model-level tensor that is saved where the config says so.
constexpr Role projection(std::string_view attribute, std::string_view leaves = "",
                          NamePlace place = kAfter) {
  return {.attribute = attribute,
          .leaves = leaves,
          .scope = kModel,
          .place = place,
          .saved = Saved::kIfFlag,
          .flag = "save_projection"};
}

constexpr Role kLoraRoles[] = {
    {"lora_A", "weight"},
    {"lora_B", "weight,bias"},
    {"lora_embedding_A"},
    {"lora_embedding_B"},
    {.attribute = "lora_magnitude_vector", .leaves = "", .dropped_leaf = "weight"},
    {"lora_diag"},
    {"lora_velora_embed"},
    {"lora_monteclora_sampler", "std_prior,expert_weights_prior,gaussian_var_prior,expert_weights"},
};
constexpr RolePair kLoraPairs[] = {{"lora_A", "lora_B"}, {"lora_embedding_A", "lora_embedding_B"}};
constexpr RankAxis kLoraRanks[] = {{"lora_A", 0}, {"lora_embedding_A", 0}, {"lora_embedding_B", 1}};

constexpr Role kAdaloraRoles[] = {
    {"lora_A"},
    {"lora_B"},
    {"lora_E"},
    {.attribute = "ranknum", .saved = Saved::kNo},
};
constexpr RolePair kAdaloraPairs[] = {
    {"lora_A", "lora_B"}, {"lora_A", "lora_E"}, {"lora_B", "lora_E"}};

constexpr Role kAdamssRoles[] = {{"adamss_A", "#"}, {"adamss_B", "#"}, {"adamss_newB"}};
constexpr RolePair kAdamssPairs[] = {{"adamss_A", "adamss_B"}, {"adamss_A", "adamss_newB"}};
constexpr Role kAdaptionPromptRoles[] = {
    {.attribute = "adaption_prompt", .place = NamePlace::kNone},
    {.attribute = "adaption_gate", .place = NamePlace::kNone},
};
constexpr RolePair kAdaptionPromptPairs[] = {{"adaption_prompt", "adaption_gate"}};
constexpr Role kBeftRoles[] = {{"beft_bias"}};
constexpr Role kBoftRoles[] = {{"boft_R"}, {"boft_s"}};
constexpr RolePair kBoftPairs[] = {{"boft_R", "boft_s"}};
constexpr Role kC3aRoles[] = {{"c3a_kernel"}};
constexpr Role kDeftRoles[] = {{"deft_P"}, {"deft_R"}};
constexpr Role kDeloraRoles[] = {{"delora_A"}, {"delora_B"}, {"delora_lambda"}, {"delora_w_norm"}};
constexpr RolePair kDeloraPairs[] = {
    {"delora_A", "delora_B"}, {"delora_A", "delora_lambda"}, {"delora_A", "delora_w_norm"}};
constexpr RankAxis kDeloraRanks[] = {{"delora_A", 0}, {"delora_B", 1}};
constexpr Role kFourierftRoles[] = {{"fourierft_spectrum"}};
constexpr Role kFrodRoles[] = {
    {"frod_lambda_l"},
    {"frod_lambda_s_values"},
    projection("frod_V", "*", NamePlace::kAtEnd),
    projection("frod_s_indices", "*", NamePlace::kAtEnd),
    projection("frod_s_size", "*", NamePlace::kAtEnd),
};
constexpr RolePair kFrodPairs[] = {{"frod_lambda_l", "frod_lambda_s_values"}};
constexpr Role kGloraRoles[] = {
    {"glora_A", "Xd,Xu,X,zeros"}, {"glora_B", "Xd,Xu,X,zeros"}, {"glora_C", "Xd,Xu,X,zeros"},
    {"glora_D", "X,zeros"},       {"glora_E", "X,zeros"},
};
constexpr Role kGraloraRoles[] = {
    {"gralora_A"}, {"gralora_B"}, {"gralora_A_general", "weight"}, {"gralora_B_general", "weight"}};
constexpr RolePair kGraloraPairs[] = {{"gralora_A", "gralora_B"},
                                      {"gralora_A_general", "gralora_B_general"}};
constexpr RankAxis kGraloraRanks[] = {{"gralora_A", 2}, {"gralora_B", 1}};
constexpr Role kHiraRoles[] = {{"hira_A"}, {"hira_B"}, {"hira_embedding_A"}, {"hira_embedding_B"}};
constexpr RolePair kHiraPairs[] = {{"hira_A", "hira_B"}, {"hira_embedding_A", "hira_embedding_B"}};
constexpr RankAxis kHiraRanks[] = {
    {"hira_A", 0}, {"hira_B", 1}, {"hira_embedding_A", 0}, {"hira_embedding_B", 1}};
constexpr Role kHraRoles[] = {{"hra_u"}};
constexpr RankAxis kHraRanks[] = {{"hra_u", 1}};
constexpr Role kIa3Roles[] = {{"ia3_l"}};
constexpr Role kLilyRoles[] = {
    {"lily_A", "weight"}, {"lily_B", "weight"}, {"lily_router", "weight"}};
constexpr RolePair kLilyPairs[] = {{"lily_A", "lily_B"}, {"lily_A", "lily_router"}};
constexpr RankAxis kLilyRanks[] = {{"lily_A", 0}};
constexpr Role kLnTuningRoles[] = {{"ln_tuning_layers", "*"}};
constexpr Role kLohaRoles[] = {{"hada_w1_a"}, {"hada_w1_b"}, {"hada_w2_a"},
                               {"hada_w2_b"}, {"hada_t1"},   {"hada_t2"}};
constexpr RolePair kLohaPairs[] = {{"hada_w1_a", "hada_w1_b"},
                                   {"hada_w2_a", "hada_w2_b"},
                                   {"hada_w1_a", "hada_w2_a"},
                                   {"hada_t1", "hada_t2"}};
constexpr RankAxis kLohaRanks[] = {{"hada_w1_b", 0}, {"hada_w2_b", 0}};
constexpr Role kLokrRoles[] = {{"lokr_w1"},   {"lokr_w1_a"}, {"lokr_w1_b"}, {"lokr_w2"},
                               {"lokr_w2_a"}, {"lokr_w2_b"}, {"lokr_t2"}};
constexpr RolePair kLokrPairs[] = {{"lokr_w1_a", "lokr_w1_b"}, {"lokr_w2_a", "lokr_w2_b"}};
constexpr RankAxis kLokrRanks[] = {{"lokr_w1_a", 1}, {"lokr_w1_b", 0}, {"lokr_w2_b", 0}};
constexpr Role kMissRoles[] = {{"miss_block"}};
constexpr Role kOftRoles[] = {{"oft_R", "weight"}, {"oft_embedding_R", "weight"}};
constexpr Role kOsfRoles[] = {{"osf_svd_params", "U_low,S_low,V_low"}};
constexpr Role kPeanutRoles[] = {{"peanut_A", "weight"},
                                 {"peanut_B", "weight"},
                                 {"peanut_encoders", "#.weight"},
                                 {"peanut_decoders", "#.weight"}};
constexpr RolePair kPeanutPairs[] = {{"peanut_A", "peanut_B"},
                                     {"peanut_encoders", "peanut_decoders"}};
constexpr RankAxis kPeanutRanks[] = {{"peanut_A", 0}, {"peanut_B", 1}};
constexpr Role kPolyRoles[] = {{"poly_lora_A"}, {"poly_lora_B"}, {"poly_router", "module_logits"}};
constexpr RolePair kPolyPairs[] = {{"poly_lora_A", "poly_lora_B"}, {"poly_lora_A", "poly_router"}};
constexpr RankAxis kPolyRanks[] = {{"poly_lora_A", 3}, {"poly_lora_B", 2}};
constexpr Role kPsoftRoles[] = {{"psoft_R", "weight,vector_a,vector_b"}};
constexpr Role kPveraRoles[] = {
    {"pvera_lambda_b"},    {"pvera_lambda_d"},     projection("pvera_A"),
    projection("pvera_B"), shared_view("pvera_A"), shared_view("pvera_B"),
};
constexpr RolePair kPveraPairs[] = {{"pvera_lambda_b", "pvera_lambda_d"}};
constexpr Role kRandloraRoles[] = {
    {"randlora_lambda"},
    {"randlora_gamma"},
    {.attribute = "randlora_A", .shared = true},
    {.attribute = "randlora_B", .shared = true},
    {.attribute = "randlora_A", .scope = kModel},
    {.attribute = "randlora_B", .scope = kModel},
};
constexpr RolePair kRandloraPairs[] = {{"randlora_lambda", "randlora_gamma"}};
constexpr RankAxis kRandloraRanks[] = {{"randlora_lambda", 0}};
constexpr Role kRoadRoles[] = {{"road_theta"}, {"road_alpha"}};
constexpr RolePair kRoadPairs[] = {{"road_theta", "road_alpha"}};
constexpr Role kShadowRoles[] = {
    {"shadow_down", "*", kLayer, kDefault},
    {"shadow_up", "*", kLayer, kDefault},
    {"shadow_update_gate", "*", kLayer, kDefault},
    {"shadow_update_transform", "*", kLayer, kDefault},
    {"shadow_backbone", "*", kModel, kDefault},
    {"shadow_projection", "*", kModel, kDefault},
    {"shadow_head", "*", kModel, kDefault},
};
constexpr RolePair kShadowPairs[] = {{"shadow_down", "shadow_up"}};
constexpr Role kShiraRoles[] = {{"shira_weight"}, {"shira_indices"}};
constexpr RolePair kShiraPairs[] = {{"shira_weight", "shira_indices"}};
constexpr Role kSupertuningRoles[] = {{"supertuning_values"},
                                      {.attribute = "supertuning_indices",
                                       .saved = Saved::kIfFlag,
                                       .flag = "save_precomputed_indices"},
                                      {"supertuning_lora_A", "weight"},
                                      {"supertuning_lora_B", "weight"}};
constexpr RolePair kSupertuningPairs[] = {{"supertuning_lora_A", "supertuning_lora_B"}};
constexpr RankAxis kSupertuningRanks[] = {{"supertuning_lora_A", 0}, {"supertuning_lora_B", 1}};
constexpr Role kTinyloraRoles[] = {
    {"tinylora_A"},
    {"tinylora_B"},
    {.attribute = "tinylora_P", .saved = Saved::kIfFlag, .flag = "save_projection"},
    {.attribute = "tinylora_v", .leaves = "#", .scope = kModel},
    shared_view("tinylora_v", "#"),
};
constexpr RolePair kTinyloraPairs[] = {{"tinylora_A", "tinylora_B"}};
constexpr Role kTrainableTokensRoles[] = {{"trainable_tokens_delta"}};
constexpr Role kUniloraRoles[] = {
    {.attribute = "unilora_theta_d", .scope = kModel},
    shared_view("unilora_theta_d"),
    {.attribute = "unilora_indices_A", .saved = Saved::kIfFlag, .flag = "save_indices"},
    {.attribute = "unilora_indices_B", .saved = Saved::kIfFlag, .flag = "save_indices"},
    {.attribute = "unilora_scales_A", .saved = Saved::kIfFlag, .flag = "save_indices"},
    {.attribute = "unilora_scales_B", .saved = Saved::kIfFlag, .flag = "save_indices"},
};
constexpr RolePair kUniloraPairs[] = {{"unilora_indices_A", "unilora_indices_B"},
                                      {"unilora_scales_A", "unilora_scales_B"}};
constexpr Role kVbloraRoles[] = {
    {"vblora_logits_A"},
    {"vblora_logits_B"},
    // What save_only_topk_weights writes in their place.
    {"vblora_logits_A_topk_indices"},
    {"vblora_logits_A_topk_weights"},
    {"vblora_logits_B_topk_indices"},
    {"vblora_logits_B_topk_weights"},
    {.attribute = "vblora_vector_bank", .scope = kModel},
    shared_view("vblora_vector_bank"),
};
constexpr RolePair kVbloraPairs[] = {
    {"vblora_logits_A", "vblora_logits_B"},
    {"vblora_logits_A_topk_indices", "vblora_logits_A_topk_weights"},
    {"vblora_logits_B_topk_indices", "vblora_logits_B_topk_weights"},
    {"vblora_logits_A_topk_indices", "vblora_logits_B_topk_indices"}};
constexpr RankAxis kVbloraRanks[] = {{"vblora_logits_A", 0}, {"vblora_logits_B", 1}};
constexpr Role kVeraRoles[] = {
    {"vera_lambda_b"},    {"vera_lambda_d"},     projection("vera_A"),
    projection("vera_B"), shared_view("vera_A"), shared_view("vera_B"),
};
constexpr RolePair kVeraPairs[] = {{"vera_lambda_b", "vera_lambda_d"}};
constexpr RankAxis kVeraRanks[] = {{"vera_lambda_d", 0}};
constexpr Role kWaveftRoles[] = {{"waveft_spectrum"}};
constexpr Role kXloraRoles[] = {{.attribute = "internal_xlora_classifier",
                                 .leaves = "*",
                                 .scope = kModel,
                                 .place = NamePlace::kNone}};

constexpr Method prompt_method(std::string_view type) {
  return {.peft_type = type,
          .prefix = {},
          .roles = {},
          .pairs = {},
          .ranks = {},
          .prompt_learning = true};
}

// Sorted by type.
constexpr Method kMethods[] = {
    {"ADALORA", "lora_", kAdaloraRoles, kAdaloraPairs, {}},
    {"ADAMSS", "adamss_", kAdamssRoles, kAdamssPairs, {}},
    {"ADAPTION_PROMPT", "adaption_", kAdaptionPromptRoles, kAdaptionPromptPairs, {}},
    {"BEFT", "beft_", kBeftRoles, {}, {}},
    {"BOFT", "boft_", kBoftRoles, kBoftPairs, {}},
    {"C3A", "c3a_", kC3aRoles, {}, {}},
    prompt_method("CARTRIDGE"),
    prompt_method("CPT"),
    {"DEFT", "deft_", kDeftRoles, {}, {}},
    {"DELORA", "delora_", kDeloraRoles, kDeloraPairs, kDeloraRanks},
    {"FOURIERFT", "fourierft_", kFourierftRoles, {}, {}},
    {"FROD", "frod_", kFrodRoles, kFrodPairs, {}},
    {"GLORA", "glora_", kGloraRoles, {}, {}},
    {"GRALORA", "gralora_", kGraloraRoles, kGraloraPairs, kGraloraRanks},
    {"HIRA", "hira_", kHiraRoles, kHiraPairs, kHiraRanks},
    {"HRA", "hra_", kHraRoles, {}, kHraRanks},
    {"IA3", "ia3_", kIa3Roles, {}, {}},
    {"LILY", "lily_", kLilyRoles, kLilyPairs, kLilyRanks},
    {"LN_TUNING", "ln_tuning_", kLnTuningRoles, {}, {}},
    {"LOHA", "hada_", kLohaRoles, kLohaPairs, kLohaRanks},
    {"LOKR", "lokr_", kLokrRoles, kLokrPairs, kLokrRanks},
    {"LORA", "lora_", kLoraRoles, kLoraPairs, kLoraRanks},
    {"MISS", "miss_", kMissRoles, {}, {}},
    prompt_method("MULTITASK_PROMPT_TUNING"),
    {"OFT", "oft_", kOftRoles, {}, {}},
    {"OSF", "osf_", kOsfRoles, {}, {}},
    {"PEANUT", "peanut_", kPeanutRoles, kPeanutPairs, kPeanutRanks},
    {"POLY", "poly_", kPolyRoles, kPolyPairs, kPolyRanks},
    prompt_method("PREFIX_TUNING"),
    prompt_method("PROMPT_TUNING"),
    {"PSOFT", "psoft_", kPsoftRoles, {}, {}},
    {"PVERA", "pvera_", kPveraRoles, kPveraPairs, {}},
    prompt_method("P_TUNING"),
    {"RANDLORA", "randlora_", kRandloraRoles, kRandloraPairs, kRandloraRanks},
    {"ROAD", "road_", kRoadRoles, kRoadPairs, {}},
    {"SHADOW", "shadow_", kShadowRoles, kShadowPairs, {}},
    {"SHIRA", "shira_", kShiraRoles, kShiraPairs, {}},
    {"SUPERTUNING", "supertuning_", kSupertuningRoles, kSupertuningPairs, kSupertuningRanks},
    {"TINYLORA", "tinylora_", kTinyloraRoles, kTinyloraPairs, {}},
    {"TRAINABLE_TOKENS", "trainable_tokens_", kTrainableTokensRoles, {}, {}},
    {"UNILORA", "unilora_", kUniloraRoles, kUniloraPairs, {}},
    {"VBLORA", "vblora_", kVbloraRoles, kVbloraPairs, kVbloraRanks},
    {"VERA", "vera_", kVeraRoles, kVeraPairs, kVeraRanks},
    {"WAVEFT", "waveft_", kWaveftRoles, {}, {}},
    {"XLORA", "xlora_", kXloraRoles, {}, {}},
};

bool leaf_matches(std::string_view pattern, std::string_view leaf) noexcept {
  if (pattern == "*") return !leaf.empty();
  if (!pattern.starts_with('#')) return pattern == leaf;
  const auto dot = leaf.find('.');
  const auto rest = dot == std::string_view::npos ? std::string_view() : leaf.substr(dot);
  return base::is_number(leaf.substr(0, dot)) && rest == pattern.substr(1);
}

}  // namespace

std::span<const Method> all_methods() noexcept { return kMethods; }

const Method* find_method(std::string_view peft_type) noexcept {
  for (const auto& method : kMethods) {
    if (method.peft_type == peft_type) return &method;
  }
  return nullptr;
}

const Role* find_role(const Method& method, Scope scope, std::string_view attribute) noexcept {
  for (const auto& role : method.roles) {
    if (role.scope == scope && role.attribute == attribute) return &role;
  }
  return nullptr;
}

bool leaf_fits(const Role& role, std::string_view leaf) noexcept {
  auto rest = role.leaves;
  while (true) {
    const auto comma = rest.find(',');
    if (leaf_matches(rest.substr(0, comma), leaf)) return true;
    if (comma == std::string_view::npos) return false;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace ferrule::peft
