// SPDX-License-Identifier: Apache-2.0
// Reads a table of engines: engines.json, which is compiled in, or a newer one of the user's.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "check/engines.hpp"
#include "ferrule/text.hpp"

namespace ferrule::checks {
namespace {

using enum EngineFeature;
using enum EngineBehavior;

constexpr std::string_view kBuiltIn =
#include "check/engines_data.inc"
    ;

constexpr std::array<std::pair<std::string_view, EngineFeature>, 26> kFeatures = {{
    {"other_method", kOtherMethod},
    {"use_rslora", kRsLora},
    {"rank_pattern", kRankPattern},
    {"alpha_pattern", kAlphaPattern},
    {"zero_alpha", kZeroAlpha},
    {"use_dora", kDora},
    {"lora_bias", kLoraBias},
    {"bias", kBias},
    {"modules_to_save", kModulesToSave},
    {"saved_head", kSavedHead},
    {"saved_embedding", kSavedEmbedding},
    {"embedding", kEmbedding},
    {"trainable_token_indices", kTrainableTokens},
    {"added_tokens", kAddedTokens},
    {"target_parameters", kTargetParameters},
    {"mutating_init", kMutatedBase},
    {"lora_ga_init", kLoraGa},
    {"alora_invocation_tokens", kActivated},
    {"layer_replication", kReplication},
    {"use_bdlora", kBlockDiagonal},
    {"use_qalora", kQaLora},
    {"torch_file", kTorchFile},
    {"wrapper_prefix", kWrapperPrefix},
    {"strength", kPlainStrength},
    {"peft_directory", kPeftDirectory},
    {"other_tensors", kOtherTensors},
}};

constexpr std::array<std::pair<std::string_view, EngineBehavior>, 4> kBehaviors = {{
    {"works", kWorks},
    {"refused", kRefused},
    {"ignored", kIgnored},
    {"unknown", kUnknown},
}};

Error wrong(std::string message) { return base::corrupt("BS-28", std::move(message)); }

/// One object of the table; `where` names it in messages.
class Row {
 public:
  static Result<Row> of(const Json& json, std::string where,
                        std::span<const std::string_view> fields) {
    const auto* members = json.if_object();
    if (members == nullptr) {
      return wrong(where + ": expected an object, found " + std::string(json.type_name()));
    }
    for (const auto& [name, value] : *members) {
      if (std::find(fields.begin(), fields.end(), name) == fields.end())
        return wrong(where + " has an unknown field, " + quote(name));
    }
    return Row(json, std::move(where));
  }

  Result<std::string> text(std::string_view field, bool required = true) const {
    const auto* value = json_->find(field);
    if (value == nullptr && !required) return std::string();
    const auto* text = value == nullptr ? nullptr : value->if_string();
    if (text == nullptr || (required && text->empty()))
      return wrong(where_ + ": expected a text as " + quote(field));
    return *text;
  }

  Result<EngineVersion> version(std::string_view field) const {
    FERRULE_TRY(const auto given, text(field, false));
    if (given.empty()) return EngineVersion();
    if (auto numbers = parse_version(given)) return std::move(*numbers);
    return wrong(where_ + ": expected a version as " + quote(field) + ", found " + quote(given));
  }

  template <typename Words>
  auto word(std::string_view field, const Words& words) const
      -> Result<typename Words::value_type::second_type> {
    FERRULE_TRY(const auto given, text(field));
    for (const auto& [name, value] : words) {
      if (name == given) return value;
    }
    return wrong(where_ + ": unknown " + std::string(field) + ", " + quote(given));
  }

  Result<std::uint64_t> number(std::string_view field) const {
    const auto* value = json_->find(field);
    if (value == nullptr) return std::uint64_t{0};
    const auto* number = value->if_int64();
    if (number == nullptr || *number < 0)
      return wrong(where_ + ": expected a number of at least 0 as " + quote(field));
    return static_cast<std::uint64_t>(*number);
  }

  Result<const Json::Array*> list(std::string_view field) const {
    const auto* value = json_->find(field);
    const auto* list = value == nullptr ? nullptr : value->if_array();
    if (list == nullptr) return wrong(where_ + ": expected a list as " + quote(field));
    return list;
  }

 private:
  Row(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {}
  const Json* json_;
  std::string where_;
};

Result<EngineFact> read_fact(const Json& json, const std::string& where) {
  constexpr std::array<std::string_view, 7> kFields = {"feature", "behavior", "since", "until",
                                                       "read",    "source",   "note"};
  FERRULE_TRY(const auto row, Row::of(json, where, kFields));
  EngineFact fact;
  FERRULE_TRY(fact.feature, row.word("feature", kFeatures));
  FERRULE_TRY(fact.behavior, row.word("behavior", kBehaviors));
  FERRULE_TRY(fact.since, row.version("since"));
  FERRULE_TRY(fact.until, row.version("until"));
  FERRULE_TRY(fact.read, row.text("read"));
  FERRULE_TRY(fact.source, row.text("source"));
  FERRULE_TRY(fact.note, row.text("note", false));
  return fact;
}

Result<Engine> read_engine(const Json& json, const std::string& where) {
  constexpr std::array<std::string_view, 8> kFields = {
      "id", "title", "version", "date", "rank_limit", "rank_source", "rank_note", "facts"};
  FERRULE_TRY(const auto row, Row::of(json, where, kFields));
  Engine engine;
  FERRULE_TRY(engine.id, row.text("id"));
  FERRULE_TRY(engine.title, row.text("title"));
  FERRULE_TRY(engine.version, row.text("version"));
  FERRULE_TRY(engine.date, row.text("date"));
  FERRULE_TRY(engine.rank_limit, row.number("rank_limit"));
  FERRULE_TRY(engine.rank_source, row.text("rank_source", false));
  FERRULE_TRY(engine.rank_note, row.text("rank_note", false));
  FERRULE_TRY(const auto* facts, row.list("facts"));
  for (std::size_t i = 0; i < facts->size(); ++i) {
    FERRULE_TRY(auto fact, read_fact((*facts)[i],
                                     "fact " + std::to_string(i + 1) + " of " + quote(engine.id)));
    engine.facts.push_back(std::move(fact));
  }
  return engine;
}

}  // namespace

Result<Engines> Engines::parse(std::string_view text) {
  constexpr std::array<std::string_view, 2> kFields = {"format", "engines"};
  auto json = Json::parse(text);
  if (!json) return wrong("a table of engines is JSON: " + json.error().message);
  FERRULE_TRY(const auto row, Row::of(*json, "the table of engines", kFields));
  FERRULE_TRY(const auto format, row.number("format"));
  if (format != 1) {
    return wrong("expected a table of engines of format 1, found " + std::to_string(format));
  }
  FERRULE_TRY(const auto* list, row.list("engines"));
  Engines table;
  for (std::size_t i = 0; i < list->size(); ++i) {
    FERRULE_TRY(auto engine, read_engine((*list)[i], "engine " + std::to_string(i + 1)));
    const bool twice = std::any_of(table.engines_.begin(), table.engines_.end(),
                                   [&](const Engine& other) { return other.id == engine.id; });
    if (twice) return wrong("two engines are called " + quote(engine.id));
    table.engines_.push_back(std::move(engine));
  }
  return table;
}

const Engines& Engines::built_in() {
  static const Engines table = [] {
    auto read = parse(kBuiltIn);
    return read ? std::move(*read) : Engines();  // A test reads it.
  }();
  return table;
}

}  // namespace ferrule::checks
