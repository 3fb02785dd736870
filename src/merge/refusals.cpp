// SPDX-License-Identifier: Apache-2.0
#include "merge/refusals.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "check/check_causes.hpp"
#include "ferrule/text.hpp"
#include "merge/methods/methods.hpp"

namespace ferrule::merging {
namespace {

using checks::Standing;

std::filesystem::path place_of(const Adapter& adapter) {
  return adapter.weights_file().empty() ? adapter.directory() : adapter.weights_file();
}

bool stands(const checks::ModuleMatch& match, const model::BaseIndex& base) {
  // Shapes are checked again with the layer itself: without the model's class a Conv1D looks like a
  // Linear here.
  const bool unknown = match.standing == Standing::kMisshapen && !base.kind_of(match.live).known();
  return match.standing == Standing::kMatched || match.standing == Standing::kConverted || unknown;
}

/// Why PEFT says no, if it is for a strength that Ferrule can give the experts it was trained with.
bool is_fixable(const checks::ModuleMatch& match, const checks::MatchResult& result) {
  return match.standing == Standing::kSaid &&
         std::none_of(result.findings.begin(), result.findings.end(), [](const Finding& finding) {
           return finding.severity == Severity::kError && finding.rule != "BS-26";
         });
}

}  // namespace

Error as_error(const Adapter& adapter, const Finding& finding) {
  std::string message;
  const auto& module = finding.module.empty() ? finding.key : finding.module;
  if (!module.empty() && finding.message.find(module) == std::string::npos) {
    message = "module " + quote(module) + ": ";
  }
  message += finding.message;
  if (!finding.advice.empty()) message += " (" + finding.advice + ")";
  return base::at(base::corrupt(finding.rule, std::move(message)), place_of(adapter));
}

Result<void> refuse_method(const Adapter& adapter) {
  const auto& type = adapter.config().peft_type();
  if (adapter.config().is_prompt_learning() || type == "ADAPTION_PROMPT") {
    return base::at(
        base::unsupported("MG-1", type +
                                      " is prompt learning: what it adds is input to the layers "
                                      "of the running model, not a change of a weight, so there is "
                                      "nothing to merge"),
        place_of(adapter));
  }
  const auto methods = mergeable_methods();
  const bool known =
      std::any_of(methods.begin(), methods.end(),
                  [&](const MergeableMethod& method) { return method.type == type; });
  if (known || type == "TRAINABLE_TOKENS") return {};
  return base::at(
      base::unsupported("MG-1", type + " is not merged: PEFT has no merge for it, because "
                                       "it acts while the model runs"),
      place_of(adapter));
}

Result<void> refuse_broken(const Adapter& adapter) {
  for (const auto& finding : adapter.findings()) {
    if (finding.severity == Severity::kError) return as_error(adapter, finding);
  }
  return {};
}

Result<void> refuse_quantized(const MergePlan& plan, const BaseFiles& files, bool undo,
                              bool keeps) {
  for (const auto& tensor : files.tensors()) {
    if (tensor.quantized == nullptr || !(plan.changed.contains(&tensor) || undo)) continue;
    const auto what = "the base's weight " + quote(tensor.name) + " is quantized (" +
                      tensor.quantized->format + ")";
    if (undo) {
      return base::at(base::unsupported("MG-9", what + ": what a merge added to it was rounded "
                                                       "away, and cannot be taken off"),
                      files.reader().path());
    }
    if (!keeps) continue;
    return base::at(
        base::unsupported("MG-6", what + ", which nothing can be added to: give --dtype bf16 (or "
                                         "f16, f32) to merge into the dequantized weights. They "
                                         "are not quantized again, because the data that chose "
                                         "the scales is not there"),
        files.reader().path());
  }
  return {};
}

Result<void> refuse_quantized_conv1d(const LiveTensors& live, const model::BaseIndex& base,
                                     const BaseFiles& files) {
  for (const auto& [name, tensor] : live.all()) {
    const auto quantized =
        std::any_of(tensor.parts.begin(), tensor.parts.end(),
                    [](const Part& part) { return part.disk->quantized != nullptr; });
    if (!quantized || base.kind_of(name.substr(0, name.rfind('.'))).letter != 'C') continue;
    return base::at(base::unsupported("MG-6", "the base's weight " + quote(name) +
                                                  " is quantized and belongs to a Conv1D: whether "
                                                  "it was turned over before is not in the file"),
                    files.reader().path());
  }
  return {};
}

Result<void> refuse_unmatched(const Adapter& adapter, const model::BaseIndex& base,
                              const checks::MatchResult& match) {
  const auto wrong = std::find_if(match.modules.begin(), match.modules.end(),
                                  [&](const checks::ModuleMatch& module) {
                                    return !stands(module, base) && !is_fixable(module, match);
                                  });
  if (wrong == match.modules.end()) return {};
  auto findings = match.findings;
  for (auto& finding : checks::explain_absent(adapter, base, match)) {
    findings.push_back(std::move(finding));
  }
  const auto path = std::string(wrong->module->path());
  for (const auto& finding : findings) {
    if (finding.severity == Severity::kError && (finding.key == path || finding.module == path)) {
      return as_error(adapter, finding);
    }
  }
  std::string message = "module " + quote(path) + ": the base has no such module";
  for (const auto& finding : findings) {
    if (finding.severity != Severity::kError) continue;
    message += "; " + finding.message;
    break;
  }
  return base::at(base::unsupported("MG-2", std::move(message)), place_of(adapter));
}

}  // namespace ferrule::merging
