// SPDX-License-Identifier: Apache-2.0
#include "base/last_few.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace {

using Shared = std::shared_ptr<const int>;

Shared find(ferrule::LastFew<Shared>& kept, int number) {
  return kept.find([&](const Shared& one) -> Shared {
    return one != nullptr && *one == number ? one : nullptr;
  });
}

TEST(LastFew, FindsWhatWasKeptAndNothingElse) {
  ferrule::LastFew<Shared> kept;
  EXPECT_EQ(find(kept, 1), nullptr);
  kept.keep(std::make_shared<const int>(1));
  kept.keep(std::make_shared<const int>(2));
  ASSERT_NE(find(kept, 1), nullptr);
  EXPECT_EQ(*find(kept, 1), 1);
  EXPECT_EQ(find(kept, 3), nullptr);
}

TEST(LastFew, ForgetsTheOldestOfNine) {
  ferrule::LastFew<Shared> kept;
  for (int i = 0; i < 8; ++i) kept.keep(std::make_shared<const int>(i));
  EXPECT_NE(find(kept, 0), nullptr);
  kept.keep(std::make_shared<const int>(8));
  EXPECT_EQ(find(kept, 0), nullptr);
  for (int i = 1; i <= 8; ++i) EXPECT_NE(find(kept, i), nullptr) << i;
}

TEST(LastFew, DestroysWhatItForgetsWithoutTheLock) {
  ferrule::LastFew<Shared> kept;
  // Its deleter uses the cache: with the lock held it would wait for itself.
  bool destroyed = false;
  kept.keep(Shared(new int(0), [&](const int* number) {
    destroyed = find(kept, 0) == nullptr;
    delete number;
  }));
  for (int i = 1; i <= 8; ++i) kept.keep(std::make_shared<const int>(i));
  EXPECT_TRUE(destroyed);
}

TEST(LastFew, IsOneForEachType) {
  EXPECT_EQ(&ferrule::last_few<Shared>(), &ferrule::last_few<Shared>());
}

TEST(LastFew, ThreadsShareIt) {
  ferrule::LastFew<Shared> kept;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&kept] {
      for (int i = 0; i < 1000; ++i) {
        kept.keep(std::make_shared<const int>(i));
        const auto found = find(kept, i);  // Others can have kept eight meanwhile.
        if (found != nullptr) {
          EXPECT_EQ(*found, i);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_NE(find(kept, 999), nullptr);
}

}  // namespace
