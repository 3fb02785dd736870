// SPDX-License-Identifier: Apache-2.0
// FourierFT and C3A.
#include <cmath>
#include <cstddef>
#include <numbers>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/torch_random.hpp"

namespace ferrule::merging {
namespace {

/// The real part of the inverse transform of a few frequencies, as a product: each is
/// cos(x + y) = cos x cos y - sin x sin y over rows and columns.
template <typename T>
Result<void> fourier_factors(const Site& site, std::vector<T>& a, std::vector<T>& b) {
  const auto spectrum = numbers_of<double>(site.module->find("fourierft_spectrum")->tensor);
  const auto rows = site.out();
  const auto columns = site.in();
  const auto count = spectrum.size();
  TorchRandom random(
      static_cast<std::uint64_t>(site.config().integer("random_loc_seed").value_or(777)));
  const auto places = random.permutation(std::uint64_t{rows} * columns, count);
  const auto rank = 2 * count;
  a.resize(rank * columns);
  b.resize(rows * rank);
  const double scale = 1.0 / (static_cast<double>(rows) * static_cast<double>(columns));
  const auto angle = [](std::size_t i, std::size_t frequency, std::size_t size) {
    return 2 * std::numbers::pi * static_cast<double>(i * frequency % size) /
           static_cast<double>(size);
  };
  for (std::size_t k = 0; k < count; ++k) {
    const auto u = static_cast<std::size_t>(places[k]) / columns;
    const auto v = static_cast<std::size_t>(places[k]) % columns;
    const double value = spectrum[k] * scale;
    for (std::size_t i = 0; i < rows; ++i) {
      const double x = angle(i, u, rows);
      b[i * rank + 2 * k] = static_cast<T>(value * std::cos(x));
      b[i * rank + 2 * k + 1] = static_cast<T>(-value * std::sin(x));
    }
    for (std::size_t j = 0; j < columns; ++j) {
      const double y = angle(j, v, columns);
      a[2 * k * columns + j] = static_cast<T>(std::cos(y));
      a[(2 * k + 1) * columns + j] = static_cast<T>(std::sin(y));
    }
  }
  return {};
}

/// Blocks whose rows are one vector, turned by one element from row to row.
template <typename T>
Result<void> c3a(const Site& site, const Rounding& rounding, const Matrix<T>& weight,
                 const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto& tensor = site.module->find("c3a_kernel")->tensor;
  const auto kernel = numbers_of<T>(tensor);
  const auto of_row = static_cast<std::size_t>(tensor.shape()[1]);
  const auto size = static_cast<std::size_t>(tensor.shape()[2]);
  const auto divisor = static_cast<T>(weight.columns);
  for (std::size_t i = 0; i < out.rows; ++i) {
    for (std::size_t j = 0; j < out.columns; ++j) {
      const T* const vector = kernel.data() + (i / size * of_row + j / size) * size;
      const auto at = (j % size + size - i % size) % size;
      out.at(i, j) = rounding.round(vector[at]) / divisor;
    }
  }
  return {};
}

}  // namespace

Result<SiteSteps> plan_fourierft(const Site& site) {
  FERRULE_TRY(const auto* spectrum, site.need("fourierft_spectrum"));
  const auto rank = static_cast<std::size_t>(2 * spectrum->tensor.element_count());
  if (spectrum->tensor.element_count() > std::uint64_t{site.out()} * site.in()) {
    return site.refuse("BS-2", "it has more frequencies than the layer has weights");
  }
  SiteSteps steps;
  steps.weight.push_back(low_rank_maker(
      {.rank = rank,
       .a =
           [in = site.in()](std::size_t) {
             return Strided{.tensor = {}, .first = 0, .vector = in, .element = 1};
           },
       .b =
           [rank](std::size_t) {
             return Strided{.tensor = {}, .first = 0, .vector = 1, .element = rank};
           },
       .make_float = [site](auto& a, auto& b) { return fourier_factors(site, a, b); },
       .make_double = [site](auto& a, auto& b) { return fourier_factors(site, a, b); },
       .scale = site.strength * site.weight * (site.undo ? -1 : 1),
       .swapped = site.transposed}));
  return steps;
}

Result<SiteSteps> plan_c3a(const Site& site) {
  FERRULE_TRY(const auto* kernel, site.need("c3a_kernel"));
  const auto shape = kernel->tensor.shape();
  if (shape.size() != 3 || shape[0] * shape[2] != site.out() || shape[1] * shape[2] != site.in()) {
    return site.refuse("BS-2", "c3a_kernel does not fit the layer");
  }
  SiteSteps steps;
  steps.weight.push_back(dense_maker(
      site, {.rounding = DeltaRounding::kDelta, .narrow = c3a<float>, .wide = c3a<double>}));
  return steps;
}

}  // namespace ferrule::merging
