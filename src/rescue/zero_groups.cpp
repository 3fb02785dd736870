// SPDX-License-Identifier: Apache-2.0
#include "rescue/zero_groups.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "ferrule/text.hpp"
#include "rescue/sources.hpp"

namespace ferrule::rescues {
namespace {}  // namespace

Result<ParameterGroups> read_parameter_groups(const ZeroFiles& files) {
  const auto& first = files.models.front();
  ParameterGroups out;
  const auto view = first.view();
  const auto groups = view.find(view.root(), "param_shapes");
  if (!groups || !view.is_sequence(*groups)) {
    if (files.optimizers.empty()) return out;
    return first.bad("RS-8", "it has no param_shapes: an old or unknown form");
  }
  std::set<std::string> names;
  for (const auto& group : view.items(*groups)) {
    auto& parameters = out.emplace_back();
    const auto pairs = view.pairs(group);
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const auto name = view.text(pairs[i]);
      auto shape = view.counts(pairs[i + 1]);
      const auto elements = shape && shape->size() <= kMaxRank ? element_count(*shape)
                                                               : std::optional<std::uint64_t>();
      if (!name || !elements || !byte_size(Dtype::kF64, *shape)) {
        return first.bad("RS-8", "an entry of param_shapes is not a name and a shape");
      }
      if (!names.emplace(*name).second) {
        return first.bad("RS-8", "param_shapes has " + quote(*name) + " twice");
      }
      parameters.push_back({std::string(*name), *std::move(shape), *elements, 0});
    }
  }
  for (std::size_t rank = 1; rank < files.models.size(); ++rank) {
    const auto& other = files.models[rank];
    const auto found = other.view().find(other.view().root(), "param_shapes");
    std::size_t budget = ~std::size_t{0};
    if (!found ||
        !format::same_plain_data(first.pickle(), *groups, other.pickle(), *found, budget)) {
      return other.bad(
          "RS-6", "its parameters are not those of " + quote(first.path().filename().string()));
    }
  }
  return out;
}

void cut(const std::vector<Flat>& sequence, std::uint64_t first, std::uint64_t count,
         std::uint64_t at, std::vector<Piece>& pieces) {
  for (const auto& flat : sequence) {
    const auto from = std::max(first, flat.first);
    const auto to = std::min(first + count, flat.first + flat.elements);
    if (from >= to) continue;
    Piece piece = flat.place;
    piece.is_range = true;
    piece.offsets = {at + (from - first)};
    piece.sizes = {to - from};
    piece.start += (from - flat.first) * (bit_width(flat.dtype) / 8);
    piece.strides.clear();
    pieces.push_back(std::move(piece));
  }
}

}  // namespace ferrule::rescues
