// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "check/engines.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/finding.hpp"
#include "model/base_model.hpp"

namespace ferrule::checks {

/// What the engine would make of the adapter: BS-20 (refused), BS-21 (ignored), BS-22 (another
/// strength), BS-23 (not known). The base, if it is given, tells which tokens are new.
std::vector<Finding> judge_for_engine(const Adapter& adapter, const EngineAt& engine,
                                      const model::BaseIndex* base);

/// "vllm/lora/peft_helper.py, 0.33 (2026-11-02)".
std::string source_of(const EngineFact& fact);

/// Tokens of added_tokens.json whose number is not below `vocabulary`; all of them if it is not
/// known. 0 if there is no such file, or it cannot be read.
std::size_t count_added_tokens(const std::filesystem::path& directory,
                               std::optional<std::int64_t> vocabulary);

/// Tensors of whole embeddings that no reader of plain LoRA skips: PEFT saves them next to LoRA on
/// the output layer.
bool has_saved_embedding(const Adapter& adapter);

/// kMutatedBase or kLoraGa if the adapter was trained on a base that its initialization changed.
std::optional<EngineFeature> mutating_init(const AdapterConfig& config);

/// kSavedHead if the only trained copy is that of a classifier, kModulesToSave if there are others,
/// nullopt if there is none.
std::optional<EngineFeature> saved_modules(const Adapter& adapter);

}  // namespace ferrule::checks
