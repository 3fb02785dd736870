// SPDX-License-Identifier: Apache-2.0
#include "factor/sum_of_products.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "factor/dense_algebra.hpp"
#include "factor/multiply.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::factor {
namespace {

// Below this many elements of both factors the accurate way costs nothing.
constexpr std::size_t kSmall = 1 << 15;
// Columns of A, or rows of B, that are worked on at a time.
constexpr std::size_t kStretch = 512;

/// Elements `first` to `first + out.size()` of vector v.
void read_vector(const update::VectorSet& set, std::size_t v, std::size_t first,
                 std::span<double> out) {
  if (set.element_stride == 1) {
    update::read_values(set.tensor, set.first + v * set.vector_stride + first, out);
  } else {
    for (std::size_t k = 0; k < out.size(); ++k) {
      update::read_values(set.tensor,
                          set.first + v * set.vector_stride + (first + k) * set.element_stride,
                          out.subspan(k, 1));
    }
  }
  if (v < set.weights.size()) {
    for (auto& value : out) value *= set.weights[v];
  }
}

/// Element `k` of every vector.
void read_across(const update::VectorSet& set, std::size_t k, std::span<double> out) {
  if (set.vector_stride == 1 && set.weights.empty()) {
    return update::read_values(set.tensor, set.first + k * set.element_stride, out);
  }
  for (std::size_t v = 0; v < set.count; ++v) read_vector(set, v, k, out.subspan(v, 1));
}

std::size_t count_vectors(std::span<const Term> terms) {
  return std::accumulate(terms.begin(), terms.end(), std::size_t{0},
                         [](std::size_t sum, const Term& term) { return sum + term.a.count; });
}

bool equal(const update::VectorSet& x, const update::VectorSet& y) {
  if (x.count != y.count || x.length != y.length || x.tensor.dtype() != y.tensor.dtype()) {
    return false;
  }
  if (x.weights.size() != y.weights.size() ||
      !std::equal(x.weights.begin(), x.weights.end(), y.weights.begin())) {
    return false;
  }
  if (x.first == y.first && x.vector_stride == y.vector_stride &&
      x.element_stride == y.element_stride) {
    const auto mine = x.tensor.bytes();
    const auto theirs = y.tensor.bytes();
    if (mine.size() == theirs.size() && mine.data() == theirs.data()) return true;
  }
  std::vector<double> mine(x.count), theirs(y.count);
  for (std::size_t k = 0; k < x.length; ++k) {
    read_across(x, k, mine);
    read_across(y, k, theirs);
    if (mine != theirs) return false;
  }
  return true;
}

/// Terms of equal factors become one, those of factor zero none.
std::vector<Term> added_up(std::vector<Term> terms) {
  std::vector<Term> sum;
  for (auto& term : terms) {
    const auto same = std::find_if(sum.begin(), sum.end(), [&](const Term& other) {
      return equal(other.b, term.b) && equal(other.a, term.a);
    });
    if (same == sum.end()) {
      sum.push_back(std::move(term));
    } else {
      same->factor += term.factor;
    }
  }
  std::erase_if(sum, [](const Term& term) { return term.factor == 0; });
  return sum;
}

Matrix gram(std::span<const Term> terms, bool of_a) {
  std::vector<update::Vectors> parts;
  for (const auto& term : terms) {
    parts.push_back(of_a ? update::Vectors{.set = term.a, .factor = term.factor}
                         : update::Vectors{.set = term.b});
  }
  const auto gram = update::gram_of(parts);
  const auto count = count_vectors(terms);
  Matrix matrix(count, count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < count; ++j) matrix.at(i, j) = gram.at(i, j);
  }
  return matrix;
}

double sum_of_squares(std::span<const double> values) {
  return std::transform_reduce(values.begin(), values.end(), 0.0, std::plus<>(),
                               [](double value) { return value * value; });
}

}  // namespace

Matrix stacked_a(std::span<const Term> terms, std::size_t first, std::size_t width) {
  Matrix panel(count_vectors(terms), width);
  std::size_t row = 0;
  for (const auto& term : terms) {
    for (std::size_t v = 0; v < term.a.count; ++v, ++row) {
      read_vector(term.a, v, first, panel.row(row));
      if (term.factor == 1) continue;
      for (auto& value : panel.row(row)) value *= term.factor;
    }
  }
  return panel;
}

Matrix stacked_b(std::span<const Term> terms, std::size_t first, std::size_t height) {
  Matrix panel(height, count_vectors(terms));
  for (std::size_t k = 0; k < height; ++k) {
    std::size_t column = 0;
    for (const auto& term : terms) {
      read_across(term.b, first + k, panel.row(k).subspan(column, term.b.count));
      column += term.b.count;
    }
  }
  return panel;
}

double squared_norm(std::span<const Term> terms) {
  if (terms.empty()) return 0;
  const auto a = gram(terms, true);
  const auto b = gram(terms, false);
  const double sum = std::inner_product(a.values.begin(), a.values.end(), b.values.begin(), 0.0);
  return std::max(sum, 0.0);
}

void Decomposed::keep(std::vector<double> values, double rest) {
  // What rounding leaves of a singular value of zero.
  const double noise = values.empty() ? 0
                                      : values.front() * std::numeric_limits<double>::epsilon() *
                                            4 * static_cast<double>(values.size());
  while (!values.empty() && !(values.back() > noise)) values.pop_back();
  values_ = std::move(values);
  squared_norm_ = sum_of_squares(values_) + rest;
}

Decomposed Decomposed::of(std::vector<Term> terms, std::size_t out, std::size_t in) {
  Decomposed result;
  terms = added_up(std::move(terms));
  if (terms.empty()) return result;
  const auto count = count_vectors(terms);
  if ((in + out) * count > kSmall && count <= std::min(in, out) && count <= update::kMaxVectors) {
    if (auto core = core_of(gram(terms, true), gram(terms, false))) {
      result.keep(std::move(core->values), 0);
      result.right_ = std::move(core->right);
      result.left_ = std::move(core->left);
      result.terms_ = std::move(terms);
      return result;
    }
  }
  auto svd = product_svd(stacked_b(terms, 0, out), stacked_a(terms, 0, in));
  return from(std::move(svd.values), std::move(svd.u), std::move(svd.vt), 0);
}

Decomposed Decomposed::of(const Matrix& update) {
  auto svd = svd_of(update);
  return from(std::move(svd.values), std::move(svd.u), std::move(svd.vt), 0);
}

Decomposed Decomposed::from(std::vector<double> values, Matrix u, Matrix vt, double rest) {
  Decomposed result;
  result.keep(std::move(values), rest);
  result.u_ = std::move(u);
  result.vt_ = std::move(vt);
  return result;
}

Decomposed Decomposed::transposed() && {
  const auto turned = [](const Matrix& matrix) {
    Matrix out(matrix.columns, matrix.rows);
    for (std::size_t i = 0; i < matrix.rows; ++i) {
      for (std::size_t j = 0; j < matrix.columns; ++j) out.at(j, i) = matrix.at(i, j);
    }
    return out;
  };
  auto u = turned(vt_);
  vt_ = turned(u_);
  u_ = std::move(u);
  return std::move(*this);
}

void Decomposed::write(std::size_t rank, std::size_t part, FactorPair& pair) const {
  rank = std::min(rank, values_.size());
  if (rank == 0) return;
  if (terms_.empty()) return write_vectors(rank, part, pair);
  write_a(rank, part, pair);
  write_b(rank, part, pair);
}

void Decomposed::write_vectors(std::size_t rank, std::size_t part, FactorPair& pair) const {
  std::vector<double> roots(rank);
  for (std::size_t v = 0; v < rank; ++v) roots[v] = std::sqrt(values_[v]);
  std::vector<double> scaled;
  for (std::size_t v = 0; v < rank; ++v) {
    const auto row = vt_.row(v);
    scaled.assign(row.begin(), row.end());
    for (auto& value : scaled) value *= roots[v];
    pair.put_a(part, v, 0, scaled);
  }
  for (std::size_t i = 0; i < u_.rows; ++i) {
    const auto row = u_.row(i).first(rank);
    scaled.resize(rank);
    std::transform(row.begin(), row.end(), roots.begin(), scaled.begin(), std::multiplies<>());
    pair.put_b(part, i, 0, scaled);
  }
}

void Decomposed::write_a(std::size_t rank, std::size_t part, FactorPair& pair) const {
  const auto length = terms_.front().a.length;
  std::vector<double> made(rank * kStretch);
  for (std::size_t first = 0; first < length; first += kStretch) {
    const auto width = std::min(kStretch, length - first);
    const auto panel = stacked_a(terms_, first, width);
    multiply(left_.values.data(), left_.columns, panel.values.data(), width, made.data(), width,
             rank, left_.columns, width);
    for (std::size_t v = 0; v < rank; ++v) {
      pair.put_a(part, v, first, std::span(made).subspan(v * width, width));
    }
  }
}

void Decomposed::write_b(std::size_t rank, std::size_t part, FactorPair& pair) const {
  const auto length = terms_.front().b.length;
  std::vector<double> made(rank * kStretch);
  for (std::size_t first = 0; first < length; first += kStretch) {
    const auto height = std::min(kStretch, length - first);
    const auto panel = stacked_b(terms_, first, height);
    multiply(panel.values.data(), panel.columns, right_.values.data(), right_.columns, made.data(),
             rank, height, panel.columns, rank);
    for (std::size_t i = 0; i < height; ++i) {
      pair.put_b(part, first + i, 0, std::span(made).subspan(i * rank, rank));
    }
  }
}

}  // namespace ferrule::factor
