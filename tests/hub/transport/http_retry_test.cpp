// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/http_retry.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Response answer(int status, std::vector<Header> headers = {}) {
  Response response;
  response.status = status;
  response.headers = std::move(headers);
  return response;
}

TEST(HubRetries, StatusesThatAnotherTryMayChange) {
  for (const int status : {408, 429, 500, 502, 503, 504}) EXPECT_TRUE(may_pass(status)) << status;
  for (const int status : {200, 301, 400, 401, 403, 404, 409, 412, 416, 501}) {
    EXPECT_FALSE(may_pass(status)) << status;
  }
}

TEST(HubRetries, RedirectsAreTheFiveThatHaveALocation) {
  for (const int status : {301, 302, 303, 307, 308}) EXPECT_TRUE(is_redirect(status)) << status;
  for (const int status : {200, 300, 304, 305, 404}) EXPECT_FALSE(is_redirect(status)) << status;
}

TEST(HubRetries, PausesDoubleUpToABound) {
  const Settings settings{.first_pause = milliseconds(250)};
  EXPECT_EQ(own_pause(1, settings), milliseconds(250));
  EXPECT_EQ(own_pause(2, settings), milliseconds(500));
  EXPECT_EQ(own_pause(4, settings), milliseconds(2000));
  EXPECT_EQ(own_pause(10, settings), milliseconds(8000));
  EXPECT_EQ(own_pause(1'000'000, settings), milliseconds(8000));
}

TEST(HubRetries, AServerThatAsksForAPauseGetsItUnlessItIsTooLong) {
  const Settings settings{.first_pause = milliseconds(1), .longest_wait = seconds(60)};
  EXPECT_EQ(pause_before_next(answer(503), 1, settings), milliseconds(1));
  // One second more than asked: clocks differ.
  EXPECT_EQ(pause_before_next(answer(503, {{"retry-after", "5"}}), 1, settings), seconds(6));
  EXPECT_EQ(pause_before_next(answer(429, {{"retry-after", "3600"}}), 1, settings), std::nullopt);
  EXPECT_EQ(pause_before_next(answer(429, {{"ratelimit", "\"api\";r=0;t=5"}}), 1, settings),
            seconds(6));
  // A full window has nothing to do with a server that failed.
  EXPECT_EQ(pause_before_next(answer(500, {{"ratelimit", "\"api\";r=0;t=5"}}), 1, settings),
            milliseconds(1));
}

TEST(HubRetries, AQuotaThatNoHeaderTellsOfIsNotWaitedFor) {
  EXPECT_EQ(pause_before_next(answer(429, {{"ratelimit", "\"api\";r=9;t=5"}}), 1, Settings()),
            std::nullopt);
}

TEST(HubRetries, WhatMayHaveBeenDoneIsAmbiguous) {
  auto broken = fail(Failure::kNetwork, "broken");
  EXPECT_FALSE(is_ambiguous(broken));
  broken.system_errno = kMaybeDone;
  EXPECT_TRUE(is_ambiguous(broken));
  auto answered = fail(Failure::kServer, "failed");
  for (const int status : {408, 500, 504}) {
    answered.http_status = status;
    EXPECT_TRUE(is_ambiguous(answered)) << status;
  }
  for (const int status : {400, 401, 404, 409, 429}) {
    answered.http_status = status;
    EXPECT_FALSE(is_ambiguous(answered)) << status;
  }
}

}  // namespace
}  // namespace ferrule::hub
