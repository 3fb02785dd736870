// SPDX-License-Identifier: Apache-2.0
#include "check/engines.hpp"

#include "ferrule/file_names.hpp"

namespace ferrule::checks {
namespace {

using enum EngineFeature;
using enum EngineBehavior;

#include "check/engines_data.inc"

}  // namespace

std::span<const Engine> all_engines() noexcept { return kEngines; }

const Engine* find_engine(std::string_view id) noexcept {
  for (const auto& engine : kEngines) {
    if (engine.id == id) return &engine;
  }
  return nullptr;
}

EngineFact engine_fact(const Engine& engine, EngineFeature feature) noexcept {
  for (const auto& fact : engine.facts) {
    if (fact.feature == feature) return fact;
  }
  return {.feature = feature, .behavior = kUnknown, .source = {}, .note = {}};
}

std::string_view feature_name(EngineFeature feature) noexcept {
  switch (feature) {
    case kOtherMethod:
      return "a type other than LORA";
    case kRsLora:
      return "use_rslora";
    case kRankPattern:
      return "rank_pattern";
    case kAlphaPattern:
      return "alpha_pattern";
    case kDora:
      return "use_dora";
    case kLoraBias:
      return "lora_bias";
    case kBias:
      return "bias";
    case kModulesToSave:
      return "modules_to_save";
    case kEmbedding:
      return "LoRA on an embedding";
    case kTrainableTokens:
      return "trainable_token_indices";
    case kTargetParameters:
      return "target_parameters";
    case kMutatedBase:
      return "init_lora_weights that changes the base";
    case kActivated:
      return "alora_invocation_tokens";
    case kReplication:
      return "layer_replication";
    case kTorchFile:
      return kBinFile;
    case kWrapperPrefix:
      return "paths below a wrapper";
    case kPlainStrength:
      return "lora_alpha";
    case kPeftDirectory:
      return "a directory as PEFT writes it";
  }
  return {};
}

}  // namespace ferrule::checks
