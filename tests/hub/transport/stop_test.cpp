// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/stop.hpp"

#include <gtest/gtest.h>

namespace ferrule::hub {
namespace {

TEST(HubStops, AStopFollowsTheOneAboveIt) {
  Stop above;
  const Stop below(&above);
  EXPECT_FALSE(below.requested());
  above.request();
  EXPECT_TRUE(below.requested());
  Stop other;
  const Stop apart(&other);
  EXPECT_FALSE(apart.requested());
}

}  // namespace
}  // namespace ferrule::hub
