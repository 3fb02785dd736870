// SPDX-License-Identifier: Apache-2.0
#include "exchange/rope_rows.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

// Beyond any model; keeps products far from overflow.
constexpr std::int64_t kMaxExtent = 1 << 20;

std::optional<std::uint64_t> extent(const BaseComponent& model, std::string_view field) {
  const auto value = model.integer(field);
  if (!value || *value <= 0 || *value > kMaxExtent) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

/// As transformers' models have it.
std::uint64_t key_value_heads(const BaseComponent& model, std::uint64_t query) {
  if (const auto count = extent(model, "num_key_value_heads")) return *count;
  const bool many = model.flag("new_decoder_architecture").value_or(false);
  const auto* type = model.config.find("model_type");
  if (type == nullptr || *type != Json("falcon")) return query;
  if (!many && model.flag("multi_query").value_or(true)) return 1;
  return extent(model, "num_kv_heads").value_or(query);
}

/// Row 2i + j of a head in one order is row j * width / 2 + i of it in the other.
std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> both_orders(std::uint64_t heads,
                                                                              std::uint64_t width) {
  std::vector<std::uint32_t> paired(heads * width), halved(heads * width);
  for (std::uint64_t head = 0; head < heads; ++head) {
    for (std::uint64_t i = 0; i < width / 2; ++i) {
      for (std::uint64_t j = 0; j < 2; ++j) {
        const auto in_pairs = static_cast<std::uint32_t>(head * width + 2 * i + j);
        const auto in_halves = static_cast<std::uint32_t>(head * width + j * (width / 2) + i);
        paired[in_pairs] = in_halves;
        halved[in_halves] = in_pairs;
      }
    }
  }
  return {std::move(paired), std::move(halved)};
}

}  // namespace

Result<Heads> heads_of(const BaseFacts& base, std::string_view why) {
  const auto* model = base.model();
  if (model == nullptr) {
    return base::unsupported(
        "EX-4", "--base with the model's config.json is needed, because " + std::string(why));
  }
  auto query = extent(*model, "num_attention_heads");
  if (!query) query = extent(*model, "n_head");
  auto hidden = extent(*model, "hidden_size");
  if (!hidden) hidden = extent(*model, "n_embd");
  auto width = extent(*model, "head_dim");
  if (!width && query && hidden) width = *hidden / *query;
  if (!query || !width || *width % 2 != 0) {
    return base::unsupported("EX-4",
                             "the base's config.json does not give num_attention_heads and "
                             "head_dim (or hidden_size), and they are needed, because " +
                                 std::string(why));
  }
  return Heads{.query = *query, .key_value = key_value_heads(*model, *query), .width = *width};
}

RowOrder paired_rows(std::uint64_t heads, std::uint64_t width) {
  return std::make_shared<const std::vector<std::uint32_t>>(both_orders(heads, width).first);
}

RowOrder halved_rows(std::uint64_t heads, std::uint64_t width) {
  return std::make_shared<const std::vector<std::uint32_t>>(both_orders(heads, width).second);
}

Result<Values> RowMover::move(std::string_view path, const Values& values) const {
  const bool query = path.ends_with(".q_proj");
  if (!query && !path.ends_with(".k_proj")) return values;
  const auto& order = query ? query_ : key_;
  if (!order) return values;
  if (values.dim(0) != order->size()) {
    return base::corrupt("EX-8", "module " + quote(path) + " has " + std::to_string(values.dim(0)) +
                                     " rows, and the base's heads have " +
                                     std::to_string(order->size()));
  }
  return values.gathered(0, order);
}

}  // namespace ferrule::exchange
