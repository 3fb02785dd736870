// SPDX-License-Identifier: Apache-2.0
#include "factor/rank_rule.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/checked.hpp"

namespace ferrule::factor {
namespace {

// Sums of squares in double are right to about this share.
constexpr double kRounding = 1e-14;

std::size_t longest(Parts parts) {
  std::size_t rank = 0;
  for (const auto& part : parts) rank = std::max(rank, part.values().size());
  return rank;
}

/// What the products of that rank more keep: the sum of the squares of singular value `rank`.
double square_at(Parts parts, std::size_t rank) {
  double sum = 0;
  for (const auto& part : parts) {
    if (rank < part.values().size()) sum += part.values()[rank] * part.values()[rank];
  }
  return sum;
}

double total_of(Parts parts) {
  double sum = 0;
  for (const auto& part : parts) sum += part.squared_norm();
  return sum;
}

/// |update - kept|^2 for every rank from 0 on, summed from the smallest value up: differences of
/// sums would lose the small ones.
std::vector<double> rests_of(Parts parts) {
  const auto count = longest(parts);
  double kept = 0;
  for (std::size_t rank = count; rank-- > 0;) kept += square_at(parts, rank);
  std::vector<double> rests(count + 1);
  const double beyond = total_of(parts) - kept;
  rests[count] = beyond > kRounding * kept ? beyond : 0;
  for (std::size_t rank = count; rank-- > 0;)
    rests[rank] = rests[rank + 1] + square_at(parts, rank);
  return rests;
}

}  // namespace

std::size_t choose_rank(const RankRule& rule, Parts parts) {
  const auto rests = rests_of(parts);
  const double total = rests.front();
  double allowed = 0;
  const bool bounded = rule.energy || rule.max_error;
  if (rule.energy) allowed = (1 - *rule.energy) * total;
  if (rule.max_error) allowed = std::max(allowed, *rule.max_error * *rule.max_error * total);
  allowed += kRounding * total;
  std::size_t rank = rests.size() - 1;
  while (bounded && rank > 0 && rests[rank - 1] <= allowed) --rank;
  if (rule.rank) rank = std::min(rank, *rule.rank);
  return std::max<std::size_t>(rank, 1);
}

Kept kept_of(Parts parts, std::size_t rank) {
  const auto rests = rests_of(parts);
  Kept kept;
  kept.norm = std::sqrt(rests.front());
  if (rests.front() > 0) {
    kept.relative_error = std::sqrt(rests[std::min(rank, rests.size() - 1)] / rests.front());
  }
  for (const auto& part : parts) {
    kept.values.insert(kept.values.end(), part.values().begin(), part.values().end());
  }
  std::sort(kept.values.rbegin(), kept.values.rend());
  return kept;
}

std::optional<std::vector<std::size_t>> share_budget(std::span<const BudgetModule> modules,
                                                     std::uint64_t budget) {
  std::vector<std::size_t> ranks(modules.size(), 1);
  // (square, module, rank): what a rank beyond the first keeps.
  std::vector<std::tuple<double, std::size_t, std::size_t>> offers;
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    if (!base::add_to(used, modules[i].cost) || used > budget) return std::nullopt;
    const auto count = longest(modules[i].parts);
    for (std::size_t rank = 1; rank < count; ++rank) {
      offers.emplace_back(square_at(modules[i].parts, rank), i, rank);
    }
  }
  std::sort(offers.begin(), offers.end(), [](const auto& x, const auto& y) {
    if (std::get<0>(x) != std::get<0>(y)) return std::get<0>(x) > std::get<0>(y);
    return std::tie(std::get<2>(x), std::get<1>(x)) < std::tie(std::get<2>(y), std::get<1>(y));
  });
  for (const auto& [square, i, rank] : offers) {
    if (ranks[i] != rank || modules[i].cost > budget - used) continue;
    ++ranks[i];
    used += modules[i].cost;
  }
  return ranks;
}

}  // namespace ferrule::factor
