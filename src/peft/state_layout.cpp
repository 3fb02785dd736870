// SPDX-License-Identifier: Apache-2.0
#include "peft/state_layout.hpp"

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::peft {
namespace {

constexpr std::string_view kPrompt = "prompt_encoder.";

bool is_wrapper(std::string_view component) noexcept {
  return component == "_orig_mod" || component == "_fsdp_wrapped_module" ||
         component == "_checkpoint_wrapped_module";
}

Finding note(std::string message) {
  return {.severity = Severity::kNote,
          .rule = "KY-3",
          .path = {},
          .key = {},
          .message = std::move(message),
          .advice = {}};
}

std::string without_wrappers(std::string_view key, bool& changed) {
  if (key.find("_orig_mod") == std::string_view::npos &&
      key.find("_wrapped_module") == std::string_view::npos) {
    return std::string(key);
  }
  std::string out;
  for (const auto component : split(key)) {
    if (is_wrapper(component)) {
      changed = true;
      continue;
    }
    if (!out.empty()) out += '.';
    out += component;
  }
  return out;
}

/// What precedes the first `base_model.` component in all keys that have one; empty if a
/// key starts with it.
std::string outer_prefix(const std::vector<std::pair<std::string, TensorView>>& tensors) {
  std::optional<std::string> prefix;
  for (const auto& [key, view] : tensors) {
    if (key.starts_with("base_model.")) return {};
    const auto at = key.find(".base_model.");
    if (at == std::string::npos) continue;
    const auto found = key.substr(0, at + 1);
    if (prefix && *prefix != found) return {};
    prefix = found;
  }
  return prefix.value_or(std::string());
}

}  // namespace

bool is_prompt_key(std::string_view key) noexcept {
  return key.starts_with(kPrompt) || key == "prompt_embeddings" || key == "prefix_task_cols" ||
         key == "prefix_task_rows";
}

bool same_memory(const TensorView& a, const TensorView& b) noexcept {
  return a.bytes().data() == b.bytes().data() && a.bytes().size() == b.bytes().size() &&
         !a.bytes().empty();
}

Result<StateLayout> StateLayout::read(const TensorSource& state, const ModelFacts& facts) {
  StateLayout layout;
  auto tensors = layout.without_prefixes(state);
  FERRULE_CHECK(layout.enter(tensors));
  layout.find_tuner_layers(facts);
  return layout;
}

std::vector<StateLayout::KeyedTensor> StateLayout::without_prefixes(const TensorSource& state) {
  std::vector<KeyedTensor> tensors;
  tensors.reserve(state.tensors().size() + state.aliases().size());
  bool unwrapped = false;
  for (const auto& [name, view] : state.tensors()) {
    tensors.emplace_back(without_wrappers(name, unwrapped), view);
  }
  for (const auto& [removed, kept] : state.aliases()) {
    if (const auto view = state.find(kept)) {
      tensors.emplace_back(without_wrappers(removed, unwrapped), *view);
    }
  }
  if (unwrapped) notes_.push_back(note("removed the wrappers of torch.compile or FSDP"));
  const auto strip = [&](std::string_view prefix) {
    for (auto& [key, view] : tensors) {
      if (key.starts_with(prefix)) key.erase(0, prefix.size());
    }
    notes_.push_back(note("removed the prefix " + quote(prefix)));
  };
  while (!tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
    return tensor.first.starts_with("module.");
  })) {
    strip("module.");
  }
  if (const auto prefix = outer_prefix(tensors); !prefix.empty()) strip(prefix);
  return tensors;
}

Result<void> StateLayout::enter(std::vector<KeyedTensor>& tensors) {
  injected_ =
      !tensors.empty() && std::none_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
        return tensor.first.starts_with("base_model.") || is_prompt_key(tensor.first);
      });
  if (injected_) {
    notes_.push_back(
        note("the keys have no `base_model.model.`, as those of a model with injected layers: "
             "added it"));
  }
  for (auto& [key, view] : tensors) {
    auto normalized = injected_ ? std::string(kModelPrefix) + key : std::move(key);
    // A model that X-LoRA wraps is one level deeper; its sub-adapters are plain LoRA on disk.
    constexpr std::string_view kXlora = "base_model.lora_model.model.";
    if (normalized.starts_with(kXlora)) {
      normalized = std::string(kModelPrefix) + normalized.substr(kXlora.size());
    }
    const auto [place, inserted] = entries_.emplace(std::move(normalized), view);
    if (!inserted && !same_memory(place->second, view)) {
      return base::corrupt("KY-2", "two tensors are called " + quote(place->first) +
                                       " once wrappers' prefixes are removed");
    }
  }
  return {};
}

void StateLayout::find_tuner_layers(const ModelFacts& facts) {
  if (facts.tuner_layers) {
    structure_known_ = true;
    for (const auto& path : *facts.tuner_layers) {
      tuner_layers_.insert(std::string(kModelPrefix) + path);
    }
    return;
  }
  for (const auto& [key, view] : entries_) {
    for (auto at = key.find(".base_layer."); at != std::string::npos;
         at = key.find(".base_layer.", at + 1)) {
      tuner_layers_.insert(key.substr(0, at));
    }
  }
}

std::optional<TensorView> StateLayout::find(std::string_view key) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

std::optional<AdapterKey> StateLayout::parse(std::string_view key, const Method& method,
                                             std::string_view name) const {
  if (!key.starts_with("base_model.")) return std::nullopt;
  const auto scope = key.starts_with(kModelPrefix) ? Scope::kLayer : Scope::kModel;
  const auto parts = split(key);
  std::optional<AdapterKey> best;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (scope == Scope::kModel && i > 1) break;
    const auto offset = [&](std::size_t part) {
      return static_cast<std::size_t>(parts[part].data() - key.data());
    };
    const auto path = key.substr(0, offset(i) - 1);
    const auto* role = find_role(method, scope, parts[i]);
    const bool tuner = is_tuner_layer(path);
    const auto place = role != nullptr ? role->place : NamePlace::kAfterAttribute;
    if (role == nullptr) {
      // A tensor that a newer PEFT adds to its layers: the structure shows whose it is.
      if (scope == Scope::kModel || !tuner || method.prefix.empty() ||
          !parts[i].starts_with(method.prefix)) {
        continue;
      }
    }
    std::optional<AdapterKey> found;
    if (place == NamePlace::kNone) {
      found =
          AdapterKey{role, path, i + 1 < parts.size() ? key.substr(offset(i + 1)) : "", parts[i]};
    } else if (place == NamePlace::kAtEnd) {
      if (parts.back() == name && parts.size() > i + 2) {
        found = AdapterKey{role, path,
                           key.substr(offset(i + 1), offset(parts.size() - 1) - 1 - offset(i + 1)),
                           parts[i]};
      }
    } else if (i + 1 < parts.size() && parts[i + 1] == name) {
      found =
          AdapterKey{role, path, i + 2 < parts.size() ? key.substr(offset(i + 2)) : "", parts[i]};
    }
    if (!found) continue;
    if (tuner || scope == Scope::kModel) return found;
    if (!best && !structure_known_) best = found;
  }
  return best;
}

bool StateLayout::is_adapter_key(std::string_view key) const {
  if (!key.starts_with(kModelPrefix)) return true;
  const auto parts = split(key);
  for (std::size_t i = 2; i < parts.size(); ++i) {
    if (parts[i] == "modules_to_save" || parts[i] == "token_adapter") return true;
    const auto path = key.substr(0, static_cast<std::size_t>(parts[i].data() - key.data()) - 1);
    if (is_tuner_layer(path)) {
      if (parts[i] != "base_layer") return true;
      continue;
    }
    for (const auto& method : all_methods()) {
      const auto* role = find_role(method, Scope::kLayer, parts[i]);
      if (role != nullptr && !has_tuner_layers()) return true;
    }
  }
  return false;
}

}  // namespace ferrule::peft
