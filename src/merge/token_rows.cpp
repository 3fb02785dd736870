// SPDX-License-Identifier: Apache-2.0
#include "merge/token_rows.hpp"

#include <string>

#include "base/shape_text.hpp"
#include "ferrule/text.hpp"

namespace ferrule::merging {
namespace {

/// `token_indices` of TRAINABLE_TOKENS, or `trainable_token_indices`: a list, or lists by module.
const Json* list_for(const AdapterConfig& config, std::string_view path) {
  const auto* own = config.find("token_indices");
  if (config.peft_type() == "TRAINABLE_TOKENS" && own != nullptr) return own;
  const auto* field = config.find("trainable_token_indices");
  if (field == nullptr || field->if_object() == nullptr) return field;
  const Json* only = nullptr;
  for (const auto& [name, list] : *field->if_object()) {
    if (path == name || path.ends_with("." + name)) return &list;
    only = &list;
  }
  // A tied head has the embedding's tokens.
  return field->if_object()->size() == 1 ? only : nullptr;
}

}  // namespace

Result<std::vector<std::uint64_t>> token_rows(const Site& site, const AdapterTensor& tensor,
                                              std::span<const std::uint64_t> weight) {
  const auto* list = list_for(site.config(), site.live);
  if (list == nullptr || list->if_array() == nullptr) {
    return site.refuse("MG-3", "the config does not say which tokens were trained");
  }
  std::vector<std::uint64_t> rows;
  for (const auto& item : *list->if_array()) {
    const auto* index = item.if_int64();
    if (index == nullptr || *index < 0 || static_cast<std::uint64_t>(*index) >= weight[0]) {
      return site.refuse("BS-9", "the config names token " + item.dump() + ", the base has " +
                                     std::to_string(weight[0]) + " rows");
    }
    rows.push_back(static_cast<std::uint64_t>(*index));
  }
  const auto shape = tensor.tensor.shape();
  if (weight.size() != 2 || shape.size() != 2 || shape[0] != rows.size() || shape[1] != weight[1] ||
      !has_numbers(tensor.tensor.dtype())) {
    return site.refuse("BS-2", "its trained rows do not fit: the config names " +
                                   std::to_string(rows.size()) + " tokens, the tensor is " +
                                   base::shape_text(shape) + " and the base's weight " +
                                   base::shape_text(weight));
  }
  return rows;
}

}  // namespace ferrule::merging
