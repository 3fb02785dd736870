// SPDX-License-Identifier: Apache-2.0
#include "base/call_control.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <thread>

#include "base/parallel.hpp"

namespace ferrule {
namespace {

TEST(CallControls, AreInForceInTheirScope) {
  EXPECT_EQ(base::call_control(), nullptr);
  CallControl outer;
  CallControl inner;
  {
    const CallControl::Scope first(outer);
    EXPECT_EQ(base::call_control(), &outer);
    {
      const CallControl::Scope second(inner);
      EXPECT_EQ(base::call_control(), &inner);
    }
    EXPECT_EQ(base::call_control(), &outer);
    std::thread([] { EXPECT_EQ(base::call_control(), nullptr); }).join();
  }
  EXPECT_EQ(base::call_control(), nullptr);
}

TEST(CallControls, ReachTheThreadsOfALoopAndCountItsSteps) {
  CallControl control;
  const CallControl::Scope scope(control);
  constexpr std::size_t kSteps = 40;
  base::parallel_for(kSteps, 4, [&](std::size_t) { EXPECT_EQ(base::call_control(), &control); });
  EXPECT_EQ(control.steps_known(), kSteps);
  EXPECT_EQ(control.steps_done(), kSteps);
  EXPECT_FALSE(control.is_canceled());
  control.cancel();
  EXPECT_TRUE(control.is_canceled());
}

}  // namespace
}  // namespace ferrule
