// SPDX-License-Identifier: Apache-2.0
#include "update/measure.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "update/tensor_values.hpp"

namespace ferrule::update {
namespace {

// What the sums in double leave of a difference that is none, with a wide margin.
constexpr double kLeastTolerance = 1e-6;
// Rotating or rescaling factors by a matrix of moderate condition multiplies their roundings.
constexpr double kChangedFactors = 1e-5;
// Factors this near to each other were not rewritten: what differs was trained.
constexpr double kSameFactors = 0.05;
constexpr std::size_t kPiece = 2048;

std::optional<double> if_finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

void Squares::add(const Squares& other) noexcept {
  aa += other.aa;
  bb += other.bb;
  ab += other.ab;
  distance += other.distance;
}

DiffMeasure measure_squares(const Squares& squares, double tolerance, bool may_scale) {
  DiffMeasure measure{
      .verdict = DiffVerdict::kDifferent, .factor = {}, .relative_distance = {}, .cosine = {}};
  if (squares.zero()) {
    measure.verdict = DiffVerdict::kSame;
    measure.relative_distance = 0;
    return measure;
  }
  if (squares.aa > 0)
    measure.relative_distance = if_finite(std::sqrt(squares.distance / squares.aa));
  if (!(squares.aa > 0 && squares.bb > 0)) return measure;
  const double cosine = squares.ab / std::sqrt(squares.aa) / std::sqrt(squares.bb);
  if (!std::isfinite(cosine)) return measure;
  measure.cosine = std::clamp(cosine, -1.0, 1.0);
  const double factor = squares.ab / squares.aa;
  const double residual = squares.bb - squares.ab * factor;
  if (squares.distance <= tolerance * tolerance * squares.aa) {
    measure.verdict = DiffVerdict::kSame;
    measure.factor = factor;
  } else if (may_scale && residual <= tolerance * tolerance * squares.bb) {
    measure.verdict = DiffVerdict::kScaled;
    measure.factor = factor;
  }
  return measure;
}

UpdateComparison compare(const LowRankUpdate& a, const LowRankUpdate& b) {
  const auto products = compare_updates(a, b);
  UpdateComparison result{.squares = {.aa = products.aa,
                                      .bb = products.bb,
                                      .ab = products.ab,
                                      .distance = products.distance},
                          .tolerance = kLeastTolerance};
  const auto dtypes_agree =
      a.a->tensor.dtype() == b.a->tensor.dtype() && a.b->tensor.dtype() == b.b->tensor.dtype();
  if (dtypes_agree && products.factor_distance <= kSameFactors) return result;
  result.tolerance = std::max(
      {kChangedFactors, unit_roundoff(a.a->tensor.dtype()), unit_roundoff(a.b->tensor.dtype()),
       unit_roundoff(b.a->tensor.dtype()), unit_roundoff(b.b->tensor.dtype())});
  return result;
}

TensorComparison compare(const TensorView& a, const TensorView& b) {
  TensorComparison result;
  result.same_bytes = a.dtype() == b.dtype() && a.bytes().size() == b.bytes().size() &&
                      std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin());
  if (!has_values(a.dtype()) || !has_values(b.dtype())) return result;
  if (a.dtype() != b.dtype()) {
    result.tolerance = std::max(unit_roundoff(a.dtype()), unit_roundoff(b.dtype()));
  }
  Squares squares;
  std::array<double, kPiece> mine{};
  std::array<double, kPiece> theirs{};
  const auto count = static_cast<std::size_t>(a.element_count());
  for (std::size_t at = 0; at < count; at += kPiece) {
    const auto used = std::min(kPiece, count - at);
    read_values(a, at, std::span(mine).first(used));
    read_values(b, at, std::span(theirs).first(used));
    for (std::size_t i = 0; i < used; ++i) {
      const double difference = mine[i] - theirs[i];
      squares.aa += mine[i] * mine[i];
      squares.bb += theirs[i] * theirs[i];
      squares.ab += mine[i] * theirs[i];
      squares.distance += difference * difference;
      result.largest_difference = std::max(result.largest_difference, std::fabs(difference));
    }
  }
  result.squares = squares;
  return result;
}

double squared_norm(const TensorView& tensor) {
  if (!has_values(tensor.dtype())) return 0;
  double sum = 0;
  std::array<double, kPiece> values{};
  const auto count = static_cast<std::size_t>(tensor.element_count());
  for (std::size_t at = 0; at < count; at += kPiece) {
    const auto piece = std::span(values).first(std::min(kPiece, count - at));
    read_values(tensor, at, piece);
    for (const double value : piece) sum += value * value;
  }
  return sum;
}

bool same_shape(const TensorView& a, const TensorView& b) noexcept {
  return std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end());
}

}  // namespace ferrule::update
