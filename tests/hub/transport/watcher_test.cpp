// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/watcher.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace ferrule::hub {
namespace {

TEST(HubWatcher, IsCalledOneAtATime) {
  std::atomic<int> inside{0};
  std::atomic<bool> overlapped{false};
  int calls = 0;  // Guarded by the wrapper alone: a race would show under TSan.
  const auto enter = [&] {
    if (++inside > 1) overlapped = true;
    ++calls;
    --inside;
  };
  Watcher watcher;
  watcher.progress = [&](const Progress&) { enter(); };
  watcher.warning = [&](std::string_view) { enter(); };
  watcher.cancelled = [&] {
    enter();
    return false;
  };
  const auto wrapped = one_at_a_time(watcher);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 500; ++j) {
        wrapped.progress({});
        wrapped.warning("a");
        EXPECT_FALSE(wrapped.cancelled());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(overlapped);
  EXPECT_EQ(calls, 4 * 500 * 3);
}

TEST(HubWatcher, PassesOnWhatItIsTold) {
  std::string words;
  Watcher watcher;
  watcher.warning = [&](std::string_view warning) { words = warning; };
  watcher.cancelled = [] { return true; };
  const auto wrapped = one_at_a_time(watcher);
  wrapped.warning("slow");
  EXPECT_EQ(words, "slow");
  EXPECT_TRUE(wrapped.cancelled());
  EXPECT_FALSE(wrapped.progress);  // What was empty stays empty.
}

}  // namespace
}  // namespace ferrule::hub
