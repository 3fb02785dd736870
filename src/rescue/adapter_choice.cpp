// SPDX-License-Identifier: Apache-2.0
#include "rescue/adapter_choice.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "adapter/examine.hpp"
#include "base/errors.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/key_path.hpp"

namespace ferrule::rescues {
namespace {

constexpr std::size_t kMaxListed = 8;
constexpr std::string_view kTokens = ".token_adapter.trainable_tokens_delta";

/// Where the first component of a path that is a number is: of a layer in its list.
std::optional<std::pair<std::size_t, std::size_t>> number_part(std::string_view path) {
  for (std::size_t start = 0; start < path.size();) {
    const auto end = std::min(path.find('.', start), path.size());
    const auto part = path.substr(start, end - start);
    if (!part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos) {
      return std::pair(start, end - start);
    }
    start = end + 1;
  }
  return std::nullopt;
}

/// True if the config's trainable_token_indices are those of the module: a dictionary names it, a
/// list means the input embedding.
bool has_own_tokens(const Json& indices, std::string_view path) {
  const auto is = [&](std::string_view name) {
    return path == name || (path.ends_with(name) && path[path.size() - name.size() - 1] == '.');
  };
  if (const auto* modules = indices.if_object()) {
    return std::any_of(modules->begin(), modules->end(),
                       [&](const auto& module) { return is(module.first); });
  }
  return !is("lm_head") && !is("embed_out") && !is("output_layer") && !is("output");
}

/// Tied embeddings have one set of trained tokens, which PEFT saves once; a state dict has it under
/// both names.
void leave_out_tied_tokens(const AdapterConfig& config, container::TensorPlan& tensors) {
  const auto* indices = config.find("trainable_token_indices");
  if (indices == nullptr) return;
  const auto is_tied = [&](const TensorStream& tensor) {
    const std::string_view name = tensor.name;
    return name.ends_with(kTokens) &&
           !has_own_tokens(*indices, name.substr(0, name.size() - kTokens.size()));
  };
  const bool any = std::any_of(tensors.begin(), tensors.end(), [&](const TensorStream& tensor) {
    return std::string_view(tensor.name).ends_with(kTokens) && !is_tied(tensor);
  });
  if (any) std::erase_if(tensors, is_tied);
}

}  // namespace

/// RS-11.
Result<std::string> AdapterChoice::choose_name() const {
  const auto found = names();
  std::string list;
  for (const auto& name : found) list += (list.empty() ? "" : ", ") + quote(name);
  if (!wanted_.empty()) {
    if (found.empty() || found.contains(wanted_)) return wanted_;
    return base::corrupt("RS-11", "it has no adapter " + quote(wanted_) + ", but " + list);
  }
  if (found.size() > 1) {
    return base::corrupt("RS-11",
                         "it has several adapters, " + list + ": say which one with --adapter");
  }
  return found.empty() ? std::string("default") : *found.begin();
}

std::set<std::string, std::less<>> AdapterChoice::names() const {
  std::set<std::string, std::less<>> found;
  for (const auto& [key, view] : layout_->entries()) {
    const auto parts = peft::split(key);
    for (std::size_t i = 1; i + 1 < parts.size(); ++i) {
      const bool prompt = method_->prompt_learning && parts[i - 1] == "prompt_encoder";
      if (prompt) found.emplace(parts[i]);
      const auto* role = peft::find_role(*method_, peft::Scope::kLayer, parts[i]);
      if (role == nullptr || role->place != peft::NamePlace::kAfterAttribute) continue;
      if (parts[i + 1] != "weight" && parts[i + 1] != "bias") found.emplace(parts[i + 1]);
    }
    if (found.size() > kMaxListed) break;
  }
  return found;
}

Result<peft::Selection> AdapterChoice::select(const TensorSource& state) {
  method_ = peft::find_method(config_.peft_type());
  if (method_ == nullptr) {
    return base::unsupported("KY-4",
                             "the config's type " + quote(config_.peft_type()) + " is not known");
  }
  FERRULE_TRY(layout_, peft::StateLayout::read(state, {}));
  FERRULE_TRY(name_, choose_name());
  const NamedConfig named{name_, config_};
  static const ModelFacts kNoFacts;
  static const Json kNoBase;
  const peft::SelectionContext context{.layout = *layout_,
                                       .configs = std::span(&named, 1),
                                       .facts = kNoFacts,
                                       .base_config = kNoBase,
                                       .embeddings = SaveEmbeddings::kAuto};
  auto selection = peft::select_saved(context, named);
  if (!selection) {
    FERRULE_TRY(selection, peft::select_adapter(context, named));
  }
  leave_out_tied_tokens(config_, selection->tensors);
  if (selection->tensors.empty()) return no_adapter(state.tensors().size());
  return *std::move(selection);
}

/// RS-10.
Error AdapterChoice::no_adapter(std::size_t count) const {
  if (count == 0) {
    return base::corrupt("RS-10", "it has no tensor at all, and so no adapter");
  }
  return base::corrupt("RS-10", "its " + std::to_string(count) +
                                    " tensors are weights without an adapter: none is of " +
                                    config_.peft_type() + " under the name " + quote(name_));
}

/// The AD rules, and RS-12.
Result<void> AdapterChoice::judge(const AdapterConfig& config, const container::TensorPlan& tensors,
                                  std::vector<Finding>& findings) const {
  std::vector<NamedTensor> views;
  views.reserve(tensors.size());
  for (const auto& tensor : tensors) {
    views.push_back(
        {tensor.name, TensorViewAccess::unchecked(tensor.dtype, tensor.shape, tensor.bytes)});
  }
  auto examination = AdapterAccess::examine(config, views);
  for (const auto& finding : examination.findings) {
    if (finding.severity != Severity::kError && finding.rule != "AD-13") continue;
    return base::corrupt(finding.rule, finding.message);
  }
  std::move(examination.findings.begin(), examination.findings.end(), std::back_inserter(findings));
  FERRULE_CHECK(check_layers(tensors));
  check_targets(examination.modules, findings);
  check_evenness(examination.modules, findings);
  return {};
}

/// RS-12: every layer that the model wraps has tensors of its only adapter.
Result<void> AdapterChoice::check_layers(const container::TensorPlan& tensors) const {
  if (config_.peft_type() != "LORA" || names().size() != 1) return {};
  std::set<std::string_view> held;
  for (const auto& tensor : tensors) {
    const std::string_view key = tensor.name;
    for (auto dot = key.rfind('.'); dot != std::string_view::npos && dot != 0;
         dot = key.rfind('.', dot - 1)) {
      held.insert(key.substr(0, dot));
    }
  }
  constexpr std::string_view kInner = ".base_layer.";
  for (const auto& [key, view] : layout_->entries()) {
    const auto at = key.find(kInner);
    if (at == std::string::npos) continue;
    const auto path = std::string_view(key).substr(0, at);
    if (path.ends_with("token_adapter") || held.contains(path)) continue;
    return base::corrupt("RS-12", "the model has an adapted layer " + quote(path) +
                                      ", and the checkpoint no tensor of its adapter");
  }
  return {};
}

/// RS-12: a name of target_modules that fits nothing is not an error in PEFT.
void AdapterChoice::check_targets(std::span<const AdapterModule> modules,
                                  std::vector<Finding>& findings) const {
  const auto* targets = config_.find("target_modules");
  const auto* list = targets != nullptr ? targets->if_array() : nullptr;
  if (list == nullptr) return;
  for (const auto& target : *list) {
    const auto* name = target.if_string();
    if (name == nullptr) continue;
    const bool any = std::any_of(modules.begin(), modules.end(), [&](const AdapterModule& module) {
      const auto path = module.path();
      return path == *name || path.ends_with("." + *name);
    });
    if (any) continue;
    findings.push_back({.severity = Severity::kWarning,
                        .rule = "RS-12",
                        .path = where_.string(),
                        .key = *name,
                        .message = "the config's target_modules have " + quote(*name) +
                                   ", and the checkpoint has no such module",
                        .advice = {}});
  }
}

/// RS-12: without the base nothing says which layers the model wraps. A layer that lacks a module
/// which others have is told; models whose layers differ are legal.
void AdapterChoice::check_evenness(std::span<const AdapterModule> modules,
                                   std::vector<Finding>& findings) const {
  const auto* targets = config_.find("target_modules");
  const auto* chosen = config_.find("layers_to_transform");
  const bool has_base = std::any_of(
      layout_->entries().begin(), layout_->entries().end(),
      [](const auto& entry) { return entry.first.find(".base_layer.") != std::string::npos; });
  if (has_base || targets == nullptr || targets->if_array() == nullptr ||
      (chosen != nullptr && !chosen->is_null())) {
    return;
  }
  std::map<std::string, std::set<std::string>> layers;  // By what is before the number.
  std::map<std::pair<std::string, std::string>, std::set<std::string>> having;
  for (const auto& module : modules) {
    const std::string path(module.path());
    const auto number = number_part(path);
    if (!number) continue;
    const auto [start, size] = *number;
    const auto layer = path.substr(start, size);
    layers[path.substr(0, start)].insert(layer);
    having[{path.substr(0, start), path.substr(start + size)}].insert(layer);
  }
  std::string first;
  std::size_t count = 0;
  for (const auto& [around, present] : having) {
    for (const auto& layer : layers[around.first]) {
      if (present.contains(layer)) continue;
      if (count++ == 0) first = around.first + layer + around.second;
    }
  }
  if (count == 0) return;
  findings.push_back(
      {.severity = Severity::kWarning,
       .rule = "RS-12",
       .path = where_.string(),
       .key = first,
       .message = "it has no adapter of " + quote(first) +
                  (count > 1 ? " and of " + std::to_string(count - 1) + " others" : std::string()) +
                  ", which other layers have; without the base's weights it is not "
                  "proved that the model has none there",
       .advice = {}});
}

}  // namespace ferrule::rescues
