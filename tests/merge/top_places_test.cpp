// SPDX-License-Identifier: Apache-2.0
#include "merge/top_places.hpp"

#include <gtest/gtest.h>

namespace ferrule::merging {
namespace {

using Places = std::vector<std::size_t>;

/// Of the values (7 * i) % different.
Places chosen(std::size_t size, std::size_t count, std::size_t different) {
  std::vector<float> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<float>(i * 7 % different);
  auto places = top_places(values.data(), size, count);
  std::sort(places.begin(), places.end());
  return places;
}

TEST(TopPlaces, ChoosesAmongEqualValuesAsTorchDoes) {
  // torch.topk((torch.arange(size) * 7 % different).float(), count).indices.sort() of torch 2.13
  EXPECT_EQ(chosen(4, 2, 1), (Places{2, 3}));
  EXPECT_EQ(chosen(40, 20, 3),
            (Places{1, 2, 5, 8, 11, 14, 17, 20, 22, 23, 25, 26, 28, 29, 31, 32, 34, 35, 37, 38}));
  EXPECT_EQ(chosen(200, 2, 3), (Places{2, 5}));
}

TEST(TopPlaces, AreAsManyAsThereAre) {
  EXPECT_EQ(chosen(3, 0, 3), Places{});
  EXPECT_EQ(chosen(3, 5, 3), (Places{0, 1, 2}));
  EXPECT_EQ(chosen(0, 5, 3), Places{});
}

}  // namespace
}  // namespace ferrule::merging
