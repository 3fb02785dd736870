// SPDX-License-Identifier: Apache-2.0
#include "merge/methods/projections.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/torch_random.hpp"

namespace ferrule::merging {
namespace {

Projections::Part shared(Matrix<float> matrix) {
  return {std::make_shared<const Matrix<float>>(std::move(matrix))};
}

/// PEFT's _kaiming_init(): uniform, by the elements of one row.
Matrix<float> kaiming(TorchRandom& random, std::size_t rows, std::size_t columns) {
  Matrix<float> out(rows, columns);
  const double bound = std::sqrt(3.0) * std::sqrt(2.0) / std::sqrt(static_cast<double>(columns));
  random.uniform(out.values, -bound, bound);
  return out;
}

/// RandLoRA's own one, which is made in bfloat16.
Matrix<float> kaiming_bf16(TorchRandom& random, std::size_t rows, std::size_t columns) {
  Matrix<float> out(rows, columns);
  random.uniform_bf16(out.values, 1 / std::sqrt(static_cast<double>(columns)));
  return out;
}

/// The widest layer that the adapter changes: [out, in].
std::pair<std::size_t, std::size_t> widest(const Site& site) {
  return {site.widest_out, site.widest_in};
}

TorchRandom generator(const Site& site) {
  return TorchRandom(
      static_cast<std::uint64_t>(site.config().integer("projection_prng_key").value_or(0)));
}

/// Divided by their standard deviation (torch's, over n - 1).
void to_unit_deviation(Matrix<float>& matrix, Dtype dtype) {
  double sum = 0, square = 0;
  for (const auto value : matrix.values) sum += static_cast<double>(value);
  const auto count = static_cast<double>(matrix.values.size());
  const double mean = sum / count;
  for (const auto value : matrix.values) {
    const double off = static_cast<double>(value) - mean;
    square += off * off;
  }
  auto deviation = static_cast<float>(std::sqrt(square / (count - 1)));
  round_numbers(dtype, &deviation, 1);
  for (auto& value : matrix.values) value /= deviation;
  round_numbers(dtype, matrix.values.data(), matrix.values.size());
}

}  // namespace

Result<Projections> vera_projections(const Site& site, const std::string& prefix, std::size_t all,
                                     std::size_t rank) {
  const auto* a = site.find(prefix + "A");
  const auto* b = site.find(prefix + "B");
  Projections out;
  if (a != nullptr && b != nullptr) {
    out.a = shared(matrix_of<float>(*a));
    out.b = shared(matrix_of<float>(*b));
  } else {
    auto random = generator(site);
    const auto [rows, columns] = widest(site);
    auto first = kaiming(random, all, columns);
    auto second = kaiming(random, rows, rank);
    // They move to the dtype of the base with the layers.
    round_numbers(site.dtype, first.values.data(), first.values.size());
    round_numbers(site.dtype, second.values.data(), second.values.size());
    out.a = shared(std::move(first));
    out.b = shared(std::move(second));
  }
  if (out.a.matrix->rows < rank || out.a.matrix->columns < site.in() ||
      out.b.matrix->rows < site.out() || out.b.matrix->columns < rank) {
    return site.refuse("BS-2", "its shared projections are smaller than the layer");
  }
  return out;
}

Result<Projections> randlora_projections(const Site& site, std::size_t r, std::size_t bases) {
  const auto* a = site.find("randlora_A");
  const auto* b = site.find("randlora_B");
  const auto small = std::min(site.in(), site.out());
  const auto large = std::max(site.in(), site.out());
  Projections out;
  Matrix<float> first, second;
  std::size_t stored = bases;
  if (a != nullptr && b != nullptr) {
    first = matrix_of<float>(*a);
    second = matrix_of<float>(*b);
    if (b->tensor.shape().size() == 3) stored = static_cast<std::size_t>(b->tensor.shape()[1]);
  } else {
    auto random = generator(site);
    const auto [rows, columns] = widest(site);
    const auto least = std::min(rows, columns);
    const auto most = std::max(rows, columns);
    stored = (least + r - 1) / r;
    const bool sparse = site.config().flag("sparse");
    const bool very = site.config().flag("very_sparse");
    if (sparse || very) {
      first = Matrix<float>(r, least);
      second = Matrix<float>(most, stored * r);
      random.uniform(first.values, 0, 1);
      random.uniform(second.values, 0, 1);
      const double s = very ? std::sqrt(static_cast<double>(least)) : 3;
      const auto low = static_cast<float>(1 / (2 * s));
      const auto high = static_cast<float>(1 - 1 / (2 * s));
      for (auto* matrix : {&first, &second}) {
        for (auto& value : matrix->values) value = value < low ? -1.F : value > high ? 1.F : 0.F;
      }
    } else {
      // The fan of a tensor of three extents is that of its last two.
      first = kaiming_bf16(random, r, least);
      second = Matrix<float>(most, stored * r);
      for (std::size_t n = 0; n < stored; ++n) {
        const auto part = kaiming_bf16(random, most, r);
        for (std::size_t i = 0; i < most; ++i) {
          for (std::size_t k = 0; k < r; ++k) second.at(i, n * r + k) = part.at(i, k);
        }
      }
    }
    for (auto* matrix : {&first, &second}) {
      to_unit_deviation(*matrix, sparse || very ? Dtype::kF32 : Dtype::kBF16);
      round_numbers(site.dtype, matrix->values.data(), matrix->values.size());
    }
  }
  if (first.rows < r || first.columns < small || second.rows < large || stored < bases ||
      second.columns < stored * r) {
    return site.refuse("BS-2", "its shared projections are smaller than the layer");
  }
  out.a = shared(std::move(first));
  out.b = shared(std::move(second));
  return out;
}

}  // namespace ferrule::merging
