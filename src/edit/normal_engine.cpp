// SPDX-License-Identifier: Apache-2.0
#include "edit/normal_engine.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "check/check_engines.hpp"
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
  if (const auto saved = checks::saved_modules(adapter)) features.push_back(*saved);
  if (checks::has_saved_embedding(adapter))
    features.push_back(checks::EngineFeature::kSavedEmbedding);
  if (const auto init = checks::mutating_init(adapter.config())) features.push_back(*init);
  if (has_role(adapter, "lora_embedding_A")) features.push_back(checks::EngineFeature::kEmbedding);
  if (has_role(adapter, "trainable_tokens"))
    features.push_back(checks::EngineFeature::kTrainableTokens);
  return features;
}

Finding about(Severity severity, std::string message, std::string_view source) {
  return {.severity = severity,
          .rule = "NM-10",
          .path = {},
          .key = {},
          .message = std::move(message),
          .advice = source.empty() ? std::string() : "as of " + std::string(source)};
}

}  // namespace

Result<std::vector<Finding>> fit_engine(const Adapter& adapter, const checks::EngineAt& engine,
                                        std::uint64_t rank) {
  const auto who = engine.title();
  std::vector<Finding> findings;
  for (const auto feature : features_left(adapter)) {
    const auto fact = engine.fact(feature);
    const auto name = std::string(checks::feature_name(feature));
    const auto note = fact.note.empty() ? std::string() : ": " + fact.note;
    const bool refused = fact.behavior == checks::EngineBehavior::kRefused;
    const bool of_init =
        feature == checks::EngineFeature::kMutatedBase || feature == checks::EngineFeature::kLoraGa;
    // How the factors were initialized does not concern an engine that does not look at it.
    if (refused || (fact.behavior == checks::EngineBehavior::kIgnored && !of_init)) {
      return base::at(
          base::unsupported("NM-10", who + (refused ? " refuses " : " silently ignores ") + name +
                                         note + " (as of " + checks::source_of(fact) + ")"),
          adapter.directory());
    }
    // A PEFT directory without an entry is what every engine here but a few reads.
    if (fact.behavior == checks::EngineBehavior::kUnknown && !of_init &&
        feature != checks::EngineFeature::kPeftDirectory) {
      findings.push_back(about(Severity::kWarning,
                               "what " + who + " does with " + name + " is not known" + note,
                               checks::source_of(fact)));
    }
  }
  const auto& table = engine.engine();
  if (table.rank_limit != 0 && rank > table.rank_limit) {
    findings.push_back(about(Severity::kWarning,
                             who + " takes ranks up to " + std::to_string(table.rank_limit) +
                                 " as it is started by default (" + table.rank_note +
                                 "), this adapter has rank " + std::to_string(rank),
                             table.rank_source));
  }
  return findings;
}

}  // namespace ferrule::edit
