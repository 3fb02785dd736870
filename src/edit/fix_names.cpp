// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "check/adapter_match.hpp"
#include "check/live_config.hpp"
#include "edit/fix_keys.hpp"
#include "edit/retarget.hpp"
#include "ferrule/text.hpp"
#include "model/moved_modules.hpp"
#include "peft/disk_key.hpp"
#include "peft/method.hpp"
#include "peft/state_layout.hpp"

namespace ferrule::edit {
namespace {

/// Where the base has a module that a checkpoint of an older transformers calls `path`.
std::optional<std::string> new_name(const model::BaseIndex& base, const std::string& path) {
  if (auto moved = model::moved_module(base, path)) return moved;
  if (base.has_module(path) || base.find(path + ".weight") != nullptr) return std::nullopt;
  const auto renamed = base.names.rename(path + ".weight");
  if (!renamed || renamed->converter != nullptr || base.find(renamed->name) == nullptr) {
    return std::nullopt;
  }
  auto live = renamed->name.substr(0, renamed->name.rfind('.'));
  return live == path ? std::nullopt : std::optional(std::move(live));
}

/// An entry of modules_to_save under the new name of the module that it ends.
std::string follow_entry(const std::string& entry, const Moves& saved) {
  for (const auto& [from, to] : saved) {
    if (from == entry) return to;
    if (from.ends_with("." + entry)) {
      const auto parts = std::count(entry.begin(), entry.end(), '.');
      auto at = to.rfind('.');
      for (auto i = parts; i > 0 && at != std::string::npos; --i) at = to.rfind('.', at - 1);
      return at == std::string::npos ? to : to.substr(at + 1);
    }
  }
  return entry;
}

}  // namespace

void KeyFixer::follow_names(const model::BaseIndex& base) {
  const auto* method = peft::find_method(config_.peft_type());
  if (method == nullptr || method->prompt_learning || base.names.empty()) return;
  Moves adapted;  // All of them, moved or not: the config has to target just these.
  Moves saved;
  std::size_t moved = 0;
  for (const auto& entry : entries_) {
    const auto parsed = peft::parse_disk_key(entry.key, config_, *method);
    if (parsed.scope != peft::Scope::kLayer || !entry.key.starts_with(peft::kModelPrefix)) continue;
    const auto path = checks::without_base_layer(peft::base_path(parsed.module));
    const auto live = new_name(base, path);
    if (live) ++moved;
    auto& list = parsed.kind == peft::KeyKind::kMethod ? adapted : saved;
    list.emplace(path, live.value_or(path));
  }
  if (moved == 0) return;
  auto config = retarget(config_, adapted, base);
  if (config) {
    const auto* names = config_.find("modules_to_save");
    if (names != nullptr && names->if_array() != nullptr) {
      auto list = *names->if_array();
      for (auto& name : list) {
        if (name.if_string() != nullptr) name = Json(follow_entry(*name.if_string(), saved));
      }
      if (!config->set("modules_to_save", Json(std::move(list)))) config.reset();
    }
  }
  if (!config) return;  // The check of the result says what is left.
  config_ = std::move(*config);
  config_changed_ = true;
  adapted.merge(saved);
  for (auto& entry : entries_) {
    if (!entry.key.starts_with(peft::kModelPrefix)) continue;
    const auto parsed = peft::parse_disk_key(entry.key, config_, *method);
    if (parsed.scope != peft::Scope::kLayer) continue;
    const std::string path(peft::base_path(parsed.module));
    const auto found = adapted.find(path);
    if (found == adapted.end() || found->second == path) continue;
    rename(entry,
           std::string(peft::kModelPrefix) + found->second +
               entry.key.substr(peft::kModelPrefix.size() + path.size()),
           "base-names");
  }
  refuse_collisions();
}

void KeyFixer::drop_refused_fields(const model::BaseIndex& base) {
  const auto live = checks::live_config(config_, base);
  if (!live) return;
  const auto targets = peft::TargetRule::compile(live->config);
  if (!targets) return;
  const bool fused = std::any_of(
      base.tensors.begin(), base.tensors.end(),
      [&](const model::BaseTensor& tensor) { return targets->selects_parameter(tensor.name); });
  if (!fused) return;
  const auto drop = [&](const char* field, Json value, std::string message) {
    if (!config_.set(field, std::move(value))) return;
    config_changed_ = true;
    fixed_[field] = {0, std::move(message)};
  };
  if (config_.number("lora_dropout").value_or(0) != 0) {
    drop("lora_dropout", Json(0.0),
         "set lora_dropout to 0: PEFT refuses it on fused parameters, and it has no effect after "
         "training");
  }
  if (config_.flag("fan_in_fan_out")) {
    drop("fan_in_fan_out", Json(false),
         "set fan_in_fan_out to false: PEFT refuses it on fused parameters, and sets it itself for "
         "each other layer");
  }
}

}  // namespace ferrule::edit
