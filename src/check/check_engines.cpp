// SPDX-License-Identifier: Apache-2.0
#include "check/check_engines.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "check/adapter_match.hpp"
#include "ferrule/json.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"

namespace ferrule::checks {
namespace {

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

bool has_role(const Adapter& adapter, std::string_view role) {
  return std::any_of(adapter.tensors().begin(), adapter.tensors().end(),
                     [&](const AdapterTensor& tensor) { return tensor.role == role; });
}

bool is_set(const AdapterConfig& config, std::string_view field) {
  const auto* value = config.find(field);
  if (value == nullptr || value->is_null()) return false;
  if (const auto* list = value->if_array()) return !list->empty();
  if (const auto* object = value->if_object()) return !object->empty();
  return true;
}

/// A tensor of the method itself is all that a reader of plain LoRA knows.
bool is_plain_role(std::string_view role) { return role == "lora_A" || role == "lora_B"; }

class Judge {
 public:
  Judge(const Adapter& adapter, const EngineAt& engine, const model::BaseIndex* base)
      : adapter_(adapter), config_(adapter.config()), engine_(engine), base_(base) {}

  std::vector<Finding> run() {
    note_newer();
    judge(EngineFeature::kPeftDirectory, knows(EngineFeature::kPeftDirectory));
    if (config_.peft_type() != "LORA") {
      judge(EngineFeature::kOtherMethod, true);
      return std::move(out_);
    }
    judge(EngineFeature::kDora, config_.use_dora());
    judge(EngineFeature::kLoraBias, config_.flag("lora_bias"));
    judge(EngineFeature::kBias, config_.bias() != "none");
    if (const auto saved = saved_modules(adapter_)) judge(*saved, true);
    judge(EngineFeature::kSavedEmbedding, has_saved_embedding(adapter_));
    judge(EngineFeature::kEmbedding, has_role(adapter_, "lora_embedding_A"));
    judge(EngineFeature::kTrainableTokens, config_.has_trainable_token_indices());
    judge(EngineFeature::kAddedTokens, knows(EngineFeature::kAddedTokens) && adds_tokens());
    judge(EngineFeature::kTargetParameters, !config_.target_parameters().empty());
    if (const auto init = mutating_init(config_)) judge(*init, true);
    judge(EngineFeature::kBlockDiagonal, is_set(config_, "use_bdlora"));
    judge(EngineFeature::kQaLora, config_.flag("use_qalora"));
    judge(EngineFeature::kOtherTensors, knows(EngineFeature::kOtherTensors) && has_other_tensors());
    judge(EngineFeature::kActivated, is_set(config_, "alora_invocation_tokens"));
    judge(EngineFeature::kReplication, is_set(config_, "layer_replication"));
    judge(EngineFeature::kTorchFile, adapter_.weights_file().extension() == ".bin");
    judge(EngineFeature::kWrapperPrefix, below_wrapper());
    judge_rank();
    judge_strength();
    return std::move(out_);
  }

 private:
  bool below_wrapper() const {
    return std::any_of(adapter_.modules().begin(), adapter_.modules().end(),
                       [](const AdapterModule& module) {
                         return module.path().find("language_model.") != std::string_view::npos ||
                                module.path().find("visual.") != std::string_view::npos;
                       });
  }

  std::string who() const { return engine_.title(); }

  bool knows(EngineFeature feature) const {
    return engine_.fact(feature).behavior != EngineBehavior::kUnknown;
  }

  bool adds_tokens() const {
    const auto vocabulary = base_ == nullptr ? std::nullopt : base_->config_integer("vocab_size");
    return count_added_tokens(adapter_.directory(), vocabulary) > 0;
  }

  bool has_other_tensors() const {
    return std::any_of(adapter_.tensors().begin(), adapter_.tensors().end(),
                       [](const AdapterTensor& tensor) { return !is_plain_role(tensor.role); });
  }

  void note_newer() {
    if (!engine_.is_beyond_table()) return;
    const auto& engine = engine_.engine();
    add(Severity::kNote, "BS-23", {},
        "the table describes " + engine.title + " up to " + engine.version + " (" + engine.date +
            "); a newer release is treated as that one",
        nullptr);
  }

  /// `from` is what the advice quotes; nullptr for a sentence of our own.
  void add(Severity severity, std::string_view code, std::string_view module, std::string message,
           const EngineFact* from) {
    auto finding = about(severity, code, module, std::move(message));
    if (from != nullptr && !from->source.empty()) finding.advice = "as of " + source_of(*from);
    out_.push_back(std::move(finding));
  }

  void judge(EngineFeature feature, bool present) {
    if (!present) return;
    const auto fact = engine_.fact(feature);
    const auto name = std::string(feature_name(feature));
    const auto note = fact.note.empty() ? std::string() : ": " + fact.note;
    switch (fact.behavior) {
      case EngineBehavior::kWorks:
        if (!fact.note.empty()) {
          add(Severity::kNote, "BS-23", {}, who() + " handles " + name + note, &fact);
        }
        return;
      case EngineBehavior::kRefused:
        add(Severity::kError, "BS-20", {}, who() + " refuses " + name + note, &fact);
        return;
      case EngineBehavior::kIgnored:
        add(Severity::kError, "BS-21", {}, who() + " silently ignores " + name + note, &fact);
        return;
      case EngineBehavior::kUnknown:
        add(Severity::kWarning, "BS-23", {},
            "what " + who() + " does with " + name + " is not known" + note, &fact);
        return;
    }
  }

  void judge_rank() {
    double highest = 0;
    for (const auto& module : adapter_.modules())
      highest = std::max(highest, module.resolved().rank.value_or(0));
    const auto& engine = engine_.engine();
    const auto limit = static_cast<double>(engine.rank_limit);
    if (engine.rank_limit == 0 || highest <= limit) return;
    const EngineFact from{.read = engine.version, .source = engine.rank_source};
    add(Severity::kWarning, "BS-20", {},
        who() + " takes ranks up to " + number_text(limit) + " as it is started by default (" +
            engine.rank_note + "), this adapter has rank " + number_text(highest),
        &from);
  }

  bool works(EngineFeature feature) const {
    return engine_.fact(feature).behavior == EngineBehavior::kWorks;
  }
  bool ignores(EngineFeature feature) const {
    return engine_.fact(feature).behavior == EngineBehavior::kIgnored;
  }

  /// The factor that the engine multiplies the module's update with, or nullopt where that is not
  /// known.
  std::optional<double> strength_there(const ModuleStrength& here) const {
    if (ignores(EngineFeature::kPlainStrength)) return 1.0;
    if (!here.rank || !here.alpha) return std::nullopt;
    auto rank = *here.rank;
    auto alpha = *here.alpha;
    if (ignores(EngineFeature::kRankPattern))
      rank = static_cast<double>(config_.rank().value_or(0));
    if (ignores(EngineFeature::kAlphaPattern)) alpha = config_.alpha().value_or(alpha);
    if (rank <= 0) return std::nullopt;
    if (alpha == 0 && ignores(EngineFeature::kZeroAlpha)) return 1.0;
    return config_.use_rslora() && !ignores(EngineFeature::kRsLora) ? alpha / std::sqrt(rank)
                                                                    : alpha / rank;
  }

  /// Ranks that differ from the config's r.
  bool ranks_differ() const {
    const auto r = config_.rank();
    return std::any_of(adapter_.modules().begin(), adapter_.modules().end(),
                       [&](const AdapterModule& module) {
                         const auto rank = module.resolved().rank;
                         return r && rank && *rank != static_cast<double>(*r);
                       });
  }

  void judge_patterns() {
    if (config_.use_rslora() && !ignores(EngineFeature::kRsLora))
      judge(EngineFeature::kRsLora, true);
    if (!config_.rank_pattern().empty() && !ignores(EngineFeature::kRankPattern))
      judge(EngineFeature::kRankPattern, ranks_differ());
    if (!config_.alpha_pattern().empty() && !ignores(EngineFeature::kAlphaPattern))
      judge(EngineFeature::kAlphaPattern, true);
  }

  /// Why the strength is another there.
  EngineFeature cause_of(double strength) const {
    if (ignores(EngineFeature::kPlainStrength)) return EngineFeature::kPlainStrength;
    if (strength == 0 && ignores(EngineFeature::kZeroAlpha) && config_.alpha().value_or(1) == 0)
      return EngineFeature::kZeroAlpha;
    if (config_.use_rslora() && ignores(EngineFeature::kRsLora)) return EngineFeature::kRsLora;
    if (ignores(EngineFeature::kRankPattern) && !config_.rank_pattern().empty())
      return EngineFeature::kRankPattern;
    return EngineFeature::kAlphaPattern;
  }

  void judge_strength() {
    judge_patterns();
    std::size_t wrong = 0;
    const AdapterModule* first = nullptr;
    double there_first = 0;
    for (const auto& module : adapter_.modules()) {
      const auto& here = module.resolved();
      if (module.path().empty() || !here.strength || !module.tensor("lora_A")) continue;
      const auto there = strength_there(here);
      const bool same =
          !there ||
          (*here.strength == 0 ? *there == 0 : std::abs(*there / *here.strength - 1) < 1e-6);
      if (same) continue;
      if (wrong++ > 0) continue;
      first = &module;
      there_first = *there;
    }
    if (first != nullptr) return report_strength(*first, there_first, wrong);
    const bool patterns = !config_.rank_pattern().empty() || !config_.alpha_pattern().empty();
    if (patterns && ignores(EngineFeature::kRankPattern)) {
      add(Severity::kNote, "BS-22", {},
          who() + " ignores the patterns, and they change no strength here", nullptr);
    }
  }

  void report_strength(const AdapterModule& module, double there, std::size_t wrong) {
    const auto here = *module.resolved().strength;
    const auto cause = cause_of(here);
    const auto fact = engine_.fact(cause);
    const auto gets = here == 0 ? " gets strength " + number_text(there) + ", with PEFT it is 0"
                                : " gets " + number_text(there / here) + " times its strength of " +
                                      number_text(here);
    add(Severity::kError, "BS-22", module.path(),
        who() + " ignores " + std::string(feature_name(cause)) + ": " + quote(module.path()) +
            gets +
            (wrong > 1 ? ", and " + std::to_string(wrong - 1) + " more modules are wrong" : ""),
        &fact);
    if (here != 0) {
      out_.back().advice += "; ferrule normalize --for " + engine_.engine().id + " folds it in";
    }
  }

  const Adapter& adapter_;
  const AdapterConfig& config_;
  const EngineAt& engine_;
  const model::BaseIndex* base_;
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> judge_for_engine(const Adapter& adapter, const EngineAt& engine,
                                      const model::BaseIndex* base) {
  return Judge(adapter, engine, base).run();
}

std::string source_of(const EngineFact& fact) {
  return fact.source + (fact.read.empty() ? "" : ", " + fact.read);
}

std::size_t count_added_tokens(const std::filesystem::path& directory,
                               std::optional<std::int64_t> vocabulary) {
  const auto text = read_text_file(directory / "added_tokens.json");
  if (!text) return 0;
  const auto json = Json::parse(*text);
  const auto* tokens = json ? json->if_object() : nullptr;
  if (tokens == nullptr) return 0;
  return static_cast<std::size_t>(
      std::count_if(tokens->begin(), tokens->end(), [&](const Json::Member& token) {
        const auto* number = token.second.if_int64();
        return !vocabulary || (number != nullptr && *number >= *vocabulary);
      }));
}

bool has_saved_embedding(const Adapter& adapter) {
  return std::any_of(adapter.tensors().begin(), adapter.tensors().end(),
                     [](const AdapterTensor& tensor) {
                       return tensor.role == "embedding" &&
                              tensor.key.find(".base_layer.") == std::string_view::npos;
                     });
}

std::optional<EngineFeature> mutating_init(const AdapterConfig& config) {
  const auto init = config.text("init_lora_weights").value_or("");
  if (init == "lora_ga") return EngineFeature::kLoraGa;
  const bool changes_base =
      init.starts_with("pissa") || init == "olora" || init == "corda" || init == "loftq";
  return changes_base ? std::optional(EngineFeature::kMutatedBase) : std::nullopt;
}

std::optional<EngineFeature> saved_modules(const Adapter& adapter) {
  std::set<std::string_view> modules;
  for (const auto& tensor : adapter.tensors()) {
    if (tensor.role != "modules_to_save") continue;
    modules.insert(std::string_view(tensor.key).substr(0, tensor.key.rfind('.')));
  }
  if (modules.empty()) return std::nullopt;
  const auto module = *modules.begin();
  const auto name = module.substr(module.rfind('.') + 1);
  const bool is_head = modules.size() == 1 && (name == "score" || name == "classifier");
  return is_head ? EngineFeature::kSavedHead : EngineFeature::kModulesToSave;
}

}  // namespace ferrule::checks
