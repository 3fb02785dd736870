// SPDX-License-Identifier: Apache-2.0
#include "check/check_engines.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "check/adapter_match.hpp"
#include "ferrule/text.hpp"

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

bool changes_base(const AdapterConfig& config) {
  const auto init = config.text("init_lora_weights").value_or("");
  return init.starts_with("pissa") || init == "olora" || init == "corda" || init == "loftq" ||
         init == "lora_ga";
}

class Judge {
 public:
  Judge(const Adapter& adapter, const Engine& engine)
      : adapter_(adapter), config_(adapter.config()), engine_(engine) {}

  std::vector<Finding> run() {
    judge(EngineFeature::kPeftDirectory,
          engine_fact(engine_, EngineFeature::kPeftDirectory).behavior != EngineBehavior::kUnknown);
    if (config_.peft_type() != "LORA") {
      judge(EngineFeature::kOtherMethod, true);
      return std::move(out_);
    }
    judge(EngineFeature::kDora, config_.use_dora());
    judge(EngineFeature::kLoraBias, config_.flag("lora_bias"));
    judge(EngineFeature::kBias, config_.bias() != "none");
    judge(EngineFeature::kModulesToSave, has_role(adapter_, "modules_to_save"));
    judge(EngineFeature::kEmbedding, has_role(adapter_, "lora_embedding_A"));
    judge(EngineFeature::kTrainableTokens, config_.has_trainable_token_indices());
    judge(EngineFeature::kTargetParameters, !config_.target_parameters().empty());
    judge(EngineFeature::kMutatedBase, changes_base(config_));
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

  std::string who() const {
    return std::string(engine_.title) + " (" + std::string(engine_.version) + ", " +
           std::string(engine_.date) + ")";
  }

  void add(Severity severity, std::string_view code, std::string_view module, std::string message,
           std::string_view source) {
    auto finding = about(severity, code, module, std::move(message));
    if (!source.empty()) finding.advice = "as of " + std::string(source);
    out_.push_back(std::move(finding));
  }

  void judge(EngineFeature feature, bool present) {
    if (!present) return;
    const auto fact = engine_fact(engine_, feature);
    const auto name = std::string(feature_name(feature));
    const auto note = fact.note.empty() ? std::string() : ": " + std::string(fact.note);
    switch (fact.behavior) {
      case EngineBehavior::kWorks:
        if (!fact.note.empty()) {
          add(Severity::kNote, "BS-23", {}, who() + " handles " + name + note, fact.source);
        }
        return;
      case EngineBehavior::kRefused:
        add(Severity::kError, "BS-20", {}, who() + " refuses " + name + note, fact.source);
        return;
      case EngineBehavior::kIgnored:
        add(Severity::kError, "BS-21", {}, who() + " silently ignores " + name + note, fact.source);
        return;
      case EngineBehavior::kUnknown:
        add(Severity::kWarning, "BS-23", {},
            "what " + who() + " does with " + name + " is not known" + note, fact.source);
        return;
    }
  }

  void judge_rank() {
    double highest = 0;
    for (const auto& module : adapter_.modules())
      highest = std::max(highest, module.resolved().rank.value_or(0));
    if (engine_.rank_limit == 0 || highest <= engine_.rank_limit) return;
    add(Severity::kWarning, "BS-20", {},
        who() + " takes ranks up to " + std::to_string(engine_.rank_limit) +
            " as it is started by default (" + std::string(engine_.rank_note) +
            "), this adapter has rank " + number_text(highest),
        engine_.rank_source);
  }

  bool works(EngineFeature feature) const {
    return engine_fact(engine_, feature).behavior == EngineBehavior::kWorks;
  }
  bool ignores(EngineFeature feature) const {
    return engine_fact(engine_, feature).behavior == EngineBehavior::kIgnored;
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
    return config_.use_rslora() && !ignores(EngineFeature::kRsLora) ? alpha / std::sqrt(rank)
                                                                    : alpha / rank;
  }

  void judge_strength() {
    const bool patterns = !config_.rank_pattern().empty() || !config_.alpha_pattern().empty();
    if (config_.use_rslora() && !ignores(EngineFeature::kRsLora))
      judge(EngineFeature::kRsLora, true);
    if (!config_.rank_pattern().empty() && !ignores(EngineFeature::kRankPattern))
      judge(EngineFeature::kRankPattern, true);
    if (!config_.alpha_pattern().empty() && !ignores(EngineFeature::kAlphaPattern))
      judge(EngineFeature::kAlphaPattern, true);
    std::size_t wrong = 0;
    const AdapterModule* first = nullptr;
    double factor = 1;
    for (const auto& module : adapter_.modules()) {
      const auto& here = module.resolved();
      if (module.path().empty() || !here.strength || *here.strength == 0 ||
          !module.tensor("lora_A"))
        continue;
      const auto there = strength_there(here);
      if (!there || std::abs(*there / *here.strength - 1) < 1e-6) continue;
      if (wrong++ == 0) {
        first = &module;
        factor = *there / *here.strength;
      }
    }
    if (first == nullptr) {
      if (patterns && ignores(EngineFeature::kRankPattern)) {
        add(Severity::kNote, "BS-22", {},
            who() + " ignores the patterns, and they change no strength here", {});
      }
      return;
    }
    const auto cause = ignores(EngineFeature::kPlainStrength) ? EngineFeature::kPlainStrength
                       : config_.use_rslora() && ignores(EngineFeature::kRsLora)
                           ? EngineFeature::kRsLora
                       : ignores(EngineFeature::kRankPattern) && !config_.rank_pattern().empty()
                           ? EngineFeature::kRankPattern
                           : EngineFeature::kAlphaPattern;
    const auto fact = engine_fact(engine_, cause);
    add(Severity::kError, "BS-22", first->path(),
        who() + " ignores " + std::string(feature_name(cause)) + ": " + quote(first->path()) +
            " gets " + number_text(factor) + " times its strength of " +
            number_text(*first->resolved().strength) +
            (wrong > 1 ? ", and " + std::to_string(wrong - 1) + " more modules are wrong" : ""),
        fact.source);
    out_.back().advice += "; ferrule normalize --for " + std::string(engine_.id) + " folds it in";
  }

  const Adapter& adapter_;
  const AdapterConfig& config_;
  const Engine& engine_;
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> judge_for_engine(const Adapter& adapter, const Engine& engine) {
  return Judge(adapter, engine).run();
}

}  // namespace ferrule::checks
