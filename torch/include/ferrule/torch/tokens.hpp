// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/torch/update.hpp"

namespace ferrule::libtorch::detail {

using TokenIndices = std::vector<std::int64_t>;

/// Trained tokens: some rows of an embedding are replaced. The method TRAINABLE_TOKENS, and what
/// `trainable_token_indices` adds to another method: PEFT wraps the module a second time then.
class TokensUpdate final : public Update {
 public:
  TokensUpdate(UpdateSettings settings, std::string box, TokenIndices indices, Tensor values,
               Tensor originals, bool neutral)
      : Update(std::move(settings)),
        box_(std::move(box)),
        indices_(std::move(indices)),
        values_(std::move(values)),
        originals_(std::move(originals)),
        neutral_(neutral) {}

  std::vector<Slot> slots() override {
    return {{"trainable_tokens_delta", "", &values_},
            {"trainable_tokens_original", "", &originals_, true}};
  }
  std::string box() const override { return box_; }
  bool has_scaling() const override { return false; }
  const TokenIndices* tokens() const override { return &indices_; }

  Tensor forward_all(BaseLayer& base, const Tensor& x, std::span<Update* const> active,
                     bool) override {
    Tensor weight = base.weight();
    for (auto* update : active) weight = static_cast<TokensUpdate&>(*update).put_into(weight);
    return base.apply(x, weight);
  }

  void merge(MergeSite& site, bool) override {
    auto& weight = site.base().weight();
    weight.set_data(put_into(weight.data()).detach());
  }

  void unmerge(MergeSite& site) override {
    auto weight = site.base().weight().data();
    weight.index_copy_(0, rows(weight), originals_.to(weight.options()));
  }

 protected:
  bool starts_neutral() const override { return neutral_; }
  bool is_neutral() override { return at::equal(values_, originals_.to(values_.options())); }

 private:
  Tensor rows(const Tensor& weight) const {
    return at::tensor(indices_, at::kLong).to(weight.device());
  }
  Tensor put_into(const Tensor& weight) const {
    return weight.index_copy(0, rows(weight), values_.to(weight.options()));
  }

  std::string box_;
  TokenIndices indices_;
  Tensor values_, originals_;
  bool neutral_;
};

/// A JSON list of token numbers, or nullopt if it is none.
inline std::optional<TokenIndices> token_indices(const Json& value) {
  const auto* items = value.if_array();
  if (items == nullptr) return std::nullopt;
  TokenIndices indices;
  for (const auto& item : *items) {
    const auto* index = item.if_int64();
    if (index == nullptr) return std::nullopt;
    indices.push_back(*index);
  }
  return indices;
}

/// Why a layer cannot have these tokens trained; empty if it can.
inline std::string tokens_obstacle(const std::optional<TokenIndices>& indices,
                                   const BaseLayer& base) {
  if (!indices) return "its token indices are not a list of integers";
  const auto rows = base.weight_rows();
  std::set<std::int64_t> seen;
  for (const auto index : *indices) {
    if (index < 0 || index >= rows) {
      return "token " + std::to_string(index) + " is not one of its " + std::to_string(rows);
    }
    if (!seen.insert(index).second) return "token " + std::to_string(index) + " is listed twice";
  }
  return {};
}

inline PreparedUpdate make_tokens(UpdateSettings settings, BaseLayer& base, std::string box,
                                  TokenIndices indices) {
  const auto weight = base.weight().detach();
  auto originals = weight.index_select(0, at::tensor(indices, at::kLong).to(weight.device()));
  const bool neutral = !box.empty() || settings.config->flag("init_weights", true);
  auto values = neutral ? originals.clone() : at::randn(originals.sizes(), weight.options());
  return {.update = std::make_unique<TokensUpdate>(std::move(settings), std::move(box),
                                                   std::move(indices), std::move(values),
                                                   std::move(originals), neutral)};
}

}  // namespace ferrule::libtorch::detail
