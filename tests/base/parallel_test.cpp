// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <thread>
#include <vector>

namespace ferrule::base {
namespace {

TEST(ParallelFor, CallsEachIndexOnce) {
  for (const unsigned threads : {0U, 1U, 2U, 7U}) {
    for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{1000}}) {
      std::vector<std::atomic<int>> calls(count);
      parallel_for(count, threads, [&](std::size_t i) { ++calls[i]; });
      for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(calls[i], 1) << i << " of " << count;
    }
  }
}

TEST(ParallelFor, CallsNothingForAnEmptyRange) {
  parallel_for(0, 4, [](std::size_t) { FAIL(); });
}

TEST(ParallelFor, OneThreadIsTheCallersAndGoesInOrder) {
  const auto caller = std::this_thread::get_id();
  std::vector<std::size_t> order;
  parallel_for(5, 1, [&](std::size_t i) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    order.push_back(i);
  });
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
}

TEST(ParallelFor, TwoThreadsWorkAtOnce) {
  std::atomic<int> arrived{0};
  // Each call waits for the other: one thread alone would never return.
  parallel_for(2, 2, [&](std::size_t) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  EXPECT_EQ(arrived, 2);
}

TEST(ParallelFor, AnExceptionEndsTheLoopAndReachesTheCaller) {
  for (const unsigned threads : {1U, 4U}) {
    std::atomic<std::size_t> calls{0};
    EXPECT_THROW(parallel_for(100000, threads,
                              [&](std::size_t i) {
                                ++calls;
                                if (i == 3) throw std::runtime_error("stop");
                              }),
                 std::runtime_error);
    EXPECT_LT(calls, 100000U) << threads;
  }
}

}  // namespace
}  // namespace ferrule::base
