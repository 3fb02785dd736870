// SPDX-License-Identifier: Apache-2.0
#include "edit/normal_engine.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "check/engines.hpp"
#include "ferrule/text.hpp"

namespace ferrule::edit {
namespace {

bool has_role(const Adapter& adapter, std::string_view role) {
  return std::any_of(adapter.tensors().begin(), adapter.tensors().end(),
                     [&](const AdapterTensor& tensor) { return tensor.role == role; });
}

/// What of an adapter in normal form an engine may still stumble over. Factors, patterns, rsLoRA
/// and torch files are gone by then.
std::vector<checks::EngineFeature> features_left(const Adapter& adapter) {
  std::vector<checks::EngineFeature> features = {checks::EngineFeature::kPeftDirectory};
  if (has_role(adapter, "modules_to_save"))
    features.push_back(checks::EngineFeature::kModulesToSave);
  if (has_role(adapter, "lora_embedding_A")) features.push_back(checks::EngineFeature::kEmbedding);
  if (has_role(adapter, "trainable_tokens"))
    features.push_back(checks::EngineFeature::kTrainableTokens);
  return features;
}

Result<const checks::Engine*> engine_of(std::string_view id) {
  if (const auto* engine = checks::find_engine(id)) return engine;
  std::vector<std::string_view> ids;
  for (const auto& engine : checks::all_engines()) ids.push_back(engine.id);
  const auto meant = suggest(id, ids);
  return base::invalid("NM-10", "no engine is called " + quote(id) +
                                    (meant ? "; did you mean " + quote(*meant) + "?" : ""));
}

Finding about(Severity severity, std::string message, std::string_view source) {
  return {.severity = severity,
          .rule = "NM-10",
          .path = {},
          .key = {},
          .message = std::move(message),
          .advice = source.empty() ? std::string() : "as of " + std::string(source)};
}

std::string title_of(const checks::Engine& engine) {
  return std::string(engine.title) + " (" + std::string(engine.version) + ", " +
         std::string(engine.date) + ")";
}

}  // namespace

Result<std::vector<Finding>> fit_engine(const Adapter& adapter, std::string_view engine_id,
                                        std::uint64_t rank) {
  FERRULE_TRY(const auto* const engine, engine_of(engine_id));
  const auto who = title_of(*engine);
  std::vector<Finding> findings;
  for (const auto feature : features_left(adapter)) {
    const auto fact = checks::engine_fact(*engine, feature);
    const auto name = std::string(checks::feature_name(feature));
    const auto note = fact.note.empty() ? std::string() : ": " + std::string(fact.note);
    if (fact.behavior == checks::EngineBehavior::kRefused ||
        fact.behavior == checks::EngineBehavior::kIgnored) {
      const bool refused = fact.behavior == checks::EngineBehavior::kRefused;
      return base::at(
          base::unsupported("NM-10", who + (refused ? " refuses " : " silently ignores ") + name +
                                         note + " (as of " + std::string(fact.source) + ")"),
          adapter.directory());
    }
    // A PEFT directory without an entry is what every engine here but a few reads.
    if (fact.behavior == checks::EngineBehavior::kUnknown &&
        feature != checks::EngineFeature::kPeftDirectory) {
      findings.push_back(about(Severity::kWarning,
                               "what " + who + " does with " + name + " is not known" + note,
                               fact.source));
    }
  }
  if (engine->rank_limit != 0 && rank > engine->rank_limit) {
    findings.push_back(about(Severity::kWarning,
                             who + " takes ranks up to " + std::to_string(engine->rank_limit) +
                                 " as it is started by default (" + std::string(engine->rank_note) +
                                 "), this adapter has rank " + std::to_string(rank),
                             engine->rank_source));
  }
  return findings;
}

}  // namespace ferrule::edit
