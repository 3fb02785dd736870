// SPDX-License-Identifier: Apache-2.0
#include "factor/truncated.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "factor/block.hpp"
#include "factor/convergence.hpp"
#include "factor/dense_algebra.hpp"
#include "factor/half_kernels.hpp"
#include "factor/subspace.hpp"

namespace ferrule::factor {
namespace {

// Up to this many rows or columns a full decomposition takes milliseconds.
constexpr std::size_t kFull = 256;
// At least that many vectors beyond those asked for: they make the last ones converge.
constexpr std::size_t kMore = 8;
// Vectors of a block are a multiple of this, as wide as a register: more cost nothing.
constexpr std::size_t kLanes = 16;
// Blocks of a Krylov space; then the search starts again from the best vectors in it.
constexpr std::size_t kMaxBlocks = 4;
// Steps in all; each multiplies the update twice.
constexpr int kMaxSteps = 16;
// Below this share of the whole, total - kept is mostly rounding,
constexpr double kCancels = 1e-4;
// and below this one nothing else: a space of all blocks is good enough then.
constexpr double kUnseen = 1e-5;
// Vectors below this share of |update| are what rounding left.
constexpr double kRounding = 1e-7;

Block random_block(std::size_t rows, std::size_t count) {
  Block block(rows, count);
  std::mt19937 engine(1);
  for (auto& value : block.values) value = static_cast<float>(engine()) * 0x1p-31F - 1.0F;
  return block;
}

/// The squares of the largest `count` values, given all squares in descending order.
double kept_by(const std::vector<double>& squares, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < std::min(count, squares.size()); ++i)
    sum += std::max(squares[i], 0.0);
  return sum;
}

/// The block Krylov space of D D^T that begins with D x: an orthonormal basis Q of it in blocks,
/// and W = D^T Q, so that D is close to Q W^T.
class KrylovSpace {
 public:
  KrylovSpace(const DenseUpdate& update, std::size_t count, double total, unsigned threads)
      : update_(update),
        count_(count),
        total_(total),
        least_(kRounding * std::sqrt(total)),
        threads_(threads) {}

  std::size_t blocks() const noexcept { return q_.size(); }

  /// Adds what is new in y, which is D x for orthonormal vectors x. False if nothing is.
  bool add(Block x, Block y) {
    // Twice, because what the first pass leaves may be small and all but orthogonal.
    for (int pass = 0; pass < 2; ++pass) {
      remove(y, q_);
      orthonormalize(y, least_, threads_);
    }
    if (y.count == 0) return false;
    x_.push_back(std::move(x));
    w_.push_back(transposed_times(update_, y, threads_));
    q_.push_back(std::move(y));
    grow();
    return true;
  }

  /// The errors of the best `count` vectors: of those in D x, and of those in Q, which is less.
  double middle_error() const {
    Matrix square(middle_.columns, middle_.columns);
    for (std::size_t i = 0; i < square.rows; ++i) {
      for (std::size_t j = 0; j < square.columns; ++j) {
        for (std::size_t k = 0; k < middle_.rows; ++k) {
          square.at(i, j) += middle_.at(k, i) * middle_.at(k, j);
        }
      }
    }
    return error_of(square);
  }
  double error() const { return error_of(gram_); }

  /// What the space grows by next: the vectors of the last D^T Q that are not in an x.
  Block next() const {
    auto block = w_.back();
    remove(block, x_);
    orthonormalize(block, least_, threads_);
    return block;
  }

  /// The right singular vectors of Q W^T, as many as a block has.
  Block best_right() const {
    const auto eigen = symmetric_eigen(gram_);
    auto right = side(w_, eigen.vectors, w_.front().count);
    orthonormalize(right, least_, threads_);
    return right;
  }

  Decomposed decomposed() const {
    const auto eigen = symmetric_eigen(gram_);
    auto u = side(q_, eigen.vectors, count_);
    auto v = side(w_, eigen.vectors, count_);
    std::vector<double> values;
    for (std::size_t j = 0; j < u.count; ++j) {
      values.push_back(std::sqrt(std::max(eigen.values[j], 0.0)));
    }
    double rest = std::max(total_ - kept_by(eigen.values, count_), 0.0);
    if (rest < kCancels * total_) rest = squared_distance(update_, u, v, threads_);
    Matrix left(u.rows, u.count), right(v.count, v.rows);
    std::copy(u.values.begin(), u.values.end(), left.values.begin());
    for (std::size_t i = 0; i < v.rows; ++i) {
      for (std::size_t j = 0; j < v.count; ++j) {
        right.at(j, i) = values[j] > 0 ? double{v.values[i * v.count + j]} / values[j] : 0;
      }
    }
    return Decomposed::from(std::move(values), std::move(left), std::move(right), rest);
  }

 private:
  double error_of(const Matrix& square) const {
    return std::sqrt(std::max(total_ - kept_by(symmetric_values(square), count_), 0.0));
  }

  void remove(Block& block, const std::vector<Block>& basis) const {
    for (const auto& part : basis) {
      auto inside = cross(part, block, threads_);
      for (auto& value : inside.values) value = -value;
      add_combined(block, part, inside, threads_);
    }
  }

  /// W^T W and Q^T D X = W^T X after the last block of each came.
  void grow() {
    const auto& w = w_.back();
    const auto& x = x_.back();
    Matrix gram(gram_.rows + w.count, gram_.rows + w.count);
    Matrix middle(gram.rows, middle_.columns + x.count);
    const auto copy = [](const Matrix& from, Matrix& to, std::size_t row, std::size_t column) {
      for (std::size_t i = 0; i < from.rows; ++i) {
        std::copy(from.row(i).begin(), from.row(i).end(),
                  to.row(row + i).begin() + static_cast<std::ptrdiff_t>(column));
      }
    };
    copy(gram_, gram, 0, 0);
    // Rows of the new q are zero for the x before: D of these is in the q before.
    copy(middle_, middle, 0, 0);
    std::size_t at = 0;
    for (const auto& part : w_) {
      const auto square = cross(part, w, threads_);
      for (std::size_t i = 0; i < square.rows; ++i) {
        for (std::size_t j = 0; j < square.columns; ++j) {
          gram.at(at + i, gram_.rows + j) = gram.at(gram_.rows + j, at + i) = square.at(i, j);
        }
      }
      copy(cross(part, x, threads_), middle, at, middle_.columns);
      at += part.count;
    }
    gram_ = std::move(gram);
    middle_ = std::move(middle);
  }

  /// The blocks side by side times the first columns of a matrix.
  Block side(const std::vector<Block>& blocks, const Matrix& turn, std::size_t columns) const {
    columns = std::min(columns, turn.columns);
    Block sum(blocks.front().rows, columns);
    std::size_t at = 0;
    for (const auto& block : blocks) {
      Matrix part(block.count, columns);
      for (std::size_t i = 0; i < part.rows; ++i) {
        std::copy_n(turn.row(at + i).begin(), columns, part.row(i).begin());
      }
      add_combined(sum, block, part, threads_);
      at += block.count;
    }
    return sum;
  }

  const DenseUpdate& update_;
  std::size_t count_;
  double total_;
  double least_;
  unsigned threads_;
  std::vector<Block> x_, q_, w_;
  Matrix gram_;
  Matrix middle_;
};

std::optional<Decomposed> in_full(DenseUpdate& update) {
  const auto count = update.rows() * update.columns();
  if (!update.is_made()) update.make(0, update.rows(), 0, update.columns());
  update.set_made();
  const float* const values = update.row(0);
  if (!std::all_of(values, values + count, [](float value) { return std::isfinite(value); })) {
    return std::nullopt;
  }
  Matrix matrix(update.rows(), update.columns());
  std::copy_n(values, count, matrix.values.begin());
  return Decomposed::of(matrix);
}

/// The leading `count` singular values and vectors.
std::optional<Decomposed> leading(DenseUpdate& update, std::size_t count, unsigned threads) {
  const auto width = (count + kMore + kLanes - 1) / kLanes * kLanes;
  const auto full = std::min(update.rows(), update.columns());
  auto x = random_block(update.columns(), width);
  orthonormalize(x, 0, threads);
  double total = 0;
  auto y = times(update, x, threads, &total);
  // Squares of finite floats add up to a finite double.
  if (!std::isfinite(total)) return std::nullopt;
  if (total == 0) return Decomposed();
  Convergence convergence;
  int steps = 0;
  for (;;) {
    KrylovSpace space(update, count, total, threads);
    bool is_full = false;
    bool unseen = false;
    while (!is_full && x.count > 0 && space.add(std::move(x), std::move(y))) {
      const double middle = space.middle_error();
      const double error = space.error();
      unseen = error * error < kUnseen * total;
      ++steps;
      if (convergence.reached(middle, error) && !unseen) return space.decomposed();
      is_full = space.blocks() == kMaxBlocks || (space.blocks() + 1) * width > full;
      if (is_full && (unseen || steps >= kMaxSteps)) return space.decomposed();
      x = is_full ? space.best_right() : space.next();
      if (x.count > 0) y = times(update, x, threads);
    }
    if (space.blocks() == 0) return in_full(update);
    if (!is_full) return space.decomposed();  // There is nothing more to be found.
  }
}

}  // namespace

std::optional<Decomposed> truncated(DenseUpdate update, const RankRule& rule, unsigned threads) {
  const auto full = std::min(update.rows(), update.columns());
  if (full <= kFull) return in_full(update);
  const auto* kernels = half_kernels();
  std::size_t count = std::min(rule.rank.value_or(32), full);
  for (;; count *= 2) {
    if (count + kMore > full / 2) return in_full(update);
    std::optional<Decomposed> decomposed;
    if (kernels != nullptr) decomposed = leading_by_halves(*kernels, update, count, threads);
    if (!decomposed) {
      kernels = nullptr;
      decomposed = leading(update, count, threads);
    }
    if (rule.rank || !decomposed) return decomposed;
    const auto rank = choose_rank(rule, {&*decomposed, 1});
    // Enough if the rule is met by fewer than all that were found.
    const auto found = decomposed->values().size();
    if (rank < found || found < count) return decomposed;
  }
}

}  // namespace ferrule::factor
