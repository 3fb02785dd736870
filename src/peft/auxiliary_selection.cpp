// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/text.hpp"
#include "peft/selection.hpp"

namespace ferrule::peft {
namespace {

/// `M.modules_to_save.NAME.k` without its two middle parts, or nullopt.
std::optional<std::string> saved_module_key(std::string_view key, std::string_view name) {
  const auto parts = split(key);
  for (std::size_t i = 1; i + 2 < parts.size(); ++i) {
    if (parts[i] != "modules_to_save" || parts[i + 1] != name) continue;
    const auto at = static_cast<std::size_t>(parts[i].data() - key.data());
    const auto rest = static_cast<std::size_t>(parts[i + 2].data() - key.data());
    return std::string(key.substr(0, at)) + std::string(key.substr(rest));
  }
  return std::nullopt;
}

struct TokenDelta {
  std::string module;
  TensorView view;
};

/// Of wrappers that share one delta only the one on the input embedding is saved; tied ones store
/// nothing.
bool is_tied_copy(const TokenDelta& delta, const std::vector<TokenDelta>& all,
                  const ModelFacts& facts) {
  const auto is_input = [&](std::string_view module) {
    if (facts.input_embeddings) return module.ends_with(*facts.input_embeddings);
    return !module.ends_with("lm_head") && !module.ends_with("embed_out");
  };
  for (const auto& other : all) {
    if (other.module == delta.module || !same_memory(other.view, delta.view)) continue;
    const bool mine = is_input(delta.module);
    const bool theirs = is_input(other.module);
    if (mine != theirs) return theirs;
    if (other.module < delta.module) return true;
  }
  return false;
}

}  // namespace

Result<void> select_auxiliary(SelectionBuilder& builder) {
  const auto& name = builder.adapter().name;
  constexpr std::string_view kDelta = ".token_adapter.trainable_tokens_delta.";
  std::vector<TokenDelta> deltas;
  for (const auto& [key, view] : builder.context().layout.entries()) {
    if (const auto saved = saved_module_key(key, name)) {
      builder.add(*saved, view);
      continue;
    }
    const auto at = key.find(kDelta);
    if (at != std::string::npos && key.substr(at + kDelta.size()) == name) {
      deltas.push_back({key.substr(0, at), view});
    }
  }
  for (const auto& delta : deltas) {
    if (is_tied_copy(delta, deltas, builder.context().facts)) {
      builder.selection().left_out.push_back(
          {delta.module + std::string(kDelta) + name, "tied to the tokens of another module"});
      continue;
    }
    builder.add(delta.module + ".token_adapter.trainable_tokens_delta", delta.view);
  }
  return {};
}

}  // namespace ferrule::peft
