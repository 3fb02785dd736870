// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace ferrule::merging {

/// The places of the `count` largest of `size` values, the largest first. Among equal values it
/// chooses those that torch.topk chooses on a CPU, which takes the same steps (ATen's
/// topk_impl_loop).
template <typename T>
std::vector<std::size_t> top_places(const T* values, std::size_t size, std::size_t count) {
  std::vector<std::size_t> places(size);
  std::iota(places.begin(), places.end(), std::size_t{0});
  count = std::min(count, size);
  const auto larger = [values](std::size_t x, std::size_t y) { return values[x] > values[y]; };
  const auto begin = places.begin();
  if (count == 0) return {};
  if (count * 64 <= size) {
    std::partial_sort(begin, begin + static_cast<std::ptrdiff_t>(count), places.end(), larger);
  } else {
    const auto last = begin + static_cast<std::ptrdiff_t>(count) - 1;
    std::nth_element(begin, last, places.end(), larger);
    std::sort(begin, last, larger);
  }
  places.resize(count);
  return places;
}

}  // namespace ferrule::merging
