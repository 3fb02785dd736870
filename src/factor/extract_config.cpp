// SPDX-License-Identifier: Apache-2.0
#include "factor/extract_config.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "base/try.hpp"
#include "model/base_model.hpp"

namespace ferrule::factor {
namespace {

struct Task {
  std::string_view head;
  std::string_view task;
};

// Not those for which PEFT adds the head to modules_to_save by itself: it then wants the whole head
// in the file, of which there is an update, or nothing.
constexpr Task kTasks[] = {{"ForCausalLM", "CAUSAL_LM"},
                           {"LMHeadModel", "CAUSAL_LM"},
                           {"ForConditionalGeneration", "SEQ_2_SEQ_LM"}};

std::string_view last_component(std::string_view path) { return path.substr(path.rfind('.') + 1); }

bool is_number(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Json as_list(const std::set<std::string>& names) { return Json::Array(names.begin(), names.end()); }

}  // namespace

std::string module_of(const TensorPair& pair) {
  const auto dot = pair.live.rfind('.');
  return dot == std::string::npos ? std::string() : pair.live.substr(0, dot);
}

Keeping keeping_of(const ExtractPlan& plan, const TensorPair& other) {
  const auto module = module_of(other);
  // A tensor of no module, or one that transformers takes apart: no key of PEFT leads there.
  if (module.empty() || other.live != other.name) return Keeping::kNot;
  const bool adapted =
      std::any_of(plan.layers.begin(), plan.layers.end(),
                  [&](const ChangedLayer& layer) { return layer.layout.path == module; });
  if (!adapted) return Keeping::kModule;
  return other.live.ends_with(".bias") ? Keeping::kBias : Keeping::kNot;
}

Json target_names(std::span<const ModuleRank> modules, std::span<const std::string> others) {
  std::set<std::string> paths, names;
  for (const auto& module : modules) {
    paths.insert(module.path);
    names.insert(std::string(last_component(module.path)));
  }
  const bool exact =
      std::none_of(names.begin(), names.end(), is_number) &&
      std::none_of(others.begin(), others.end(), [&](const std::string& other) {
        return !paths.contains(other) && names.contains(std::string(last_component(other)));
      });
  return as_list(exact ? names : paths);
}

Result<AdapterConfig> extracted_config(const ExtractPlan& plan, const BaseModel& base,
                                       const std::filesystem::path& base_path,
                                       std::span<const ModuleRank> modules, bool keeps) {
  FERRULE_TRY(auto config, AdapterConfig::make("LORA"));
  FERRULE_CHECK(config.set("base_model_name_or_path", Json(base_path.string())));
  FERRULE_CHECK(config.set("inference_mode", Json(true)));
  for (const auto& [head, task] : kTasks) {
    if (!base.class_name().ends_with(head)) continue;
    FERRULE_CHECK(config.set("task_type", Json(task)));
    break;
  }
  // Every other module that the names could mean, whatever it is.
  std::vector<std::string> others = BaseModelAccess::index(base).modules;
  std::set<std::string> saved;
  bool biases = false;
  for (const auto& other : plan.others) {
    const auto keeping = keeps ? keeping_of(plan, other) : Keeping::kNot;
    if (keeping == Keeping::kModule) saved.insert(module_of(other));
    biases = biases || keeping == Keeping::kBias;
  }
  FERRULE_CHECK(config.set("target_modules", target_names(modules, others)));
  if (plan.has_conv1d) FERRULE_CHECK(config.set("fan_in_fan_out", Json(true)));
  if (biases) FERRULE_CHECK(config.set("bias", Json("all")));
  if (!saved.empty()) FERRULE_CHECK(config.set("modules_to_save", as_list(saved)));
  FERRULE_CHECK(set_ranks(config, modules));
  return config;
}

}  // namespace ferrule::factor
