// SPDX-License-Identifier: Apache-2.0
// What needs no server; the rest is in test_push.py, test_pull.py and test_habits.py.
#include "hub/transport/http.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "ferrule/hub.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

TEST(HubHttp, CancellingEndsAPause) {
  Http http{Settings()};
  int asked = 0;
  Watcher watcher;
  watcher.cancelled = [&] { return ++asked == 3; };
  http.watch(watcher);
  const auto waited = http.pause(minutes(5));
  ASSERT_FALSE(waited);
  EXPECT_TRUE(is(waited.error(), Failure::kCancelled));
  EXPECT_EQ(failure_kind(waited.error()), "cancelled");
  EXPECT_EQ(asked, 3);
}

TEST(HubHttp, NothingIsSentAfterACancellation) {
  Http http{Settings{.endpoint = "http://127.0.0.1:9"}};
  Watcher watcher;
  watcher.cancelled = [] { return true; };
  http.watch(watcher);
  const auto answer = http.send({.url = "http://127.0.0.1:9/", .what = "a page"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().rule, "HB-21");
}

TEST(HubHttp, WithoutAWatcherAPauseIsWaitedOut) {
  Http http{Settings()};
  EXPECT_TRUE(http.pause(milliseconds(1)));
}

TEST(HubHttp, OfflineMakesNoRequest) {
  Http http{Settings{.offline = true}};
  const auto answer = http.send({.url = "http://127.0.0.1:9/", .what = "a page"});
  ASSERT_FALSE(answer);
  EXPECT_TRUE(is(answer.error(), Failure::kOffline));
  EXPECT_EQ(answer.error().message.rfind("a page: ", 0), 0U);
}

TEST(HubHttp, OnlyHttpIsSpoken) {
  Http http{Settings()};
  for (const auto* url :
       {"file:///etc/hostname", "ftp://127.0.0.1/", "", "https://user@127.0.0.1/"}) {
    const auto answer = http.exchange({.url = url, .what = "a page"});
    ASSERT_FALSE(answer) << url;
    EXPECT_TRUE(is(answer.error(), Failure::kBadAnswer)) << url;
  }
}

TEST(HubHttp, ATokenThatWouldEndItsHeaderIsNotSent) {
  Http http{Settings{.endpoint = "http://127.0.0.1:9", .token = "a\nb"}};
  const auto answer =
      http.exchange({.url = "http://127.0.0.1:9/", .with_token = true, .what = "a page"});
  ASSERT_FALSE(answer);
  EXPECT_TRUE(is(answer.error(), Failure::kAuthentication));
}

TEST(HubHttp, AStopEndsRequestsOfItsConnectionOnly) {
  Http http{Settings{.endpoint = "http://127.0.0.1:9"}};
  Stop stop;
  stop.request();
  http.heed(&stop);
  const auto answer = http.exchange({.url = "http://127.0.0.1:9/", .what = "a page"});
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find(stopped().message), std::string::npos);
  EXPECT_TRUE(http.another().pause(milliseconds(1)));
  http.heed(nullptr);
  EXPECT_TRUE(http.pause(milliseconds(1)));
}

}  // namespace
}  // namespace ferrule::hub
