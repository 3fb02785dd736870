// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/rate_limit.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace ferrule::hub {
namespace {

struct Case {
  std::string name;
  std::vector<Header> headers;
  int wait;  ///< Seconds, -1 for none.
  bool hidden = false;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class Pauses : public testing::TestWithParam<Case> {};

TEST_P(Pauses, AreReadAsTheServerMeans) {
  // 2026-01-01 00:00:00 UTC.
  const auto now = std::chrono::system_clock::from_time_t(1767225600);
  const auto pause = read_pause(GetParam().headers, now);
  EXPECT_EQ(pause.wait ? static_cast<int>(pause.wait->count()) : -1, GetParam().wait);
  EXPECT_EQ(pause.hidden_quota, GetParam().hidden);
}

INSTANTIATE_TEST_SUITE_P(
    Hub, Pauses,
    testing::Values(
        Case{"Nothing", {}, -1}, Case{"FullWindow", {{"ratelimit", "\"api\";r=0;t=5"}}, 6},
        Case{"RoomLeft", {{"ratelimit", "\"api\";r=949;t=271"}}, -1, true},
        Case{"RoomLeftButAsked", {{"ratelimit", "\"api\";r=9;t=271"}, {"retry-after", "2"}}, 3},
        Case{"TwoWindows", {{"ratelimit", "\"api\";r=949;t=271, \"pages\";r=0;t=12"}}, 13},
        Case{"Draft", {{"ratelimit", "limit=100, remaining=0, reset=7"}}, 8},
        Case{"Apart", {{"ratelimit-remaining", "0"}, {"ratelimit-reset", "4"}}, 5},
        Case{"WithX", {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "1767225610"}}, 11},
        Case{"Seconds", {{"retry-after", "3"}}, 4},
        Case{"Date", {{"retry-after", "Thu, 01 Jan 2026 00:00:09 GMT"}}, 10},
        Case{"PastDate", {{"retry-after", "Thu, 01 Jan 2015 00:00:09 GMT"}}, 1},
        Case{"Nonsense", {{"retry-after", "soon"}, {"ratelimit", ";;=,\"\"r=x"}}, -1},
        Case{"Negative", {{"retry-after", "-5"}}, -1},
        Case{"Huge", {{"retry-after", "99999999999999"}}, 100000001}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace ferrule::hub
