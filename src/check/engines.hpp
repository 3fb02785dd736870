// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"

namespace ferrule::checks {

/// What an adapter may have that not every engine that serves adapters handles.
enum class EngineFeature : std::uint8_t {
  kOtherMethod,       ///< A type other than LORA.
  kRsLora,            ///< use_rslora: alpha / sqrt(r).
  kRankPattern,       ///< Ranks that differ between modules.
  kAlphaPattern,      ///< Alphas that differ between modules.
  kZeroAlpha,         ///< lora_alpha 0: a strength of 0.
  kDora,              ///< Magnitude vectors.
  kLoraBias,          ///< lora_bias: a bias on B.
  kBias,              ///< bias "all" or "lora_only": trained biases of the base.
  kModulesToSave,     ///< Trained copies of modules.
  kSavedHead,         ///< One trained copy, of a classifier; else as kModulesToSave.
  kSavedEmbedding,    ///< A whole embedding that PEFT saves next to LoRA on the output layer.
  kEmbedding,         ///< LoRA on an embedding.
  kTrainableTokens,   ///< Rows of an embedding.
  kAddedTokens,       ///< added_tokens.json has tokens that the base does not have.
  kTargetParameters,  ///< LoRA on parameters: fused experts.
  kMutatedBase,       ///< PiSSA, OLoRA, CorDA ...: made for a base that was changed.
  kLoraGa,            ///< LoRA-GA, which changes the base too; else as kMutatedBase.
  kActivated,         ///< alora_invocation_tokens.
  kReplication,       ///< layer_replication.
  kBlockDiagonal,     ///< use_bdlora.
  kQaLora,            ///< use_qalora.
  kTorchFile,         ///< adapter_model.bin in place of safetensors.
  kWrapperPrefix,     ///< Paths below the wrapper of a vision-language model.
  kPlainStrength,     ///< The plain factor alpha / r, if it is not 1.
  kPeftDirectory,     ///< A directory as PEFT writes it.
  kOtherTensors,      ///< Tensors besides lora_A and lora_B.
};

/// What the engine does with it.
enum class EngineBehavior : std::uint8_t {
  kWorks,
  kRefused,  ///< It says so and stops.
  kIgnored,  ///< It loads, and that part has no effect.
  kUnknown,  ///< Not found in its sources.
};

/// The numbers of a version: "v0.5.23" is {0, 5, 23}. Missing ones count as 0.
using EngineVersion = std::vector<std::uint32_t>;

/// nullopt if the text is not numbers with dots between them, after at most one letter.
std::optional<EngineVersion> parse_version(std::string_view text);

struct EngineFact {
  EngineFeature feature = EngineFeature::kOtherMethod;
  EngineBehavior behavior = EngineBehavior::kUnknown;
  /// The versions that do so: from `since` to before `until`; an empty one does not limit.
  EngineVersion since = {};
  EngineVersion until = {};
  /// The version or revision of the sources that were read, or measured, and their date.
  std::string read = {};
  /// The file of the engine's sources that says so.
  std::string source = {};
  /// Half a sentence for messages; may be empty.
  std::string note = {};
};

/// What one engine does with adapters.
struct Engine {
  /// As given to --engine: "vllm".
  std::string id = {};
  std::string title = {};
  /// The newest version, or the revision, that the facts speak of, and its date.
  std::string version = {};
  std::string date = {};
  /// The largest rank it takes as it is started by default; 0 if it has no limit or none is
  /// known, which `rank_note` tells apart.
  std::uint64_t rank_limit = 0;
  std::string rank_source = {};
  std::string rank_note = {};
  std::vector<EngineFact> facts = {};
};

/// An engine at a version.
class EngineAt {
 public:
  /// `version` is that of the user, or "" for the newest that the table describes.
  EngineAt(const Engine& engine, std::string version);

  const Engine& engine() const noexcept { return *engine_; }
  /// "vLLM 0.33 (2026-11-02)"; without the date if it is not the newest version.
  std::string title() const;
  /// True if a version was asked for that is newer than what the table describes.
  bool is_beyond_table() const;
  /// What it does with the feature; kUnknown if the table has no entry.
  EngineFact fact(EngineFeature feature) const;

 private:
  const EngineFact* find(EngineFeature feature) const noexcept;

  const Engine* engine_;
  std::string asked_;
  EngineVersion version_;
};

/// Engines by id, as a table's file has them (docs/check.md).
class Engines {
 public:
  /// Fails with kCorrupt, BS-28: what is wrong, and where.
  static Result<Engines> parse(std::string_view text);
  /// The table of this release.
  static const Engines& built_in();

  const std::vector<Engine>& all() const noexcept { return engines_; }
  /// "vllm" or "vllm@0.31". Fails with kInvalidArgument.
  Result<EngineAt> find(std::string_view word) const;

 private:
  std::vector<Engine> engines_;
};

/// The feature in a config's words: "use_rslora", "a type other than LORA".
std::string_view feature_name(EngineFeature feature) noexcept;

}  // namespace ferrule::checks
