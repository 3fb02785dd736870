// SPDX-License-Identifier: Apache-2.0
#include "update/gram.hpp"

#include <algorithm>
#include <cstring>

#include "update/tensor_values.hpp"

namespace ferrule::update {
namespace {

// Rows are taken four at a time.
constexpr std::size_t kTileRows = 4;
// What the longest registers hold.
constexpr std::size_t kLanes = 8;
// A panel of this many doubles stays in the second-level cache.
constexpr std::size_t kPanelElements = 16384;
constexpr std::size_t kShortest = 32;
constexpr std::size_t kMaxStretch = 512;

/// What a processor's registers hold next to their operands: four rows against `Columns` others.
template <std::size_t Lanes, std::size_t Columns>
struct Shape {
  using Vector [[gnu::vector_size(Lanes * sizeof(double))]] = double;
  static constexpr std::size_t kVectorLanes = Lanes;
  static constexpr std::size_t kColumns = Columns;
};

/// Adds the products of all rows of the panel to the upper triangle of the Gram.
template <typename S>
__attribute__((always_inline)) inline void add_products(const double* panel, std::size_t rows,
                                                        std::size_t width, std::size_t used,
                                                        double* gram) {
  using Vector = typename S::Vector;
  for (std::size_t i = 0; i < rows; i += kTileRows) {
    for (std::size_t j = i; j < rows; j += S::kColumns) {
      Vector sums[kTileRows][S::kColumns] = {};
      for (std::size_t k = 0; k < used; k += S::kVectorLanes) {
        Vector right[S::kColumns];
        for (std::size_t c = 0; c < S::kColumns; ++c) {
          std::memcpy(&right[c], panel + (j + c) * width + k, sizeof(Vector));
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
          Vector left;
          std::memcpy(&left, panel + (i + r) * width + k, sizeof(Vector));
          for (std::size_t c = 0; c < S::kColumns; ++c) sums[r][c] += left * right[c];
        }
      }
      for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t c = 0; c < S::kColumns; ++c) {
          double sum = 0;
          for (std::size_t lane = 0; lane < S::kVectorLanes; ++lane) sum += sums[r][c][lane];
          gram[(i + r) * rows + j + c] += sum;
        }
      }
    }
  }
}

void add_products_anywhere(const double* panel, std::size_t rows, std::size_t width,
                           std::size_t used, double* gram) {
  add_products<Shape<4, 2>>(panel, rows, width, used, gram);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void add_products_avx2(const double* panel, std::size_t rows,
                                                           std::size_t width, std::size_t used,
                                                           double* gram) {
  add_products<Shape<4, 2>>(panel, rows, width, used, gram);
}

__attribute__((target("avx512f"))) void add_products_avx512(const double* panel, std::size_t rows,
                                                            std::size_t width, std::size_t used,
                                                            double* gram) {
  add_products<Shape<8, 4>>(panel, rows, width, used, gram);
}
#endif

using Kernel = void (*)(const double*, std::size_t, std::size_t, std::size_t, double*);

Kernel best_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return add_products_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return add_products_avx2;
#endif
  return add_products_anywhere;
}

/// Elements `from` to `from + used` of every vector of the set, one vector a row of the panel.
void read_set(const VectorSet& set, std::size_t from, std::size_t used, std::size_t width,
              double* panel, std::vector<double>& row) {
  if (set.element_stride == 1) {
    for (std::size_t v = 0; v < set.count; ++v) {
      read_values(set.tensor, set.first + v * set.vector_stride + from, {panel + v * width, used});
    }
  } else if (set.vector_stride == 1) {
    row.resize(set.count);
    for (std::size_t k = 0; k < used; ++k) {
      read_values(set.tensor, set.first + (from + k) * set.element_stride, row);
      for (std::size_t v = 0; v < set.count; ++v) panel[v * width + k] = row[v];
    }
  } else {
    for (std::size_t v = 0; v < set.count; ++v) {
      for (std::size_t k = 0; k < used; ++k) {
        read_values(set.tensor, set.first + v * set.vector_stride + (from + k) * set.element_stride,
                    {panel + v * width + k, 1});
      }
    }
  }
  for (std::size_t v = 0; v < set.weights.size() && v < set.count; ++v) {
    for (std::size_t k = 0; k < used; ++k) panel[v * width + k] *= set.weights[v];
  }
}

/// Panels that are filled again and again.
struct Workspace {
  std::vector<double> panel;
  std::vector<double> other;
  std::vector<double> row;
};

void fill(const Vectors& part, std::size_t from, std::size_t used, std::size_t width, double* panel,
          Workspace& work) {
  read_set(part.set, from, used, width, panel, work.row);
  const bool difference = part.other.count > 0;
  if (!difference && part.factor == 1) return;
  const auto rows = part.count();
  for (auto v = part.set.count; v < rows; ++v) std::fill_n(panel + v * width, used, 0.0);
  if (difference) {
    work.other.assign(rows * width, 0.0);
    read_set(part.other, from, used, width, work.other.data(), work.row);
  }
  for (std::size_t v = 0; v < rows; ++v) {
    double* const mine = panel + v * width;
    const double* const theirs = difference ? work.other.data() + v * width : nullptr;
    for (std::size_t k = 0; k < used; ++k) {
      // One product if the factors agree: equal elements then differ by exactly nothing.
      if (theirs == nullptr) {
        mine[k] *= part.factor;
      } else if (part.factor == part.other_factor) {
        mine[k] = part.factor * (mine[k] - theirs[k]);
      } else {
        mine[k] = part.factor * mine[k] - part.other_factor * theirs[k];
      }
    }
  }
}

std::size_t round_up(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

}  // namespace

Gram gram_of(std::span<const Vectors> parts) {
  static const Kernel kKernel = best_kernel();
  std::size_t count = 0;
  for (const auto& part : parts) count += part.count();
  const auto rows = round_up(count, kTileRows);
  Gram gram(rows, rows);
  if (count == 0) return gram;
  const auto length = std::max(parts.front().set.length, parts.front().other.length);
  const auto width =
      std::min(round_up(std::max<std::size_t>(length, 1), kLanes),
               std::clamp(kPanelElements / rows / kLanes * kLanes, kShortest, kMaxStretch));
  Workspace work;
  work.panel.resize(rows * width);
  for (std::size_t from = 0; from < length; from += width) {
    const auto used = std::min(width, length - from);
    const auto padded = round_up(used, kLanes);
    std::size_t row = 0;
    for (const auto& part : parts) {
      fill(part, from, used, width, work.panel.data() + row * width, work);
      row += part.count();
    }
    if (padded != used) {
      for (std::size_t v = 0; v < count; ++v) {
        std::fill_n(work.panel.data() + v * width + used, padded - used, 0.0);
      }
    }
    kKernel(work.panel.data(), rows, width, padded, gram.values().data());
  }
  return gram;
}

}  // namespace ferrule::update
