// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/curl.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

TEST(HubCurl, IsLoadedOnceForAllThreads) {
  const auto* first = curl();
  ASSERT_NE(first, nullptr);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { EXPECT_EQ(curl(), first); });
  for (auto& thread : threads) thread.join();
  EXPECT_NE(first->easy_init, nullptr);
  EXPECT_NE(first->version_info, nullptr);
}

TEST(HubCurl, ALibraryThatIsMissingIsANetworkFailure) {
  EXPECT_TRUE(is(curl_missing(), Failure::kNetwork));
}

}  // namespace
}  // namespace ferrule::hub
