// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "factor/sum_of_products.hpp"

namespace ferrule::factor {

/// How the rank of a module is chosen. What is given is an upper bound each.
struct RankRule {
  std::optional<std::size_t> rank = {};
  /// The share of |update|^2 that must be kept, 0 to 1.
  std::optional<double> energy = {};
  /// |update - kept| / |update| that is allowed.
  std::optional<double> max_error = {};
};

/// The singular values of the products of a module, which get one rank.
using Parts = std::span<const Decomposed>;

/// The smallest rank that does what the rule asks for: at least 1, at most the rank of the update.
std::size_t choose_rank(const RankRule& rule, Parts parts);

/// |update|, |update - kept| / |update|, and the largest singular values of all products.
struct Kept {
  double norm = 0;
  double relative_error = 0;
  std::vector<double> values;
};
Kept kept_of(Parts parts, std::size_t rank);

/// One module of an adapter that shares a budget.
struct BudgetModule {
  Parts parts;
  /// Elements that one more rank costs.
  std::uint64_t cost = 0;
};

/// Ranks of all modules that together have at most `budget` elements: 1 each, and the rest by
/// singular values, the largest of all modules first; what does not fit is passed over. nullopt if
/// rank 1 of every module is more than the budget.
std::optional<std::vector<std::size_t>> share_budget(std::span<const BudgetModule> modules,
                                                     std::uint64_t budget);

}  // namespace ferrule::factor
