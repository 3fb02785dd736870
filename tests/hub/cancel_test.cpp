// SPDX-License-Identifier: Apache-2.0
// HB-21 where no server is needed: what a real one makes of it is in python/tests/hub.
#include <gtest/gtest.h>

#include <chrono>

#include "ferrule/hub.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http.hpp"

namespace ferrule::hub {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::steady_clock;

TEST(Cancel, EndsAPause) {
  Http http{Settings()};
  int asked = 0;
  Watcher watcher;
  watcher.cancelled = [&] { return ++asked == 3; };
  http.watch(watcher);
  const auto start = steady_clock::now();
  const auto waited = http.pause(minutes(5));
  ASSERT_FALSE(waited);
  EXPECT_TRUE(is(waited.error(), Failure::kCancelled));
  EXPECT_EQ(failure_kind(waited.error()), "cancelled");
  EXPECT_LT(steady_clock::now() - start, minutes(1));
}

TEST(Cancel, SendsNothingMore) {
  Http http{Settings{.endpoint = "http://127.0.0.1:9"}};
  Watcher watcher;
  watcher.cancelled = [] { return true; };
  http.watch(watcher);
  const auto answer = http.send({.url = "http://127.0.0.1:9/", .what = "a page"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().rule, "HB-21");
}

TEST(Cancel, WithoutAWatcherAPauseIsWaitedOut) {
  Http http{Settings()};
  EXPECT_TRUE(http.pause(milliseconds(1)));
}

}  // namespace
}  // namespace ferrule::hub
