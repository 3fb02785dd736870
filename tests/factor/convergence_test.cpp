// SPDX-License-Identifier: Apache-2.0
#include "factor/convergence.hpp"

#include <gtest/gtest.h>

namespace ferrule::factor {
namespace {

TEST(Convergence, IsNotReachedByTheFirstStep) {
  Convergence convergence;
  EXPECT_FALSE(convergence.reached(1, 1));
  EXPECT_TRUE(convergence.reached(1, 1));
}

TEST(Convergence, IsReachedWhenGainsBecomeSmall) {
  Convergence convergence;
  EXPECT_FALSE(convergence.reached(2, 1.5));
  EXPECT_FALSE(convergence.reached(1.2, 1.1));      // A gain of 10 % yet.
  EXPECT_FALSE(convergence.reached(1.095, 1.090));  // Small, but as large as the one before.
  EXPECT_TRUE(convergence.reached(1.086, 1.0855));
}

}  // namespace
}  // namespace ferrule::factor
