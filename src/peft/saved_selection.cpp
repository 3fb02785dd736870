// SPDX-License-Identifier: Apache-2.0
// A state dict that is a saved adapter already: the keys of an adapter_model.safetensors, which
// have no adapter's name in them. Every checkpoint that Trainer writes of a PeftModel is one.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/text.hpp"
#include "peft/dialect.hpp"
#include "peft/disk_key.hpp"
#include "peft/selection.hpp"

namespace ferrule::peft {
namespace {

struct Parsed {
  const std::string* key;
  const TensorView* view;
  KeyKind kind;
};

bool is_of_adapter(KeyKind kind) {
  return kind == KeyKind::kMethod || kind == KeyKind::kPrompt || kind == KeyKind::kModulesToSave ||
         kind == KeyKind::kTokens || kind == KeyKind::kIgnored || kind == KeyKind::kForeign ||
         kind == KeyKind::kObsolete;
}

bool is_of_base(KeyKind kind) { return kind == KeyKind::kBias || kind == KeyKind::kEmbedding; }

/// True if the key is a live model's: the adapter's name is in its place.
bool is_live(const StateLayout& layout, std::string_view key, const Method& method,
             const std::string& name) {
  if (key.starts_with("prompt_encoder.") ||
      key.find(".modules_to_save." + name + ".") != std::string_view::npos ||
      key.ends_with(".trainable_tokens_delta." + name)) {
    return true;
  }
  const auto parsed = layout.parse(key, method, name);
  return parsed && parsed->role != nullptr && parsed->role->place != NamePlace::kNone;
}

/// Empty if one key shows that the state is a live model's.
std::vector<Parsed> parse_all(const StateLayout& layout, const NamedConfig& adapter,
                              const Method& method) {
  const auto& config = adapter.config;
  std::vector<Parsed> all;
  bool own = false;
  for (const auto& [key, view] : layout.entries()) {
    // Another program's tensors have their own error, though some are spelled as PEFT's are.
    const auto given = std::string_view(key).substr(layout.injected() ? kModelPrefix.size() : 0);
    const auto kind = parse_disk_key(key, config, method).kind;
    if (kind == KeyKind::kNameLeft || dialect_of_key(given) != nullptr ||
        is_live(layout, key, method, adapter.name)) {
      return {};
    }
    own |= kind == KeyKind::kMethod || kind == KeyKind::kPrompt;
    all.push_back({&key, &view, kind});
  }
  if (!own) all.clear();
  return all;
}

}  // namespace

std::optional<Selection> select_saved(const SelectionContext& context, const NamedConfig& adapter) {
  const auto* method = find_method(adapter.config.peft_type());
  if (method == nullptr) return std::nullopt;
  const auto all = parse_all(context.layout, adapter, *method);
  if (all.empty()) return std::nullopt;
  bool whole_model = false;
  for (const auto& tensor : all) {
    whole_model |= tensor.kind == KeyKind::kUnknown && tensor.key->starts_with(kModelPrefix);
  }
  Selection selection{{}, adapter.config, {}, {}};
  for (const auto& [key, view, kind] : all) {
    if (is_of_adapter(kind) || (is_of_base(kind) && !whole_model)) {
      selection.tensors.push_back(container::stream_of(*key, *view));
    } else if (key->starts_with(kModelPrefix)) {
      // Others are reported with whatever is next to a model.
      selection.left_out.push_back(
          {*key, "not part of an adapter of " + adapter.config.peft_type()});
    }
  }
  selection.findings.push_back(
      {.severity = Severity::kNote,
       .rule = "KY-11",
       .path = {},
       .key = {},
       .message = "adapter " + quote(adapter.name) +
                  ": the state is a saved adapter already, so its tensors are taken as they are",
       .advice = {}});
  return selection;
}

std::vector<LeftOut> trained_beside(const StateLayout& layout) {
  std::vector<LeftOut> out;
  if (layout.injected()) return out;
  for (const auto& [key, view] : layout.entries()) {
    if (!key.starts_with("base_model.") && !is_prompt_key(key)) {
      out.push_back({key,
                     "outside the model that PEFT wraps (a value head or the like): an adapter "
                     "cannot hold it, keep it with the checkpoint"});
    }
  }
  return out;
}

}  // namespace ferrule::peft
