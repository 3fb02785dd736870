// SPDX-License-Identifier: Apache-2.0
#include "merge/module_order.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <utility>

#include "model/layout_order.hpp"

namespace ferrule::merging {
namespace {

/// Names of modules beside each other. OPT, BART and Whisper have k, v, q, and out_proj after them.
constexpr std::array<std::string_view, 36> kOrder = {
    "embed_tokens", "wte",       "wpe",     "embeddings", "encoder",   "decoder",
    "layers",       "h",         "ln_1",    "self_attn",  "attention", "attn",
    "c_attn",       "q_proj",    "k_proj",  "v_proj",     "o_proj",    "out_proj",
    "query",        "key",       "value",   "c_proj",     "ln_2",      "mlp",
    "c_fc",         "gate_proj", "up_proj", "down_proj",  "fc1",       "fc2",
    "dense",        "norm",      "pooler",  "lm_head",    "score",     "classifier"};

std::size_t place(std::string_view name) {
  return static_cast<std::size_t>(std::find(kOrder.begin(), kOrder.end(), name) - kOrder.begin());
}

std::string_view take(std::string_view& path) {
  const auto dot = path.find('.');
  const auto part = path.substr(0, dot);
  path = dot == path.npos ? std::string_view() : path.substr(dot + 1);
  return part;
}

}  // namespace

bool comes_before(std::string_view a, std::string_view b) {
  std::string_view parent;
  while (!a.empty() && !b.empty()) {
    const auto x = take(a);
    const auto y = take(b);
    if (x == y) {
      parent = x;
      continue;
    }
    std::size_t i = 0, j = 0;
    const bool numbers = std::from_chars(x.data(), x.data() + x.size(), i).ec == std::errc() &&
                         std::from_chars(y.data(), y.data() + y.size(), j).ec == std::errc();
    if (numbers) return i < j;
    // GPT-2's c_proj is after c_attn in attn, and after c_fc in mlp.
    if (parent == "mlp" && (x == "c_fc" || y == "c_fc")) return x == "c_fc";
    const auto p = place(x);
    const auto q = place(y);
    return p != q ? p < q : x < y;
  }
  return a.empty() && !b.empty();
}

void sort_as_model(std::vector<std::string>& paths, const model::BaseIndex& base) {
  const model::LayoutOrder order(base.names.model_class(), base.config);
  std::vector<std::pair<std::vector<std::size_t>, std::string>> placed;
  for (const auto& path : paths) {
    auto place = order.place_of(path);
    if (!place) return std::sort(paths.begin(), paths.end(), comes_before);
    placed.emplace_back(*std::move(place), path);
  }
  std::sort(placed.begin(), placed.end());
  for (std::size_t i = 0; i < paths.size(); ++i) paths[i] = std::move(placed[i].second);
}

}  // namespace ferrule::merging
