// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/torch_random.hpp"

namespace ferrule::merging {
namespace {

using std::string_view_literals::operator""sv;

struct Wavelet {
  std::string_view name;
  std::span<const double> low;  ///< The filter that puts averages together.
  std::size_t reduction;        ///< How much larger than the layer the transform is taken.
};

#include "merge/methods/wavelets_data.inc"

const Wavelet* find_wavelet(std::string_view name) {
  if (name == "haar") name = "db1";
  const auto* const end = std::end(kWavelets);
  const auto* const found = std::find_if(
      std::begin(kWavelets), end, [&](const Wavelet& wavelet) { return wavelet.name == name; });
  return found == end ? nullptr : found;
}

std::vector<std::uint64_t> places_of(const Site& site, std::size_t count) {
  TorchRandom random(
      static_cast<std::uint64_t>(site.config().integer("random_loc_seed").value_or(777)));
  return random.permutation(std::uint64_t{site.out()} * site.in(), count);
}

/// The two filters of one axis for a coefficient of that half.
template <typename T>
std::vector<T> filter(const Wavelet& wavelet, bool high) {
  const auto size = wavelet.low.size();
  std::vector<T> out(size);
  for (std::size_t i = 0; i < size; ++i) {
    const double value = high ? (i % 2 == 0 ? 1 : -1) * wavelet.low[size - 1 - i] : wavelet.low[i];
    out[i] = static_cast<T>(value);
  }
  return out;
}

/// The inverse transform of a few coefficients: each adds the outer product of two filters.
template <typename T>
Result<void> waveft(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                    const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto spectrum = numbers_of<T>(site.module->find("waveft_spectrum")->tensor);
  const auto places = places_of(site, spectrum.size());
  const auto strength = static_cast<T>(site.strength);
  if (!site.config().flag("use_idwt", true)) {
    for (std::size_t i = 0; i < places.size(); ++i) out.values[places[i]] = spectrum[i] * strength;
    return {};
  }
  const auto& wavelet = *find_wavelet(site.config().text("wavelet_family").value_or("db1"));
  const auto even = [](std::size_t size) { return size + size % 2; };
  const auto rows = even(out.rows + wavelet.reduction);
  const auto columns = even(out.columns + wavelet.reduction);
  const auto length = wavelet.low.size();
  // The transform is cut by this much on each side, and then to the layer's size.
  const auto cut = (2 * length - 3) / 2;
  const auto made_rows = rows - 2 + length - 2 * cut;
  const auto made_columns = columns - 2 + length - 2 * cut;
  const auto top = cut + (made_rows > out.rows ? (made_rows - out.rows) / 2 : 0);
  const auto left = cut + (made_columns > out.columns ? (made_columns - out.columns) / 2 : 0);
  const std::vector<T> filters[2] = {filter<T>(wavelet, false), filter<T>(wavelet, true)};
  for (std::size_t k = 0; k < places.size(); ++k) {
    const auto row = places[k] / out.columns + (rows - out.rows) / 2;
    const auto column = places[k] % out.columns + (columns - out.columns) / 2;
    if (row >= rows || column >= columns) continue;
    // The first detail (right half) is high along the rows, the second (lower half) along the
    // columns.
    const bool lower = row >= rows / 2;
    const bool right = column >= columns / 2;
    const auto& down = filters[right ? 1 : 0];
    const auto& across = filters[lower ? 1 : 0];
    for (std::size_t u = 0; u < length; ++u) {
      const auto i = 2 * (row % (rows / 2)) + u;
      if (i < top || i - top >= out.rows) continue;
      for (std::size_t v = 0; v < length; ++v) {
        const auto j = 2 * (column % (columns / 2)) + v;
        if (j < left || j - left >= out.columns) continue;
        out.at(i - top, j - left) += spectrum[k] * down[u] * across[v];
      }
    }
  }
  scale(out, strength);
  return {};
}

}  // namespace

Result<SiteSteps> plan_waveft(const Site& site) {
  FERRULE_TRY(const auto* spectrum, site.need("waveft_spectrum"));
  if (spectrum->tensor.element_count() > std::uint64_t{site.out()} * site.in()) {
    return site.refuse("BS-2", "it has more coefficients than the layer has weights");
  }
  const auto name = site.config().text("wavelet_family").value_or("db1");
  if (site.config().flag("use_idwt", true) && find_wavelet(name) == nullptr) {
    return site.refuse("MG-3", "PEFT knows no wavelet " + quote(name));
  }
  SiteSteps steps;
  steps.weight.push_back(dense_maker(site, {.narrow = waveft<float>, .wide = waveft<double>}));
  return steps;
}

}  // namespace ferrule::merging
