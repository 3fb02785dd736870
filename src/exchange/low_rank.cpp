// SPDX-License-Identifier: Apache-2.0
#include "exchange/low_rank.hpp"

#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

/// Elements of the larger of both new factors.
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 27;
/// The smaller extent of a whole factor. Of a small LoKr it is 4 to 32.
constexpr std::uint64_t kMaxWhole = 256;

struct Matrix {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::vector<double> elements = {};

  double at(std::uint64_t i, std::uint64_t j) const { return elements[i * columns + j]; }
};

Matrix matrix_of(const Values& values) { return {values.dim(0), values.dim(1), values.all()}; }

Values identity(std::uint64_t size, Dtype dtype) {
  return Values::block_diagonal(
      std::vector<Values>(static_cast<std::size_t>(size), Values::owned({1.0}, {1, 1}, dtype)));
}

/// A matrix as the product of two.
struct Factors {
  Values left;
  Values right;
};

/// Every element of x times y, block by block. Nothing is computed before it is read.
Values kronecker(const Values& x, const Values& y) {
  const auto numbers = x.all();
  std::vector<Values> rows;
  for (std::uint64_t i = 0; i < x.dim(0); ++i) {
    std::vector<Values> blocks;
    for (std::uint64_t j = 0; j < x.dim(1); ++j) {
      const double number = numbers[i * x.dim(1) + j];
      blocks.push_back(number == 0 ? Values::zeros(y.dtype(), y.shape()) : y.scaled(number));
    }
    rows.push_back(Values::concatenated(blocks, 1));
  }
  return Values::concatenated(rows, 0);
}

/// Row i is all products of an element of row i of x and one of y.
Matrix products_of_rows(const Matrix& x, const Matrix& y) {
  Matrix out{x.rows, x.columns * y.columns, {}};
  out.elements.reserve(static_cast<std::size_t>(out.rows * out.columns));
  for (std::uint64_t i = 0; i < x.rows; ++i) {
    for (std::uint64_t j = 0; j < x.columns; ++j) {
      for (std::uint64_t k = 0; k < y.columns; ++k) out.elements.push_back(x.at(i, j) * y.at(i, k));
    }
  }
  return out;
}

/// Column j is all products of an element of column j of x and one of y.
Matrix products_of_columns(const Matrix& x, const Matrix& y) {
  Matrix out{x.rows * y.rows, x.columns, {}};
  out.elements.reserve(static_cast<std::size_t>(out.rows * out.columns));
  for (std::uint64_t i = 0; i < x.rows; ++i) {
    for (std::uint64_t k = 0; k < y.rows; ++k) {
      for (std::uint64_t j = 0; j < x.columns; ++j) out.elements.push_back(x.at(i, j) * y.at(k, j));
    }
  }
  return out;
}

class Writer {
 public:
  Writer(const Site& site, const Shape* shape) : site_(site) {
    if (site.kind != SiteKind::kConv) return;
    // Whole second factors have the kernel's dimensions, others have them in one with the channels.
    const auto whole = site.others.find("lokr_w2");
    if (whole != site.others.end() && whole->second.shape().size() > 2)
      shape = &whole->second.shape();
    if (shape != nullptr && shape->size() > 2) kernel_.assign(shape->begin() + 2, shape->end());
  }

  Result<Site> write() const {
    FERRULE_CHECK(check());
    return site_.method == "LOHA" ? hadamard() : kronecker_product();
  }

 private:
  bool has(const char* role) const { return site_.others.contains(role); }
  const Values& at(const char* role) const { return site_.others.find(role)->second; }

  Result<void> check() const {
    bool fits = site_.kind != SiteKind::kConv || !kernel_.empty();
    for (const auto& [role, values] : site_.others) {
      const bool flat = values.shape().size() == 2 || role == "lokr_w2";
      fits = fits && flat && values.element_count() != 0;
    }
    if (fits && (site_.method == "LOHA" || site_.method == "LOKR")) return {};
    return base::unsupported("EX-3", quote(site_.name()) + " is of the method " + site_.method +
                                         " with a core (or a kernel that only --base with weights "
                                         "tells), and cannot be written out as LoRA");
  }

  Result<void> check_size(std::uint64_t rows, std::uint64_t rank, std::uint64_t columns) const {
    if (rank != 0 && rows <= kMaxElements / rank && columns <= kMaxElements / rank) return {};
    return base::over_limit(
        "EX-8", quote(site_.name()) + " would need a rank of " + std::to_string(rank) + " as LoRA");
  }

  Error do_not_fit() const {
    return base::corrupt("EX-8", quote(site_.name()) + " has factors that do not fit each other");
  }

  /// Columns as channels and the kernel.
  Result<Values> with_kernel(const Values& right) const {
    Shape shape = {right.dim(0), right.element_count() / right.dim(0)};
    for (const auto extent : kernel_) {
      if (extent == 0 || shape[1] % extent != 0) return do_not_fit();
      shape[1] /= extent;
      shape.push_back(extent);
    }
    return right.reshaped(shape);
  }

  /// Rows of the second factor of a convolution, which is one point.
  Values with_point(const Values& left) const {
    Shape shape = {left.dim(0), left.dim(1)};
    shape.resize(2 + kernel_.size(), 1);
    return left.reshaped(shape);
  }

  Result<Site> hadamard() const {
    const auto &a1 = at("hada_w1_a"), &b1 = at("hada_w1_b");
    const auto &a2 = at("hada_w2_a"), &b2 = at("hada_w2_b");
    if (a1.dim(0) != a2.dim(0) || b1.dim(1) != b2.dim(1) || a1.dim(1) != b1.dim(0) ||
        a2.dim(1) != b2.dim(0)) {
      return do_not_fit();
    }
    FERRULE_CHECK(check_size(a1.dim(0), a1.dim(1) * a2.dim(1), b1.dim(1)));
    auto b = products_of_rows(matrix_of(a1), matrix_of(a2));
    auto a = products_of_columns(matrix_of(b1), matrix_of(b2));
    FERRULE_TRY(auto right, with_kernel(Values::owned(std::move(a.elements), {a.rows, a.columns},
                                                      Dtype::kF32)));
    return made(with_point(Values::owned(std::move(b.elements), {b.rows, b.columns}, Dtype::kF32)),
                std::move(right));
  }

  Result<Site> kronecker_product() const {
    FERRULE_TRY(const auto first, factors("lokr_w1", "lokr_w1_a", "lokr_w1_b"));
    FERRULE_TRY(const auto second, factors("lokr_w2", "lokr_w2_a", "lokr_w2_b"));
    const auto rank = first.left.dim(1) * second.left.dim(1);
    const auto columns = second.right.element_count() / second.right.dim(0);
    FERRULE_CHECK(
        check_size(first.left.dim(0) * second.left.dim(0), rank, first.right.dim(1) * columns));
    FERRULE_TRY(const auto right, with_kernel(second.right));
    return made(kronecker(first.left, with_point(second.left)), kronecker(first.right, right));
  }

  Result<Factors> factors(const char* whole, const char* left, const char* right) const {
    if (!has(whole)) {
      if (!has(left) || !has(right) || at(left).dim(1) != at(right).dim(0)) {
        return base::corrupt("EX-8", quote(site_.name()) + " lacks a factor of LoKr");
      }
      return Factors{at(left), at(right)};
    }
    const auto matrix =
        at(whole).reshaped({at(whole).dim(0), at(whole).element_count() / at(whole).dim(0)});
    const auto smaller = std::min(matrix.dim(0), matrix.dim(1));
    if (smaller > kMaxWhole) {
      return base::unsupported("EX-3", quote(site_.name()) + " has a factor of full rank (" +
                                           whole + "), too large to be written out as LoRA");
    }
    if (matrix.dim(1) == smaller) return Factors{matrix, identity(smaller, matrix.dtype())};
    return Factors{identity(smaller, matrix.dtype()), matrix};
  }

  Result<Site> made(Values b, Values a) const {
    Site out = site_;
    out.method = "LORA";
    out.others.clear();
    bool wide = false;
    for (const auto& [role, values] : site_.others) wide = wide || values.dtype() == Dtype::kF64;
    const auto dtype = wide ? Dtype::kF64 : Dtype::kF32;
    out.rank = a.dim(0);
    out.alpha.reset();
    out.a = a.as(dtype);
    out.b = b.as(dtype);
    return out;
  }

  const Site& site_;
  Shape kernel_;  ///< Of a convolution.
};

}  // namespace

Result<Site> as_lora(const Site& site, const Shape* shape) { return Writer(site, shape).write(); }

}  // namespace ferrule::exchange
