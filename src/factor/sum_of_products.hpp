// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "factor/factor_pair.hpp"
#include "factor/matrix.hpp"
#include "update/gram.hpp"

namespace ferrule::factor {

/// `factor * b a`, one of the products that add up to an update.
struct Term {
  double factor = 1;
  update::VectorSet a;  ///< Rows of A.
  update::VectorSet b;  ///< Columns of B.
};

/// An update ready to be cut to any rank: its singular values, and what makes the vectors.
class Decomposed {
 public:
  /// Of a sum of products of one shape, by low-rank algebra: the update is never formed. Terms of
  /// equal factors are added up first, so that what cancels leaves nothing. `terms` can be empty
  /// for an update of zero.
  static Decomposed of(std::vector<Term> terms, std::size_t out, std::size_t in);

  /// Of a matrix that is there, out x in.
  static Decomposed of(const Matrix& update);

  /// From a decomposition with `rest`, the squared norm of what it leaves out.
  static Decomposed from(std::vector<double> values, Matrix u, Matrix vt, double rest);

  /// The decomposition of the transposed update; of one that was made from vectors.
  Decomposed transposed() &&;

  /// Descending; what is rounding noise is left out.
  std::span<const double> values() const noexcept { return values_; }
  /// |update|^2.
  double squared_norm() const noexcept { return squared_norm_; }

  /// Puts the best factors of rank `rank` into the pair, both of equal norm; vectors beyond
  /// values() are zero. The pair has at least that rank.
  void write(std::size_t rank, std::size_t part, FactorPair& pair) const;

 private:
  void keep(std::vector<double> values, double rest);
  void write_vectors(std::size_t rank, std::size_t part, FactorPair& pair) const;
  void write_a(std::size_t rank, std::size_t part, FactorPair& pair) const;
  void write_b(std::size_t rank, std::size_t part, FactorPair& pair) const;

  std::vector<double> values_;
  double squared_norm_ = 0;
  // Either the vectors themselves,
  Matrix u_, vt_;
  // or what makes them, times the roots of the values, of the terms.
  std::vector<Term> terms_;
  Matrix right_, left_;
};

/// Rows of the A of all terms, one below the other, with their factors; columns `first` to
/// `first + width`.
Matrix stacked_a(std::span<const Term> terms, std::size_t first, std::size_t width);
/// Columns of the B of all terms side by side; rows `first` to `first + height`.
Matrix stacked_b(std::span<const Term> terms, std::size_t first, std::size_t height);

/// |sum of the terms|^2, from inner products of the factors.
double squared_norm(std::span<const Term> terms);

}  // namespace ferrule::factor
