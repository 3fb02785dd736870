// SPDX-License-Identifier: Apache-2.0
// LoHa and LoKr.
#include <cstddef>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/row_wise_step.hpp"

namespace ferrule::merging {
namespace {

/// einsum("i j k l, i p, j r -> p r (k l)", t, wa, wb).
template <typename T>
Matrix<T> tucker(const AdapterTensor& core, const AdapterTensor& wa, const AdapterTensor& wb) {
  const auto rank_a = extent(core, 0);
  const auto rank_b = extent(core, 1);
  const auto kernel = extent(core, 2) * extent(core, 3);
  const auto t = numbers_of<T>(core.tensor);
  const auto a = matrix_of<T>(wa);  // [rank_a, out]
  const auto b = matrix_of<T>(wb);  // [rank_b, in]
  const auto in = b.columns;
  // First over j, then over i.
  std::vector<T> half(rank_a * in * kernel);
  for (std::size_t i = 0; i < rank_a; ++i) {
    for (std::size_t j = 0; j < rank_b; ++j) {
      const T* const piece = t.data() + (i * rank_b + j) * kernel;
      for (std::size_t r = 0; r < in; ++r) {
        for (std::size_t k = 0; k < kernel; ++k) {
          half[(i * in + r) * kernel + k] += b.at(j, r) * piece[k];
        }
      }
    }
  }
  return multiply(transposed(a), Matrix<T>(rank_a, in * kernel, std::move(half)));
}

template <typename T>
Matrix<T> hadamard_half(const Site& site, const char* core, const char* wa, const char* wb) {
  const auto& a = *site.module->find(wa);
  const auto& b = *site.module->find(wb);
  if (const auto* t = site.module->find(core)) return tucker<T>(*t, a, b);
  return multiply(matrix_of<T>(a), matrix_of<T>(b));
}

template <typename T>
Result<void> loha(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                  const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto first = hadamard_half<T>(site, "hada_t1", "hada_w1_a", "hada_w1_b");
  const auto second = hadamard_half<T>(site, "hada_t2", "hada_w2_a", "hada_w2_b");
  if (first.values.size() != out.values.size() || second.values.size() != out.values.size()) {
    return site.refuse("BS-2", "its factors do not fit the layer");
  }
  const auto factor = static_cast<T>(site.strength);
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    out.values[i] = first.values[i] * second.values[i] * factor;
  }
  return {};
}

/// The same of a layer without a kernel between the factors, a few rows at a time.
template <typename T>
Result<ChangeRows<T>> loha_rows(const Site& site) {
  struct Half {
    std::vector<T> rows;
    Matrix<T> columns;
  };
  const auto half = [&](const char* wa, const char* wb) {
    return Half{numbers_of<T>(site.module->find(wa)->tensor), matrix_of<T>(*site.module->find(wb))};
  };
  auto one = half("hada_w1_a", "hada_w1_b");
  auto two = half("hada_w2_a", "hada_w2_b");
  for (const auto* factors : {&one, &two}) {
    if (factors->columns.columns != site.in() ||
        factors->rows.size() != site.out() * factors->columns.rows) {
      return site.refuse("BS-2", "its factors do not fit the layer");
    }
  }
  const auto factor = static_cast<T>(site.undo ? -site.strength : site.strength);
  return ChangeRows<T>([one = std::move(one), two = std::move(two), factor](
                           std::size_t first, Matrix<T>& rows, const Matrix<T>& /*original*/) {
    const auto part = [&](const Half& from) {
      return product(from.rows.data() + first * from.columns.rows, rows.rows, from.columns, 1);
    };
    const auto left = part(one);
    const auto right = part(two);
    for (std::size_t i = 0; i < rows.values.size(); ++i) {
      rows.values[i] += left.values[i] * right.values[i] * factor;
    }
  });
}

/// The factors of a Kronecker product.
template <typename T>
struct Kronecker {
  Matrix<T> first;
  Matrix<T> second;  ///< [out, in * kernel]
  std::size_t in = 0;
  /// torch.kron takes a factor of three extents as one whose first is not multiplied.
  bool shifted = false;
};

template <typename T>
Result<Kronecker<T>> lokr_factors(const Site& site) {
  const auto& module = *site.module;
  Kronecker<T> out;
  const auto* whole1 = module.find("lokr_w1");
  out.first = whole1 != nullptr ? matrix_of<T>(*whole1)
                                : multiply(matrix_of<T>(*module.find("lokr_w1_a")),
                                           matrix_of<T>(*module.find("lokr_w1_b")));
  const auto* whole2 = module.find("lokr_w2");
  const auto* core = module.find("lokr_t2");
  if (whole2 != nullptr) {
    out.second = matrix_of<T>(*whole2);
    out.in = extent(*whole2, 1);
    out.shifted = whole2->tensor.shape().size() == 3;
  } else if (core != nullptr) {
    out.second = tucker<T>(*core, *module.find("lokr_w2_a"), *module.find("lokr_w2_b"));
    out.in = extent(*module.find("lokr_w2_b"), 1);
  } else {
    out.second =
        multiply(matrix_of<T>(*module.find("lokr_w2_a")), matrix_of<T>(*module.find("lokr_w2_b")));
    out.in = out.second.columns;
  }
  const bool fits =
      out.shifted ? out.first.values.size() * out.second.values.size() == site.in() * site.out()
                  : out.first.rows * out.second.rows == site.out() &&
                        out.first.columns * out.second.columns == site.in();
  if (!fits) return site.refuse("BS-2", "its factors do not fit the layer");
  return out;
}

template <typename T>
Result<void> lokr(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                  const Matrix<T>& /*original*/, Matrix<T>& out) {
  FERRULE_TRY(const auto factors, lokr_factors<T>(site));
  const auto& [first, second, in, shifted] = factors;
  const auto kernel = in == 0 ? 1 : second.columns / in;
  const auto factor = static_cast<T>(site.strength);
  std::size_t at = 0;
  for (std::size_t o = 0; o < second.rows; ++o) {
    for (std::size_t a = 0; a < first.rows; ++a) {
      for (std::size_t i = 0; i < in; ++i) {
        for (std::size_t b = 0; b < first.columns; ++b) {
          for (std::size_t k = 0; k < kernel; ++k) {
            out.values[at++] = first.at(a, b) * second.at(o, i * kernel + k) * factor;
          }
        }
      }
    }
  }
  return {};
}

/// The same of a factor that is not shifted, a few rows at a time.
template <typename T>
Result<ChangeRows<T>> lokr_rows(const Site& site) {
  FERRULE_TRY(auto factors, lokr_factors<T>(site));
  const auto factor = static_cast<T>(site.undo ? -site.strength : site.strength);
  return ChangeRows<T>([factors = std::move(factors), factor](std::size_t from, Matrix<T>& rows,
                                                              const Matrix<T>& /*original*/) {
    const auto& second = factors.second;
    for (std::size_t row = 0; row < rows.rows; ++row) {
      T* to = rows.row(row);
      const T* const left = factors.first.row((from + row) / second.rows);
      const T* const right = second.row((from + row) % second.rows);
      for (std::size_t b = 0; b < factors.first.columns; ++b) {
        for (std::size_t i = 0; i < second.columns; ++i) *to++ += left[b] * right[i] * factor;
      }
    }
  });
}

/// --weight multiplies the strength, as PEFT's scale_layer does.
Site weighted(const Site& site) {
  auto out = site;
  out.strength *= site.weight;
  out.weight = 1;
  return out;
}

}  // namespace

Result<SiteSteps> plan_loha(const Site& site) {
  for (const auto* role : {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}) {
    FERRULE_CHECK(site.need(role));
  }
  SiteSteps steps;
  if (site.module->find("hada_t1") == nullptr && site.module->find("hada_t2") == nullptr) {
    steps.weight.push_back(
        row_wise_maker(weighted(site), {.narrow = loha_rows<float>, .wide = loha_rows<double>}));
  } else {
    steps.weight.push_back(
        dense_maker(weighted(site), {.narrow = loha<float>, .wide = loha<double>}));
  }
  return steps;
}

Result<SiteSteps> plan_lokr(const Site& site) {
  if (site.module->find("lokr_w1") == nullptr) {
    FERRULE_CHECK(site.need("lokr_w1_a"));
    FERRULE_CHECK(site.need("lokr_w1_b"));
  }
  if (site.module->find("lokr_w2") == nullptr) {
    FERRULE_CHECK(site.need("lokr_w2_a"));
    FERRULE_CHECK(site.need("lokr_w2_b"));
  }
  const auto* whole = site.module->find("lokr_w2");
  SiteSteps steps;
  if (whole != nullptr && whole->tensor.shape().size() == 3) {
    steps.weight.push_back(
        dense_maker(weighted(site), {.narrow = lokr<float>, .wide = lokr<double>}));
  } else {
    steps.weight.push_back(
        row_wise_maker(weighted(site), {.narrow = lokr_rows<float>, .wide = lokr_rows<double>}));
  }
  return steps;
}

}  // namespace ferrule::merging
