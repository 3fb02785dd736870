// SPDX-License-Identifier: Apache-2.0
#include "model/shape_flow.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/checked.hpp"

namespace ferrule::model {
namespace {

using Lists = std::vector<std::vector<Shape>>;

bool all_equal(const std::vector<Shape>& list) {
  return std::all_of(list.begin(), list.end(), [&](const Shape& s) { return s == list.front(); });
}

bool stack(Lists& lists, std::size_t dimension) {
  for (auto& list : lists) {
    if (list.empty() || !all_equal(list) || dimension > list.front().size()) return false;
    Shape shape = list.front();
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(dimension), list.size());
    list = {std::move(shape)};
  }
  return true;
}

bool concatenate(Lists& lists, std::size_t dimension) {
  std::vector<Shape> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  if (all.empty() || dimension >= all.front().size()) return false;
  Shape sum = all.front();
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i].size() != sum.size()) return false;
    for (std::size_t axis = 0; axis < sum.size(); ++axis) {
      if (axis != dimension && all[i][axis] != sum[axis]) return false;
    }
    const auto total = base::checked_add(sum[dimension], all[i][dimension]);
    if (!total) return false;
    sum[dimension] = *total;
  }
  lists = {{std::move(sum)}};
  return true;
}

bool chunk(Lists& lists, std::size_t dimension, std::size_t targets) {
  if (lists.size() != 1 || lists[0].size() != 1 || targets == 0) return false;
  Shape shape = lists[0][0];
  if (dimension >= shape.size() || shape[dimension] % targets != 0) return false;
  shape[dimension] /= targets;
  lists.assign(targets, {shape});
  return true;
}

bool transpose(Lists& lists, std::size_t a, std::size_t b) {
  for (auto& list : lists) {
    for (auto& shape : list) {
      if (a >= shape.size() || b >= shape.size()) return false;
      std::swap(shape[a], shape[b]);
    }
  }
  return true;
}

}  // namespace

std::vector<Shape> follow_shapes(std::string_view operations, const Lists& sources,
                                 std::size_t targets) {
  Lists lists = sources;
  const auto digit = [&](std::size_t at) -> std::size_t {
    return at < operations.size() && operations[at] >= '0' && operations[at] <= '9'
               ? static_cast<std::size_t>(operations[at] - '0')
               : 99;  // Beyond any rank: refused.
  };
  for (std::size_t i = 0; i < operations.size(); ++i) {
    bool done = false;
    switch (operations[i]) {
      case 'm':
        done = stack(lists, digit(++i));
        break;
      case 'c':
        done = concatenate(lists, digit(++i));
        break;
      case 'h':
        done = chunk(lists, digit(++i), targets);
        break;
      case 't':
        done = transpose(lists, digit(i + 1), digit(i + 2));
        i += 2;
        break;
      case 'i':
        done = true;
        break;
      default:
        break;
    }
    if (!done) return {};
  }
  std::vector<Shape> out;
  for (auto& list : lists) {
    if (list.size() != 1) return {};
    out.push_back(std::move(list.front()));
  }
  return out.size() == targets ? out : std::vector<Shape>();
}

}  // namespace ferrule::model
