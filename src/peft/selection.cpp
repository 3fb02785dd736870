// SPDX-License-Identifier: Apache-2.0
#include "peft/selection.hpp"

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/method_tensors.hpp"

namespace ferrule::peft {
namespace {

/// The disk key of an adapter's tensor.
std::string disk_key(const AdapterKey& parsed) {
  std::string key(parsed.path);
  key += '.';
  key += parsed.attribute;
  if (parsed.role != nullptr && parsed.role->place == NamePlace::kLiteralDefault) key += ".default";
  const bool dropped = parsed.role != nullptr && !parsed.role->dropped_leaf.empty() &&
                       parsed.leaf == parsed.role->dropped_leaf;
  if (!parsed.leaf.empty() && !dropped) {
    key += '.';
    key += parsed.leaf;
  }
  return key;
}

bool is_saved(const Role& role, const AdapterConfig& config) {
  if (role.saved == Saved::kNo) return false;
  return role.saved == Saved::kYes || config.flag(role.flag);
}

}  // namespace

SelectionBuilder::SelectionBuilder(const SelectionContext& context, const NamedConfig& adapter,
                                   const Method& method)
    : context_(context),
      adapter_(adapter),
      method_(method),
      selection_{{}, adapter.config, {}, {}} {
  find_adapted_layers();
}

void SelectionBuilder::find_adapted_layers() {
  std::set<std::string, std::less<>> shared_only;
  for (const auto& [key, view] : context_.layout.entries()) {
    const auto parsed = context_.layout.parse(key, method_, adapter_.name);
    if (!parsed || !parsed->path.starts_with(kModelPrefix)) continue;
    const bool shared = parsed->role != nullptr && parsed->role->shared;
    (shared ? shared_only : adapted_).emplace(parsed->path);
  }
  // Uni-LoRA without stored indices shows nothing but the shared vector on its layers.
  if (adapted_.empty()) adapted_ = std::move(shared_only);
}

std::string SelectionBuilder::base_key(std::string_view live_key) const {
  std::string out;
  std::string live;
  for (const auto part : split(live_key)) {
    const bool drop =
        part == "original_module" || (part == "base_layer" && !adapted_.contains(live));
    if (!live.empty()) live += '.';
    live += part;
    if (drop) continue;
    if (!out.empty()) out += '.';
    out += part;
  }
  return out;
}

void SelectionBuilder::add(std::string_view key, const TensorView& view) {
  add(container::stream_of(key, view));
}

void SelectionBuilder::add(TensorStream tensor) {
  if (!keys_.insert(tensor.name).second) return;
  selection_.tensors.push_back(std::move(tensor));
}

void SelectionBuilder::add_finding(Severity severity, std::string_view rule, std::string_view key,
                                   std::string message, std::string advice) {
  selection_.findings.push_back(
      {.severity = severity,
       .rule = std::string(rule),
       .path = {},
       .key = std::string(key),
       .message = "adapter " + quote(adapter_.name) + ": " + std::move(message),
       .advice = std::move(advice)});
}

Selection SelectionBuilder::take() { return std::move(selection_); }

Result<void> select_method_tensors(SelectionBuilder& builder) {
  const auto& layout = builder.context().layout;
  const auto& config = builder.adapter().config;
  for (const auto& [key, view] : layout.entries()) {
    const auto parsed = layout.parse(key, builder.method(), builder.adapter().name);
    if (!parsed) continue;
    if (parsed->role != nullptr && !is_saved(*parsed->role, config)) continue;
    // RandLoRA's shared projection is on layers that only other adapters adapt, too.
    if (parsed->role != nullptr && parsed->role->shared &&
        !builder.adapted().contains(parsed->path)) {
      continue;
    }
    builder.add(disk_key(*parsed), view);
  }
  return shape_method_tensors(builder);
}

namespace {

/// Layers that this adapter or another one of its type adapts: PEFT trains the biases of all of
/// them for the one adapter that may have `bias` set.
std::set<std::string, std::less<>> layers_of_type(const SelectionBuilder& builder) {
  auto layers = builder.adapted();
  const auto& context = builder.context();
  for (const auto& other : context.configs) {
    if (&other == &builder.adapter() || other.config.peft_type() != builder.method().peft_type) {
      continue;
    }
    for (const auto& [key, view] : context.layout.entries()) {
      const auto parsed = context.layout.parse(key, builder.method(), other.name);
      if (parsed && parsed->path.starts_with(kModelPrefix)) layers.emplace(parsed->path);
    }
  }
  return layers;
}

}  // namespace

void select_biases(SelectionBuilder& builder) {
  const auto bias = builder.adapter().config.bias();
  if (bias == "none") return;
  const auto& layout = builder.context().layout;
  if (bias != "all") {
    for (const auto& path : layers_of_type(builder)) {
      const auto key = path + ".base_layer.bias";
      if (const auto view = layout.find(key)) builder.add(builder.base_key(key), *view);
    }
    return;
  }
  for (const auto& [key, view] : layout.entries()) {
    if (key != "bias" && !key.ends_with(".bias")) continue;
    if (layout.is_adapter_key(key)) continue;
    builder.add(builder.base_key(key), view);
  }
}

Result<Selection> select_adapter(const SelectionContext& context, const NamedConfig& adapter) {
  const auto* method = find_method(adapter.config.peft_type());
  if (method == nullptr) {
    return base::unsupported("KY-4", "adapter " + quote(adapter.name) + " is of type " +
                                         quote(adapter.config.peft_type()) +
                                         ", which is not known");
  }
  SelectionBuilder builder(context, adapter, *method);
  if (method->prompt_learning) {
    FERRULE_CHECK(select_prompt(builder));
  } else {
    FERRULE_CHECK(select_method_tensors(builder));
  }
  // Trained copies come before biases and embeddings of the base: of two tensors with one key the
  // first is kept.
  FERRULE_CHECK(select_auxiliary(builder));
  if (builder.selection().tensors.empty()) return builder.take();
  select_biases(builder);
  FERRULE_CHECK(select_embeddings(builder));
  return builder.take();
}

}  // namespace ferrule::peft
