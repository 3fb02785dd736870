// SPDX-License-Identifier: Apache-2.0
// Methods that multiply the weight by an orthogonal matrix: OFT, BOFT, HRA, RoAd.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/row_wise_step.hpp"

namespace ferrule::merging {
namespace {

template <typename T>
Matrix<T> skew_of(const T* vector, std::size_t size) {
  Matrix<T> out(size, size);
  std::size_t at = 0;
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = i + 1; j < size; ++j, ++at) {
      out.at(i, j) = vector[at];
      out.at(j, i) = -vector[at];
    }
  }
  return out;
}

template <typename T>
void add(Matrix<T>& to, const Matrix<T>& what, T factor) {
  for (std::size_t i = 0; i < to.values.size(); ++i) to.values[i] += factor * what.values[i];
}

/// (I + Q)^-1 from the right: X with X (I + Q) = I - Q.
template <typename T>
std::optional<Matrix<T>> cayley(const Matrix<T>& skew) {
  auto plus = identity<T>(skew.rows);
  auto minus = plus;
  add(plus, skew, T(1));
  add(minus, skew, T(-1));
  return solve_right(plus, minus);
}

/// The first terms of the Neumann series of the Cayley transform, as PEFT adds them.
template <typename T>
Matrix<T> neumann(const Matrix<T>& skew, std::int64_t terms) {
  auto sum = identity<T>(skew.rows);
  if (terms <= 1) return sum;
  add(sum, skew, T(2));
  if (terms <= 2) return sum;
  auto power = multiply(skew, skew);
  add(sum, power, T(2));
  for (std::int64_t i = 3; i < terms - 1; ++i) {
    power = multiply(power, skew);
    add(sum, power, T(2));
  }
  power = multiply(power, skew);
  add(sum, power, T(1));
  return sum;
}

/// COFT: keeps the rotation near the identity.
template <typename T>
void project(Matrix<T>& skew, double eps) {
  double square = 0;
  for (const auto value : skew.values) square += static_cast<double>(value) * value;
  const double norm = std::sqrt(square);
  if (norm <= eps) return;
  const auto factor = static_cast<T>(eps / norm);
  for (auto& value : skew.values) value *= factor;
}

/// The rotation of each block of columns.
template <typename T>
Result<std::vector<Matrix<T>>> oft_blocks(const Site& site, const AdapterTensor& tensor) {
  const auto& config = site.config();
  const auto shape = tensor.tensor.shape();
  const auto stored = static_cast<std::size_t>(shape[0]);
  const auto elements = static_cast<double>(shape[1]);
  const auto size = static_cast<std::size_t>(std::lround((1 + std::sqrt(1 + 8 * elements)) / 2));
  const auto values = numbers_of<T>(tensor.tensor);
  const double eps = config.number("eps").value_or(6e-5) / std::sqrt(static_cast<double>(stored));
  std::vector<Matrix<T>> blocks;
  for (std::size_t i = 0; i < stored; ++i) {
    auto skew = skew_of(values.data() + i * static_cast<std::size_t>(shape[1]), size);
    if (config.flag("coft")) project(skew, eps);
    if (config.flag("use_cayley_neumann", true)) {
      blocks.push_back(neumann(skew, config.integer("num_cayley_neumann_terms").value_or(5)));
      continue;
    }
    auto rotation = cayley(skew);
    if (!rotation) return site.refuse("MG-3", "its rotation cannot be computed");
    blocks.push_back(std::move(*rotation));
  }
  const auto count = size == 0 ? 0 : site.in() / size;
  if (count == 0 || count * size != site.in() || (stored != 1 && stored != count)) {
    return site.refuse("BS-2", "its blocks do not fit the layer");
  }
  while (blocks.size() < count) blocks.push_back(blocks.front());
  return blocks;
}

template <typename T>
Result<ChangeRows<T>> oft(const Site& site) {
  const bool embedding = site.module->find("oft_embedding_R") != nullptr;
  const auto& tensor = *site.module->find(embedding ? "oft_embedding_R" : "oft_R");
  FERRULE_TRY(auto blocks, oft_blocks<T>(site, tensor));
  for (auto& block : blocks) {
    // W R^T on a layer, W R on an embedding; the inverse if it is undone.
    if (!embedding) block = transposed(block);
    if (!site.undo) continue;
    auto inverse = solve_right(block, identity<T>(block.rows));
    if (!inverse) return site.refuse("MG-9", "its rotation cannot be inverted");
    block = std::move(*inverse);
  }
  return ChangeRows<T>([blocks = std::move(blocks)](std::size_t /*first*/, Matrix<T>& rows,
                                                    const Matrix<T>& /*original*/) {
    std::vector<T> sums;
    for (std::size_t i = 0; i < rows.rows; ++i) {
      T* row = rows.row(i);
      for (const auto& block : blocks) {
        sums.assign(block.columns, T(0));
        for (std::size_t k = 0; k < block.rows; ++k) {
          const T* const from = block.row(k);
          for (std::size_t j = 0; j < block.columns; ++j) sums[j] += row[k] * from[j];
        }
        std::copy(sums.begin(), sums.end(), row);
        row += block.rows;
      }
    }
  });
}

/// The inverse of PEFT's block_butterfly_perm().
std::vector<std::size_t> butterfly(std::size_t n, std::size_t blocks, std::size_t half,
                                   std::size_t factors) {
  std::vector<std::size_t> indices(n);
  for (std::size_t i = 0; i < n; ++i) indices[i] = i;
  if (factors == 0 || blocks == 0 || half == 0) return indices;
  const auto size = n / blocks;
  std::vector<std::size_t> order(size);
  std::vector<std::size_t> steps;
  for (std::size_t i = 0; i * half < size; i += 2) steps.push_back(i);
  for (std::size_t i = 1; i * half < size; i += 2) steps.push_back(i);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (std::size_t j = 0; j < half && i * half + j < size; ++j) {
      order[i * half + j] = steps[i] * half + j;
    }
  }
  for (std::size_t start = 0; start + size <= n; start += size) {
    for (std::size_t i = 0; i < size; ++i) indices[start + order[i]] = start + i;
  }
  return indices;
}

/// One of BOFT's factors: rotations of the columns at those places, block by block.
template <typename T>
struct ButterflyFactor {
  std::vector<std::size_t> places;
  std::vector<Matrix<T>> turns;

  void apply(Matrix<T>& rows) const {
    const auto size = turns.empty() ? 0 : turns.front().rows;
    std::vector<T> before(rows.columns);
    for (std::size_t i = 0; i < rows.rows; ++i) {
      T* const row = rows.row(i);
      std::copy_n(row, rows.columns, before.begin());
      for (std::size_t b = 0; b < turns.size(); ++b) {
        for (std::size_t j = 0; j < size; ++j) {
          T sum = 0;
          for (std::size_t k = 0; k < size; ++k) {
            sum += before[places[b * size + k]] * turns[b].at(j, k);
          }
          row[places[b * size + j]] = sum;
        }
      }
    }
  }
};

template <typename T>
Result<ChangeRows<T>> boft(const Site& site) {
  const auto& tensor = *site.module->find("boft_R");
  const auto shape = tensor.tensor.shape();
  const auto factors = static_cast<std::size_t>(shape[0]);
  const auto blocks = static_cast<std::size_t>(shape[1]);
  const auto size = static_cast<std::size_t>(shape[2]);
  if (blocks * size != site.in()) return site.refuse("BS-2", "its blocks do not fit the layer");
  const auto values = numbers_of<T>(tensor.tensor);
  auto scales = numbers_of<T>(site.module->find("boft_s")->tensor);
  if (scales.size() != site.out()) return site.refuse("BS-2", "boft_s does not fit the layer");
  // The matrix M = M[last] ... M[0] with M[i] = P B P^T, block by block on the columns of W M^T.
  std::vector<ButterflyFactor<T>> made(factors);
  for (std::size_t f = 0; f < factors; ++f) {
    auto& factor = made[site.undo ? factors - 1 - f : f];
    factor.places = butterfly(site.in(), blocks >> f, size / 2, factors - 1);
    for (std::size_t b = 0; b < blocks; ++b) {
      const T* const raw = values.data() + (f * blocks + b) * size * size;
      Matrix<T> skew(size, size);
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
          skew.at(i, j) = T(0.5) * (raw[i * size + j] - raw[j * size + i]);
        }
      }
      auto rotation = cayley(skew);
      if (!rotation) return site.refuse("MG-3", "its rotation cannot be computed");
      // The inverse of a rotation is its transpose.
      factor.turns.push_back(site.undo ? transposed(*rotation) : std::move(*rotation));
    }
  }
  return ChangeRows<T>([made = std::move(made), scales = std::move(scales), undo = site.undo](
                           std::size_t first, Matrix<T>& rows, const Matrix<T>& /*original*/) {
    const auto scale_rows = [&] {
      for (std::size_t i = 0; i < rows.rows; ++i) {
        const T scale = scales[first + i];
        for (std::size_t j = 0; j < rows.columns; ++j) {
          rows.at(i, j) = undo ? rows.at(i, j) / scale : rows.at(i, j) * scale;
        }
      }
    };
    if (undo) scale_rows();
    for (const auto& factor : made) factor.apply(rows);
    if (!undo) scale_rows();
  });
}

/// W <- W - 2 (W u) u^T.
template <typename T>
void reflect(Matrix<T>& weight, const std::vector<T>& u) {
  for (std::size_t i = 0; i < weight.rows; ++i) {
    T* const row = weight.row(i);
    double dot = 0;
    for (std::size_t j = 0; j < weight.columns; ++j) dot += static_cast<double>(row[j]) * u[j];
    const auto factor = static_cast<T>(2 * dot);
    for (std::size_t j = 0; j < weight.columns; ++j) row[j] -= factor * u[j];
  }
}

template <typename T>
void to_unit(std::vector<T>& u) {
  double square = 0;
  for (const auto value : u) square += static_cast<double>(value) * value;
  const auto norm = static_cast<T>(std::sqrt(square));
  for (auto& value : u) value /= norm;
}

template <typename T>
Result<ChangeRows<T>> hra(const Site& site) {
  const auto u = matrix_of<T>(*site.module->find("hra_u"));
  if (u.rows != site.in()) return site.refuse("BS-2", "hra_u does not fit the layer");
  std::vector<std::vector<T>> vectors;
  for (std::size_t k = 0; k < u.columns; ++k) {
    std::vector<T> vector(u.rows);
    for (std::size_t i = 0; i < u.rows; ++i) vector[i] = u.at(i, k);
    if (site.config().flag("apply_GS")) {
      for (const auto& other : vectors) {
        double dot = 0;
        for (std::size_t i = 0; i < u.rows; ++i) dot += static_cast<double>(other[i]) * vector[i];
        for (std::size_t i = 0; i < u.rows; ++i) vector[i] -= static_cast<T>(dot) * other[i];
      }
    }
    to_unit(vector);
    vectors.push_back(std::move(vector));
  }
  // A reflection undoes itself.
  if (site.undo) std::reverse(vectors.begin(), vectors.end());
  return ChangeRows<T>([vectors = std::move(vectors)](std::size_t /*first*/, Matrix<T>& rows,
                                                      const Matrix<T>& /*original*/) {
    for (const auto& vector : vectors) reflect(rows, vector);
  });
}

/// RoAd's matrix: `first` on the diagonal, `second` from one half of a group to the other.
template <typename T>
struct RoadColumns {
  std::vector<T> first;
  std::vector<T> second;
};

template <typename T>
Result<RoadColumns<T>> road_columns(const Site& site, std::size_t out, std::size_t group) {
  const auto theta = numbers_of<T>(site.module->find("road_theta")->tensor);
  const auto alpha = numbers_of<T>(site.module->find("road_alpha")->tensor);
  const auto variant = site.config().text("variant").value_or("road_1");
  const auto wanted = variant == "road_1" ? out / 2 : variant == "road_2" ? out : 2 * out;
  if (group < 2 || group % 2 != 0 || out % group != 0 || theta.size() != wanted ||
      alpha.size() != wanted) {
    return site.refuse("BS-2", "road_theta does not fit the layer");
  }
  RoadColumns<T> columns{std::vector<T>(out), std::vector<T>(out)};
  const auto half = group / 2;
  for (std::size_t i = 0; i < out; ++i) {
    const auto g = i / group;
    const auto within = i % group;
    std::size_t a = i;
    std::size_t b = i;
    if (variant == "road_1") a = b = g * half + within % half;
    if (variant == "road_4") {
      a = g * 2 * group + within;
      b = a + group;
    }
    columns.first[i] = alpha[a] * std::cos(theta[a]);
    columns.second[i] = alpha[b] * std::sin(theta[b]);
  }
  return columns;
}

template <typename T>
Result<void> road(const Site& site, const Rounding& rounding, const Matrix<T>& weight,
                  const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto group = static_cast<std::size_t>(site.config().integer("group_size").value_or(64));
  FERRULE_TRY(auto columns, road_columns<T>(site, weight.rows, group));
  const auto half = group / 2;
  for (std::size_t i = 0; i < weight.rows; ++i) {
    if (i % group >= half) continue;
    const auto j = i + half;
    // [a b; c d] on the rows i and j.
    T a = columns.first[i], b = -columns.second[i], c = columns.second[j], d = columns.first[j];
    if (site.undo) {
      const T det = a * d - b * c;
      if (det == 0) return site.refuse("MG-9", "its rotation cannot be inverted");
      std::swap(a, d);
      a /= det;
      d /= det;
      b = -b / det;
      c = -c / det;
    }
    for (auto* value : {&a, &b, &c, &d}) *value = rounding.round(*value);
    for (std::size_t k = 0; k < weight.columns; ++k) {
      const T x = weight.at(i, k);
      const T y = weight.at(j, k);
      out.at(i, k) = a * x + b * y;
      out.at(j, k) = c * x + d * y;
    }
  }
  return {};
}

constexpr auto kNewWeight = Dense::Gives::kWeight;

Result<void> refuse_groups(const Site& site, std::size_t features) {
  if (site.kind == checks::LayerKind::kConv && features != site.in()) {
    return site.refuse("MG-3",
                       "it does not fit the convolution (PEFT does not merge this method "
                       "into grouped ones)");
  }
  return {};
}

}  // namespace

Result<SiteSteps> plan_oft(const Site& site) {
  const bool embedding = site.module->find("oft_embedding_R") != nullptr;
  FERRULE_TRY(const auto* tensor, site.need(embedding ? "oft_embedding_R" : "oft_R"));
  if (tensor->tensor.shape().size() != 2) return site.refuse("BS-2", "oft_R is not a matrix");
  SiteSteps steps;
  steps.weight.push_back(row_wise_maker(site, {.narrow = oft<float>, .wide = oft<double>}));
  return steps;
}

Result<SiteSteps> plan_boft(const Site& site) {
  FERRULE_TRY(const auto* tensor, site.need("boft_R"));
  FERRULE_CHECK(site.need("boft_s"));
  const auto shape = tensor->tensor.shape();
  if (shape.size() != 4 || shape[2] != shape[3])
    return site.refuse("BS-2", "boft_R is not a stack of blocks");
  SiteSteps steps;
  steps.weight.push_back(row_wise_maker(site, {.narrow = boft<float>, .wide = boft<double>}));
  return steps;
}

Result<SiteSteps> plan_hra(const Site& site) {
  FERRULE_TRY(const auto* tensor, site.need("hra_u"));
  if (tensor->tensor.shape().size() != 2) return site.refuse("BS-2", "hra_u is not a matrix");
  FERRULE_CHECK(refuse_groups(site, static_cast<std::size_t>(tensor->tensor.shape()[0])));
  SiteSteps steps;
  steps.weight.push_back(row_wise_maker(site, {.narrow = hra<float>, .wide = hra<double>}));
  return steps;
}

Result<SiteSteps> plan_road(const Site& site) {
  FERRULE_CHECK(site.need("road_theta"));
  FERRULE_CHECK(site.need("road_alpha"));
  const Dense dense{.gives = kNewWeight, .narrow = road<float>, .wide = road<double>};
  SiteSteps steps;
  steps.weight.push_back(dense_maker(site, dense));
  if (site.has_bias) {
    auto bias = site;
    bias.transposed = false;
    steps.bias.push_back(dense_maker(bias, dense));
  }
  return steps;
}

}  // namespace ferrule::merging
