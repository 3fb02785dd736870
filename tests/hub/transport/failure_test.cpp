// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/failure.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "ferrule/hub.hpp"

namespace ferrule::hub {
namespace {

TEST(HubFailures, EachHasARuleAndAWordOfItsOwn) {
  std::set<std::string> words;
  for (unsigned i = 0; i <= static_cast<unsigned>(Failure::kCancelled); ++i) {
    const auto failure = static_cast<Failure>(i);
    const auto error = fail(failure, "why", "where");
    EXPECT_EQ(error.rule, "HB-" + std::to_string(i + 1));
    EXPECT_EQ(error.message, "why");
    EXPECT_EQ(error.path, "where");
    EXPECT_TRUE(is(error, failure));
    EXPECT_FALSE(is(error, failure == Failure::kUsage ? Failure::kServer : Failure::kUsage));
    words.emplace(failure_kind(error));
  }
  EXPECT_EQ(words.size(), static_cast<std::size_t>(Failure::kCancelled) + 1);
  EXPECT_EQ(words.count("system") + words.count("adapter"), 0U);
}

TEST(HubFailures, OtherErrorsAreTheSystemsTheUsersOrTheAdapters) {
  EXPECT_EQ(failure_kind({.code = ErrorCode::kIo}), "system");
  Error missing{.code = ErrorCode::kNotFound};
  EXPECT_EQ(failure_kind(missing), "adapter");  // Such as a tensor.
  missing.system_errno = ENOENT;
  EXPECT_EQ(failure_kind(missing), "system");
  EXPECT_EQ(failure_kind({.code = ErrorCode::kInvalidArgument}), "usage");
  EXPECT_EQ(failure_kind({.code = ErrorCode::kCorrupt, .rule = "ST-2"}), "adapter");
}

TEST(HubFailures, AStoppedTransferIsANetworkFailure) {
  EXPECT_TRUE(is(stopped(), Failure::kNetwork));
}

}  // namespace
}  // namespace ferrule::hub
