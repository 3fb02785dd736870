// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ferrule::checks {

/// What an adapter may have that not every engine that serves adapters handles.
enum class EngineFeature : std::uint8_t {
  kOtherMethod,       ///< A type other than LORA.
  kRsLora,            ///< use_rslora: alpha / sqrt(r).
  kRankPattern,       ///< Ranks that differ between modules.
  kAlphaPattern,      ///< Alphas that differ between modules.
  kDora,              ///< Magnitude vectors.
  kLoraBias,          ///< lora_bias: a bias on B.
  kBias,              ///< bias "all" or "lora_only": trained biases of the base.
  kModulesToSave,     ///< Trained copies of modules.
  kEmbedding,         ///< LoRA on an embedding.
  kTrainableTokens,   ///< Rows of an embedding.
  kTargetParameters,  ///< LoRA on parameters: fused experts.
  kMutatedBase,       ///< PiSSA, OLoRA, CorDA ...: made for a base that was changed.
  kActivated,         ///< alora_invocation_tokens.
  kReplication,       ///< layer_replication.
  kTorchFile,         ///< adapter_model.bin in place of safetensors.
  kWrapperPrefix,     ///< Paths below the wrapper of a vision-language model.
  kPlainStrength,     ///< The plain factor alpha / r, where it is not 1.
  kPeftDirectory,     ///< A directory as PEFT writes it.
};

/// What the engine does with it.
enum class EngineBehavior : std::uint8_t {
  kWorks,
  kRefused,  ///< It says so and stops.
  kIgnored,  ///< It loads, and that part has no effect.
  kUnknown,  ///< Not found in its sources.
};

struct EngineFact {
  EngineFeature feature;
  EngineBehavior behavior;
  /// The file of the engine's sources that says so, or where the fact was measured.
  std::string_view source;
  /// Half a sentence for messages; may be empty.
  std::string_view note;
};

/// What one engine does with adapters, as of one version of its sources.
struct Engine {
  /// As given to --for: "vllm".
  std::string_view id;
  std::string_view title;
  /// Revision of the sources, and when they were read.
  std::string_view version;
  std::string_view date;
  /// The largest rank it takes as it is started by default; 0 where it has no limit or none is
  /// known, which `rank_note` tells apart.
  std::uint32_t rank_limit;
  std::string_view rank_source;
  std::string_view rank_note;
  std::span<const EngineFact> facts;
};

std::span<const Engine> all_engines() noexcept;

/// The engine of that id, or nullptr.
const Engine* find_engine(std::string_view id) noexcept;

/// What it does with the feature; kUnknown where the table has no entry.
EngineFact engine_fact(const Engine& engine, EngineFeature feature) noexcept;

/// The feature in a config's words: "use_rslora", "a type other than LORA".
std::string_view feature_name(EngineFeature feature) noexcept;

}  // namespace ferrule::checks
