// SPDX-License-Identifier: Apache-2.0
// When nothing is worth a range request; the requests themselves are in test_pull.py.
#include "hub/huggingface/header_folder.hpp"

#include <gtest/gtest.h>

#include "hub/cached_repository.hpp"

namespace ferrule::hub {
namespace {

TEST(HubHeaderFolder, SmallOrMissingWeightsArePulled) {
  const test::CachedRepository cached;
  Session session{cached.settings()};
  const PullOptions options;
  Pull pull(session, "ann/a", options);
  ASSERT_TRUE(pull.begin());
  for (const auto* folder : {"", "sub", "missing"}) {
    const auto made = fetch_header_folder(session, pull, folder);
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_FALSE(*made) << folder;
  }
}

}  // namespace
}  // namespace ferrule::hub
