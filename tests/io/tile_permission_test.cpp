// SPDX-License-Identifier: Apache-2.0
#include "io/tile_permission.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace ferrule::io {
namespace {

TEST(TilePermission, IsGivenAgainIfItWasGiven) {
  const bool given = permit_tiles();
  EXPECT_EQ(permit_tiles(), given);
}

TEST(TilePermission, IsGivenOnlyIfTheProcessorHasTiles) {
  std::ifstream file("/proc/cpuinfo");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const bool has_tiles = text.find(" amx_tile") != std::string::npos;
  EXPECT_TRUE(has_tiles || !permit_tiles());
}

}  // namespace
}  // namespace ferrule::io
