// SPDX-License-Identifier: Apache-2.0
#include "adapter/save_plan.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/open_adapter.hpp"
#include "base/errors.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "container/container.hpp"
#include "ferrule/text.hpp"
#include "peft/dialect.hpp"
#include "peft/initial_conversion.hpp"
#include "peft/method_tensors.hpp"
#include "peft/pattern_order.hpp"
#include "peft/rank_padding.hpp"
#include "peft/selection.hpp"
#include "peft/state_layout.hpp"
#include "peft/strength.hpp"

namespace ferrule::adapter {
namespace {

/// A name becomes a folder: it must stay below the target and be what torch accepts (no dot).
Result<void> check_name(const std::string& name) {
  const bool plain = !name.empty() && name.find('.') == std::string::npos &&
                     name.find('\0') == std::string::npos && !name.starts_with('/') &&
                     !name.ends_with('/') && name.find("//") == std::string::npos;
  if (plain) return {};
  return base::invalid("KY-9", "adapter name " + quote(name) +
                                   " is empty, contains a dot, or is not a plain relative path");
}

Result<std::vector<const NamedConfig*>> choose(std::span<const NamedConfig> configs,
                                               const SaveOptions& options) {
  std::vector<const NamedConfig*> chosen;
  std::set<std::string_view> names;
  for (const auto& config : configs) {
    FERRULE_CHECK(check_name(config.name));
    if (!names.insert(config.name).second) {
      return base::invalid("KY-9", "two configs are given for adapter " + quote(config.name));
    }
    if (options.selected_adapters.empty()) chosen.push_back(&config);
  }
  for (const auto& name : options.selected_adapters) {
    const auto found = std::find_if(configs.begin(), configs.end(),
                                    [&](const NamedConfig& config) { return config.name == name; });
    if (found == configs.end()) {
      return base::invalid("KY-9", "adapter " + quote(name) + " was selected, but has no config");
    }
    if (std::find(chosen.begin(), chosen.end(), &*found) == chosen.end()) chosen.push_back(&*found);
  }
  if (chosen.empty()) {
    return base::invalid("KY-9", "there is no adapter to save");
  }
  return chosen;
}

/// What PeftModel.save_pretrained sets on the config it writes.
Result<void> complete_config(AdapterConfig& config, const ModelFacts& facts) {
  FERRULE_CHECK(config.set("inference_mode", Json(true)));
  const auto* base = config.find("base_model_name_or_path");
  const bool unnamed = base == nullptr || base->is_null();
  if (unnamed && facts.name_or_path && !facts.name_or_path->empty()) {
    FERRULE_CHECK(config.set("base_model_name_or_path", Json(*facts.name_or_path)));
  }
  if (!config.task_type() && facts.class_name && facts.module) {
    FERRULE_CHECK(
        config.set("auto_mapping", Json(Json::Object{{"base_model_class", Json(*facts.class_name)},
                                                     {"parent_library", Json(*facts.module)}})));
  }
  return {};
}

void convert_dtype(container::TensorPlan& plan, StoredDtype stored) {
  if (stored == StoredDtype::kKeep) return;
  const auto dtype = stored == StoredDtype::kF32    ? Dtype::kF32
                     : stored == StoredDtype::kBF16 ? Dtype::kBF16
                                                    : Dtype::kF16;
  for (auto& tensor : plan) {
    if (tensor.dtype == dtype) continue;
    const auto values = peft::to_floats(tensor.dtype, tensor.bytes);
    if (!values) continue;
    tensor = peft::from_floats(std::move(tensor.name), dtype, std::move(tensor.shape), *values);
  }
}

std::string dtype_text(const container::TensorPlan& plan) {
  std::set<std::string_view> names;
  for (const auto& tensor : plan) names.insert(dtype_name(tensor.dtype));
  std::string text;
  for (const auto name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

CardAdapter summarize(const AdapterPlan& plan, const Examination& examination) {
  CardAdapter card{.name = plan.name,
                   .config = nullptr,
                   .tensors = plan.tensors.size(),
                   .parameters = 0,
                   .file_bytes = 0,
                   .module_paths = {},
                   .strength_min = {},
                   .strength_max = {},
                   .dtype = dtype_text(plan.tensors)};
  for (const auto& tensor : plan.tensors) {
    card.parameters += element_count(tensor.shape).value_or(0);
    card.file_bytes += tensor.bytes.size();
  }
  for (const auto& module : examination.modules) {
    if (module.path().empty()) continue;
    card.module_paths.emplace_back(module.path());
    if (const auto& strength = module.resolved().strength) {
      card.strength_min = std::min(card.strength_min.value_or(*strength), *strength);
      card.strength_max = std::max(card.strength_max.value_or(*strength), *strength);
    }
  }
  return card;
}

/// If nothing was selected, the likely cause is a name: list those that the state has.
std::string names_present(const peft::StateLayout& layout, const AdapterConfig& config) {
  const auto* method = peft::find_method(config.peft_type());
  std::set<std::string_view> names;
  for (const auto& [key, view] : layout.entries()) {
    const auto parts = peft::split(key);
    for (std::size_t i = 1; method != nullptr && i + 1 < parts.size(); ++i) {
      const bool prompt = method->prompt_learning && parts[i - 1] == "prompt_encoder";
      if (prompt) names.insert(parts[i]);
      if (peft::find_role(*method, peft::Scope::kLayer, parts[i]) != nullptr)
        names.insert(parts[i + 1]);
    }
    if (names.size() > 8) break;
  }
  std::string text;
  for (const auto name : names) text += (text.empty() ? "" : ", ") + quote(name);
  return text;
}

/// AD-1 with what the state has instead.
Error nothing_to_save(const AdapterPlan& plan, const peft::StateLayout& layout,
                      const TensorSource& state) {
  auto message = "adapter " + quote(plan.name) + ": ";
  if (const auto found = peft::dialect_of(state); found.dialect != nullptr) {
    message += "the state dict is " + peft::describe(found) + "; ";
    return base::unsupported("AD-1", message + std::string(found.dialect->advice));
  }
  const auto names = names_present(layout, plan.config);
  message += "the state dict has no tensor of " + plan.config.peft_type();
  if (!names.empty()) {
    message += " for an adapter of that name, but for " + names +
               "; give the name with the config (--config NAME=FILE)";
  } else if (!state.tensors().empty() && container::is_hollow(state)) {
    message +=
        ", and every tensor in it is empty: one rank of a sharded model (ZeRO-3, FSDP) "
        "saved it; gather the parameters before saving";
  } else {
    message += "; was the model saved without its adapter, or merged with it?";
  }
  return base::corrupt("AD-1", std::move(message));
}

Result<void> judge(const AdapterPlan& plan, const Examination& examination) {
  const auto first =
      std::find_if(examination.findings.begin(), examination.findings.end(),
                   [](const Finding& finding) { return finding.severity == Severity::kError; });
  if (first == examination.findings.end()) return {};
  const auto errors =
      std::count_if(examination.findings.begin(), examination.findings.end(),
                    [](const Finding& finding) { return finding.severity == Severity::kError; });
  auto message = "adapter " + quote(plan.name) + ": " + first->message;
  if (errors > 1) message += " (and " + std::to_string(errors - 1) + " more errors)";
  if (!first->advice.empty()) message += "; " + first->advice;
  return base::corrupt(first->rule, std::move(message));
}

/// Whether the state shows a module whose path ends in `name`.
bool shows_module(const peft::StateLayout& layout, std::string_view name) {
  const auto& keys = layout.entries();
  return std::any_of(keys.begin(), keys.end(), [&](const auto& entry) {
    const std::string_view key = entry.first;
    for (auto dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1)) {
      if (key.substr(0, dot).ends_with(name)) return true;
    }
    return false;
  });
}

/// If the state shows that the base has a module of `modules_to_save`, PEFT wrapped it, and will
/// not load an adapter without its tensors: AD-13 is then an error.
void insist_on_present_modules(const peft::StateLayout& layout, std::vector<Finding>& findings) {
  for (auto& finding : findings) {
    if (finding.rule == "AD-13" && shows_module(layout, finding.key)) {
      finding.severity = Severity::kError;
    }
  }
}

Result<peft::Selection> select(const peft::SelectionContext& context, const NamedConfig& chosen) {
  // A saved adapter is one adapter: with several configs nothing says whose it is.
  if (context.configs.size() == 1) {
    if (auto saved = peft::select_saved(context, chosen)) return *std::move(saved);
  }
  return peft::select_adapter(context, chosen);
}

/// Ranks and strengths that come back when the files are read again.
Result<void> settle_ranks(peft::Selection& selection, const std::string& name,
                          const ModelFacts& facts) {
  const auto cut = peft::cut_rank_padding(selection.config, selection.tensors);
  // An expression that is wrong, or that cannot be run here, has its own rule.
  if (!cut) return {};
  if (*cut != 0) {
    selection.findings.push_back(
        {.severity = Severity::kNote,
         .rule = "KY-13",
         .path = {},
         .key = {},
         .message = "adapter " + quote(name) + ": cut the zeros that pad the factors of " +
                    std::to_string(*cut) + " modules past their rank (for hotswapping)",
         .advice = {}});
  }
  static const peft::LiveScalings kUnknown;
  const auto live = facts.scalings.find(name);
  auto found = peft::settle_patterns(selection.config, selection.tensors,
                                     live == facts.scalings.end() ? kUnknown : live->second);
  if (!found) return {};
  std::move(found->begin(), found->end(), std::back_inserter(selection.findings));
  return {};
}

Result<AdapterPlan> plan_adapter(const peft::SelectionContext& context, const NamedConfig& chosen,
                                 const SaveOptions& options, const TensorSource& state,
                                 SavePlan& plan) {
  FERRULE_TRY(auto selection, select(context, chosen));
  if (options.initial) {
    FERRULE_TRY(const auto initial, open_adapter_files(*options.initial, {}));
    FERRULE_CHECK(peft::convert_from_initial(selection, *initial.config, *initial.weights,
                                             options.trust_initial));
  }
  FERRULE_CHECK(settle_ranks(selection, chosen.name, options.facts));
  convert_dtype(selection.tensors, options.dtype);
  FERRULE_CHECK(complete_config(selection.config, options.facts));
  AdapterPlan ready{.name = chosen.name,
                    .folder = chosen.name == "default" ? "" : chosen.name,
                    .tensors = std::move(selection.tensors),
                    .config = std::move(selection.config),
                    .card = {},
                    .examination = {}};
  std::vector<NamedTensor> views;
  views.reserve(ready.tensors.size());
  for (const auto& tensor : ready.tensors) {
    views.push_back(
        {tensor.name, TensorViewAccess::unchecked(tensor.dtype, tensor.shape, tensor.bytes)});
  }
  auto examination = AdapterAccess::examine(ready.config, views);
  insist_on_present_modules(context.layout, examination.findings);
  if (ready.tensors.empty()) return nothing_to_save(ready, context.layout, state);
  FERRULE_CHECK(judge(ready, examination));
  ready.card = summarize(ready, examination);
  const auto append = [&plan](std::vector<Finding> findings) {
    std::move(findings.begin(), findings.end(), std::back_inserter(plan.findings));
  };
  append(std::move(selection.findings));
  append(examination.findings);
  std::move(selection.left_out.begin(), selection.left_out.end(),
            std::back_inserter(plan.left_out));
  ready.examination = std::move(examination);
  return ready;
}

}  // namespace

Result<SavePlan> plan_save(const TensorSource& state, std::span<const NamedConfig> configs,
                           const SaveOptions& options) {
  FERRULE_TRY(const auto chosen, choose(configs, options));
  FERRULE_TRY(const auto layout, peft::StateLayout::read(state, options.facts));
  SavePlan plan;
  plan.findings = layout.notes();
  plan.left_out = peft::trained_beside(layout);
  const peft::SelectionContext context{.layout = layout,
                                       .configs = configs,
                                       .facts = options.facts,
                                       .base_config = options.base_config,
                                       .embeddings = options.save_embedding_layers};
  for (const auto* config : chosen) {
    FERRULE_TRY(auto adapter, plan_adapter(context, *config, options, state, plan));
    plan.adapters.push_back(std::move(adapter));
  }
  return plan;
}

}  // namespace ferrule::adapter
