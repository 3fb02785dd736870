// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/ledger.hpp"
#include "exchange/middle.hpp"

namespace ferrule::exchange {

/// A and B of a site with a factor multiplied in.
struct Folded {
  Values a;
  Values b;
};

/// Multiplies B by `factor`, and notes it. Powers of two are exact; others are computed in double
/// and rounded once when written. Where B would overflow `stored` (F16), powers of two go to A.
/// Fails with kUnsupported (EX-10) if both would overflow.
Result<Folded> fold(const Site& site, double factor, Dtype stored, Ledger& ledger);

bool is_power_of_two(double factor) noexcept;

/// The scale that most sites have (the first of them if several are equally frequent).
double most_common_scale(std::span<const Site> sites);

/// alpha of a site for a format that divides it by the rank: as the source had it, else scale *
/// rank.
double alpha_of(const Site& site) noexcept;

/// The dtype of --dtype ("f32", "f16", "bf16"), else that of the values.
Dtype stored_dtype(const Values& values, std::string_view dtype);

}  // namespace ferrule::exchange
