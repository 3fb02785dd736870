// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/lanes.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

TEST(HubLanes, AreNeverMoreThanTheirBound) {
  Lanes lanes{Settings()};
  Stop stop;
  std::atomic<unsigned> taken{0};
  std::atomic<unsigned> most{0};
  std::mutex mutex;
  std::set<Http*> seen;
  ASSERT_TRUE(together(100, stop, [&](std::size_t) -> Result<void> {
    const auto lane = lanes.take(stop);
    const auto now = ++taken;
    for (auto known = most.load(); now > known && !most.compare_exchange_weak(known, now);) {
    }
    {
      const std::lock_guard lock(mutex);
      seen.insert(&*lane);
    }
    --taken;
    return {};
  }));
  EXPECT_LE(most, Lanes::kMaxLanes);
  EXPECT_LE(seen.size(), Lanes::kMaxLanes);
}

TEST(HubLanes, ALaneGivenBackIsTakenAgain) {
  Lanes lanes{Settings()};
  Stop stop;
  Http* first = nullptr;
  {
    const auto lane = lanes.take(stop);
    first = &*lane;
  }
  EXPECT_EQ(&*lanes.take(stop), first);
  EXPECT_EQ(first, &lanes.main());
}

TEST(HubLanes, EveryPieceOfWorkIsDoneOnce) {
  Stop stop;
  std::array<std::atomic<int>, 50> done{};
  ASSERT_TRUE(together(done.size(), stop, [&](std::size_t i) -> Result<void> {
    ++done.at(i);
    return {};
  }));
  for (const auto& count : done) EXPECT_EQ(count, 1);
  EXPECT_FALSE(stop.requested());
}

TEST(HubLanes, TheFirstErrorEndsTheRest) {
  Stop stop;
  std::atomic<int> begun{0};
  const auto ended = together(10'000, stop, [&](std::size_t) -> Result<void> {
    ++begun;
    return fail(Failure::kIntegrity, "wrong");
  });
  ASSERT_FALSE(ended);
  EXPECT_TRUE(is(ended.error(), Failure::kIntegrity));
  EXPECT_TRUE(stop.requested());
  EXPECT_LE(begun, static_cast<int>(Lanes::kMaxLanes));
}

TEST(HubLanes, NothingBeginsAfterAStop) {
  Stop stop;
  stop.request();
  const auto ended = together(3, stop, [](std::size_t) -> Result<void> {
    ADD_FAILURE() << "began";
    return {};
  });
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().rule, stopped().rule);
}

Response answer(int status) {
  Response response;
  response.status = status;
  return response;
}

TEST(HubLanes, ARefusalIsHandedBackAsAnAnswer) {
  const Stop above;
  std::atomic<int> taken{0};
  const auto refused = answers_together(
      8, above,
      [](std::size_t i, const Stop&) -> Result<Response> { return answer(i == 0 ? 403 : 200); },
      [&](std::size_t i, const Response& response) {
        EXPECT_NE(i, 0U);
        EXPECT_TRUE(response.ok());
        ++taken;
      });
  ASSERT_TRUE(refused);
  ASSERT_TRUE(*refused);
  EXPECT_EQ((*refused)->status, 403);
  EXPECT_LE(taken, 7);
}

TEST(HubLanes, AllAnswersGoodIsNoRefusal) {
  const Stop above;
  std::set<std::size_t> taken;
  const auto refused = answers_together(
      8, above, [](std::size_t, const Stop&) -> Result<Response> { return answer(200); },
      [&](std::size_t i, const Response&) { taken.insert(i); });
  ASSERT_TRUE(refused);
  EXPECT_FALSE(*refused);
  EXPECT_EQ(taken.size(), 8U);
}

TEST(HubLanes, AnErrorOfOneIsAnErrorOfAll) {
  const Stop above;
  const auto ended = answers_together(
      4, above,
      [](std::size_t, const Stop&) -> Result<Response> { return fail(Failure::kNetwork, "gone"); },
      [](std::size_t, const Response&) { ADD_FAILURE() << "taken"; });
  ASSERT_FALSE(ended);
  EXPECT_TRUE(is(ended.error(), Failure::kNetwork));
}

}  // namespace
}  // namespace ferrule::hub
