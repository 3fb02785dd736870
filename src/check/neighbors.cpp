// SPDX-License-Identifier: Apache-2.0
#include "check/neighbors.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "base/ascii.hpp"
#include "peft/state_layout.hpp"

namespace ferrule::checks {
namespace {

std::string_view parent_of(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

/// "qkv" and its like, whose letters are layers of their own.
bool is_joined(std::string_view word) {
  constexpr std::string_view kLetters = "qkvzba";
  return word.size() > 1 && std::all_of(word.begin(), word.end(), [&](char c) {
           return kLetters.find(c) != std::string_view::npos;
         });
}

std::multiset<std::string> words_of(std::string_view name) {
  std::multiset<std::string> out;
  for (const auto word : model::entries(name, '_')) {
    if (!is_joined(word)) {
      out.emplace(word);
      continue;
    }
    for (const char letter : word) out.emplace(1, letter);
  }
  return out;
}

/// The experts that `path` is in ("...mlp.experts"), if it does.
std::optional<std::string> experts_of(std::string_view path) {
  std::string prefix;
  for (const auto part : peft::split(path)) {
    prefix += (prefix.empty() ? "" : ".") + std::string(part);
    if (part == "experts" && prefix.size() < path.size()) return prefix;
  }
  return std::nullopt;
}

std::optional<Neighbor> fused_expert(const model::BaseIndex& base, std::string_view path) {
  const auto container = experts_of(path);
  if (!container) return std::nullopt;
  std::string experts = *container;
  std::vector<std::string_view> found;
  const auto look = [&](const std::string& where) {
    for (const auto& tensor : base.below(where)) {
      const bool own = tensor.name.find('.', where.size() + 1) == std::string::npos;
      if (own && tensor.shape.size() == 3) found.emplace_back(tensor.name);
    }
  };
  look(experts);
  if (found.empty()) {
    // Mixtral's block_sparse_moe is mlp in transformers 5.
    const auto parent = parent_of(parent_of(experts));
    experts = std::string(parent) + ".mlp.experts";
    look(experts);
  }
  if (found.empty()) return std::nullopt;
  const auto leaf = path.substr(path.rfind('.') + 1);
  const bool down = leaf == "down_proj" || leaf == "w2";
  auto best = found.front();
  for (const auto name : found) {
    const auto word = name.substr(name.rfind('.') + 1);
    if (word == leaf || word == (down ? "down_proj" : "gate_up_proj")) best = name;
  }
  const auto rest = path.substr(container->size() + 1);
  const bool single = base::is_number(rest.substr(0, rest.find('.')));
  return Neighbor{std::string(best),
                  single ? "a parameter that fuses all experts: PEFT does not put single experts "
                           "together on this base"
                         : "a parameter, not a module: PEFT adapts it with target_parameters, as "
                           "flat factors under \"experts\" (rank times experts)"};
}

}  // namespace

bool is_part_of(std::string_view part, std::string_view whole) {
  const auto few = words_of(part);
  const auto many = words_of(whole);
  if (few.size() >= many.size() ||
      !std::includes(many.begin(), many.end(), few.begin(), few.end())) {
    return false;
  }
  std::vector<std::string> rest;
  std::set_difference(many.begin(), many.end(), few.begin(), few.end(), std::back_inserter(rest));
  // "q_a_proj" is not a fusion of "q_proj": single letters count only where they are joined.
  const auto words = model::entries(whole, '_');
  const bool joined = std::any_of(words.begin(), words.end(), is_joined);
  const bool named = std::all_of(rest.begin(), rest.end(), [](const std::string& word) {
    return word == "up" || word == "gate" || word == "key" || word == "value" || word == "query";
  });
  const bool letters = std::all_of(rest.begin(), rest.end(),
                                   [](const std::string& word) { return word.size() == 1; });
  return named || (joined && letters);
}

std::optional<Neighbor> find_neighbor(const model::BaseIndex& base, std::string_view path) {
  if (auto expert = fused_expert(base, path)) return expert;
  const auto parent = parent_of(path);
  const auto leaf = path.substr(path.rfind('.') + 1);
  if (parent.empty()) return std::nullopt;
  for (const auto& tensor : base.below(parent)) {
    const auto name = std::string_view(tensor.name).substr(parent.size() + 1);
    const auto word = name.substr(0, name.find('.'));
    if (word.size() == name.size()) continue;  // A parameter of the parent itself.
    const auto found = std::string(parent) + "." + std::string(word);
    if (is_part_of(leaf, word)) {
      return Neighbor{found, "one layer that holds it and others: parts cannot be loaded there"};
    }
    if (is_part_of(word, leaf)) {
      return Neighbor{found, "a part of it: the base keeps them as layers of their own"};
    }
  }
  return std::nullopt;
}

}  // namespace ferrule::checks
