// SPDX-License-Identifier: Apache-2.0
#include "exchange/fold.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/errors.hpp"
#include "ferrule/text.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::exchange {
namespace {

constexpr double kLargestF16 = 65504;
constexpr std::size_t kPiece = 1 << 16;

double largest_magnitude(const Values& values) {
  std::vector<double> piece;
  double largest = 0;
  const auto count = values.element_count();
  for (std::uint64_t first = 0; first < count; first += piece.size()) {
    piece.resize(std::min<std::uint64_t>(kPiece, count - first));
    values.read(first, std::span(piece));
    for (const double value : piece) largest = std::max(largest, std::fabs(value));
    if (first % Values::kReleaseAfter == 0) values.release();
  }
  values.release();
  return largest;
}

}  // namespace

bool is_power_of_two(double factor) noexcept {
  int exponent = 0;
  return std::fabs(std::frexp(factor, &exponent)) == 0.5;
}

Result<Folded> fold(const Site& site, double factor, Dtype stored, Ledger& ledger) {
  Folded out{site.a, site.b};
  if (factor == 1) return out;
  double on_a = 1;
  double on_b = factor;
  if (stored == Dtype::kF16 && std::fabs(factor) > 1) {
    const double b = largest_magnitude(site.b);
    while (b * std::fabs(on_b) > kLargestF16 / 2 && std::isfinite(b)) {
      on_b /= 2;
      on_a *= 2;
    }
    if (on_a != 1 && largest_magnitude(site.a) * on_a > kLargestF16) {
      return base::unsupported("EX-10", "the strength " + std::to_string(factor) + " of " +
                                            quote(site.name()) +
                                            " does not fit into factors of F16; use --dtype f32");
    }
  }
  out.a = site.a.scaled(on_a);
  out.b = site.b.scaled(on_b);
  ledger.folded(site.name(), factor, factor == 0 || is_power_of_two(factor));
  return out;
}

double most_common_scale(std::span<const Site> sites) {
  std::map<double, std::size_t> counts;
  for (const auto& site : sites) ++counts[site.scale];
  double best = sites.empty() ? 1 : sites.front().scale;
  for (const auto& [scale, count] : counts) {
    if (count > counts[best]) best = scale;
  }
  return best;
}

double alpha_of(const Site& site) noexcept {
  return site.alpha ? *site.alpha : site.scale * static_cast<double>(site.rank);
}

Dtype stored_dtype(const Values& values, std::string_view dtype) {
  if (!update::has_values(values.dtype())) return values.dtype();
  if (dtype == "f32") return Dtype::kF32;
  if (dtype == "f16") return Dtype::kF16;
  if (dtype == "bf16") return Dtype::kBF16;
  return values.dtype();
}

}  // namespace ferrule::exchange
