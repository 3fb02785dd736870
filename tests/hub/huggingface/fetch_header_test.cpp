// SPDX-License-Identifier: Apache-2.0
// The requests themselves are in test_pull.py and test_places.py.
#include "hub/huggingface/fetch_header.hpp"

#include <gtest/gtest.h>

#include "hub/cached_repository.hpp"

namespace ferrule::hub {
namespace {

TEST(HubFetchHeader, AServerThatDoesNotAnswerIsAnError) {
  const test::CachedRepository cached;
  auto settings = cached.settings();
  settings.attempts = 1;
  Session session{settings};
  const PullOptions options;
  Pull pull(session, "ann/a", options);
  ASSERT_TRUE(pull.begin());
  const auto head = fetch_header(session, pull, pull.files().front());
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().rule, "HB-2") << head.error().to_string();
}

}  // namespace
}  // namespace ferrule::hub
