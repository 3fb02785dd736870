// SPDX-License-Identifier: Apache-2.0
#include "edit/fix_keys.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "check/adapter_match.hpp"
#include "check/check_causes.hpp"
#include "ferrule/text.hpp"
#include "peft/disk_key.hpp"
#include "peft/key_path.hpp"
#include "peft/method.hpp"
#include "peft/targets.hpp"

namespace ferrule::edit {
namespace {

/// A sentence for each kind of repair.
std::string_view sentence(std::string_view what) {
  if (what == "training-wrapper") return "took out what torch.compile, FSDP or DDP put into keys";
  if (what == "adapter-name") return "took an adapter's name out of keys";
  if (what == "key-prefix") return "put base_model.model. before keys";
  if (what == "base-prefix") return "gave paths the prefix that the base has";
  if (what == "base-names") return "gave modules the names that this release of transformers uses";
  if (what == "old-type") return "renamed keys and type of an older PEFT";
  if (what == "ignored-tensor") return "left out tensors of an older PEFT that no reader looks at";
  return "fixed";
}

/// "X.bone_block" is "X.miss_block" since PEFT 0.19.
std::optional<std::string> without_old_type(const std::string& key) {
  const auto at = key.rfind(".bone_");
  if (at == std::string::npos) return std::nullopt;
  auto out = key;
  out.replace(at, std::string_view(".bone_").size(), ".miss_");
  return out;
}

/// `base_model.` and on, with what wrapped the whole PeftModel taken off.
std::string unwrapped(const std::string& key) {
  const auto model = key.find("base_model.");
  auto plain = checks::without_training_wrappers(key);
  // DDP around the base: its "module" comes after the PeftModel's own prefix.
  constexpr std::string_view kInner = "base_model.model.module.";
  if (model != std::string::npos && plain.starts_with(kInner)) {
    plain.erase(peft::kModelPrefix.size(), std::string_view("module.").size());
  }
  return plain;
}

struct Move {
  std::string from;
  std::string to;
};

}  // namespace

KeyFixer::KeyFixer(AdapterConfig config, std::span<const NamedTensor> tensors)
    : config_(std::move(config)) {
  entries_.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors)
    entries_.push_back({std::string(name), tensor, nullptr});
}

void KeyFixer::rename(Entry& entry, std::string key, std::string_view what) {
  if (entry.key == key) return;
  entry.key = std::move(key);
  keys_changed_ = true;
  auto& [count, message] = fixed_[std::string(what)];
  ++count;
  message = sentence(what);
}

void KeyFixer::fix_all() {
  fix_old_type();
  fix_wrappers();
  fix_prefix();
  fix_adapter_names();
  drop_ignored();
  refuse_collisions();
  cut_padding();
}

void KeyFixer::fix_old_type() {
  for (const auto& finding : config_.findings()) {
    if (finding.rule != "CF-13") continue;
    config_changed_ = true;
    auto& [count, message] = fixed_["old-config"];
    message += (message.empty() ? "" : "; ") + finding.message;
  }
  if (config_.peft_type() != "MISS") return;
  for (auto& entry : entries_) {
    if (auto key = without_old_type(entry.key)) rename(entry, std::move(*key), "old-type");
  }
}

void KeyFixer::fix_wrappers() {
  for (auto& entry : entries_) rename(entry, unwrapped(entry.key), "training-wrapper");
}

void KeyFixer::fix_prefix() {
  const auto* method = peft::find_method(config_.peft_type());
  if (method == nullptr || method->prompt_learning) return;
  for (auto& entry : entries_) {
    if (entry.key.starts_with("base_model.")) continue;
    const auto parsed = peft::parse_disk_key(entry.key, config_, *method);
    const bool own =
        parsed.kind == peft::KeyKind::kMethod || parsed.kind == peft::KeyKind::kNameLeft;
    if (own && parsed.scope == peft::Scope::kLayer) {
      rename(entry, std::string(peft::kModelPrefix) + entry.key, "key-prefix");
    }
  }
}

void KeyFixer::fix_adapter_names() {
  const auto* method = peft::find_method(config_.peft_type());
  if (method == nullptr) return;
  std::set<std::string> names;
  std::size_t plain = 0;
  for (const auto& entry : entries_) {
    const auto parsed = peft::parse_disk_key(entry.key, config_, *method);
    if (parsed.kind == peft::KeyKind::kNameLeft) names.emplace(parsed.other);
    if (parsed.kind == peft::KeyKind::kMethod) ++plain;
  }
  if (names.size() > 1 || (names.size() == 1 && plain > 0 && names.begin()->empty())) {
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + quote(name);
    left_.push_back(checks::about(Severity::kError, "AD-8", {},
                                  "keys hold the names of several adapters: " + text +
                                      "; which of them is meant cannot be told",
                                  "save each of them with ferrule save --select"));
    return;
  }
  for (auto& entry : entries_) {
    const auto parsed = peft::parse_disk_key(entry.key, config_, *method);
    if (parsed.kind != peft::KeyKind::kNameLeft) continue;
    auto key = std::string(parsed.module) + "." + std::string(parsed.attribute);
    // `lora_magnitude_vector` has no leaf on disk.
    const bool dropped =
        !parsed.role->dropped_leaf.empty() && parsed.leaf == parsed.role->dropped_leaf;
    if (!parsed.leaf.empty() && !dropped) key += "." + std::string(parsed.leaf);
    rename(entry, std::move(key), "adapter-name");
  }
}

void KeyFixer::drop_ignored() {
  const auto* method = peft::find_method(config_.peft_type());
  if (method == nullptr) return;
  const auto before = entries_.size();
  std::erase_if(entries_, [&](const Entry& entry) {
    return peft::parse_disk_key(entry.key, config_, *method).kind == peft::KeyKind::kIgnored;
  });
  if (entries_.size() == before) return;
  keys_changed_ = true;
  fixed_["ignored-tensor"] = {before - entries_.size(), std::string(sentence("ignored-tensor"))};
}

void KeyFixer::refuse_collisions() {
  std::set<std::string_view> seen;
  for (const auto& entry : entries_) {
    if (seen.insert(entry.key).second) continue;
    left_.push_back(checks::about(Severity::kError, "KY-2", entry.key,
                                  "two tensors would be called " + quote(entry.key) +
                                      "; which of them is meant cannot be told"));
  }
}

/// Makes full paths of the config follow; false where an expression would no longer select the
/// modules that it did, or patterns would give other strengths.
bool KeyFixer::move_targets(std::string_view from, std::string_view to,
                            const std::map<std::string, std::string>& moved) {
  auto config = config_;
  const auto before = peft::TargetRule::compile(config_);
  for (const auto* field : {"target_modules", "exclude_modules", "modules_to_save"}) {
    const auto* value = config.find(field);
    if (value == nullptr || value->if_array() == nullptr) continue;
    auto list = *value->if_array();
    bool changed = false;
    for (auto& item : list) {
      const auto* text = item.if_string();
      if (text == nullptr || from.empty() || !text->starts_with(from)) continue;
      item = Json(std::string(to) + text->substr(from.size()));
      changed = true;
    }
    if (changed && !config.set(field, Json(std::move(list)))) return false;
    config_changed_ |= changed;
  }
  const auto after = peft::TargetRule::compile(config);
  if (!before || !after) return false;
  for (const auto& [old_path, new_path] : moved) {
    const auto did = before->selects(old_path);
    const auto does = after->selects(new_path);
    if (!did || !does || *did != *does) return false;
    const auto old_strength = resolve_strength(config_, old_path);
    const auto new_strength = resolve_strength(config, new_path);
    if (!old_strength || !new_strength || old_strength->strength != new_strength->strength ||
        old_strength->rank != new_strength->rank) {
      return false;
    }
  }
  config_ = std::move(config);
  return true;
}

void KeyFixer::follow_base(const model::BaseIndex& base) {
  const auto* method = peft::find_method(config_.peft_type());
  if (method == nullptr || method->prompt_learning) return;
  std::set<std::pair<std::string, std::string>> changes;
  std::map<std::string, std::string> moved;
  for (const auto& entry : entries_) {
    const auto parsed = peft::parse_disk_key(entry.key, config_, *method);
    if (parsed.scope != peft::Scope::kLayer || !entry.key.starts_with(peft::kModelPrefix)) continue;
    const std::string path(peft::base_path(parsed.module));
    const auto live = checks::without_base_layer(path);
    if (base.has_module(live) || base.find(live + ".weight") != nullptr || moved.contains(path))
      continue;
    const auto other = checks::other_prefix(base, live);
    if (!other) continue;
    const auto core = model::path_core(live);
    const auto from = live.substr(0, live.size() - core.size());
    const auto to = other->substr(0, other->size() - core.size());
    changes.emplace(from, to);
    moved.emplace(path, to + path.substr(from.size()));
  }
  if (changes.empty()) return;
  if (changes.size() > 1 || !move_targets(changes.begin()->first, changes.begin()->second, moved)) {
    left_.push_back(checks::about(
        Severity::kError, "BS-3", moved.begin()->first,
        changes.size() > 1
            ? "the base's modules of those names have several prefixes: which is meant "
              "cannot be told"
            : "the config's expressions do not select the modules under the base's prefix",
        {}));
    return;
  }
  for (auto& entry : entries_) {
    const auto parsed = peft::parse_disk_key(entry.key, config_, *method);
    const std::string path(peft::base_path(parsed.module));
    const auto found = moved.find(path);
    if (found == moved.end() || !entry.key.starts_with(peft::kModelPrefix)) continue;
    rename(entry,
           std::string(peft::kModelPrefix) + found->second +
               entry.key.substr(peft::kModelPrefix.size() + path.size()),
           "base-prefix");
  }
  refuse_collisions();
}

std::vector<FixedThing> KeyFixer::take_fixed() {
  std::vector<FixedThing> out;
  for (auto& [what, done] : fixed_) out.push_back({what, std::move(done.second), done.first});
  fixed_.clear();
  return out;
}

}  // namespace ferrule::edit
