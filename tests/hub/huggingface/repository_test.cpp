// SPDX-License-Identifier: Apache-2.0
// What needs no server; the rest is in test_push.py and test_push_faults.py.
#include "hub/huggingface/repository.hpp"

#include <gtest/gtest.h>

#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

TEST(HubRepository, HasAPageAndAnApi) {
  Http http{Settings{.endpoint = "http://hub:1"}};
  const Repository repository(http, "ann/a.b");
  EXPECT_EQ(repository.id(), "ann/a.b");
  EXPECT_EQ(repository.page(), "http://hub:1/ann/a.b");
  EXPECT_EQ(repository.page("/commit/x"), "http://hub:1/ann/a.b/commit/x");
  EXPECT_EQ(repository.api(), "http://hub:1/api/models/ann/a.b");
  EXPECT_EQ(repository.api("/tree/main"), "http://hub:1/api/models/ann/a.b/tree/main");
  Http other = http.another();
  EXPECT_EQ(&repository.over(other).http(), &other);
  EXPECT_EQ(repository.over(other).id(), "ann/a.b");
}

TEST(HubRepository, PostsCarryTheTokenAndJson) {
  TextBody body("{}");
  const auto request = json_post("http://hub:1/x", "asking", body);
  EXPECT_EQ(request.method, Method::kPost);
  EXPECT_EQ(request.url, "http://hub:1/x");
  EXPECT_EQ(request.what, "asking");
  EXPECT_EQ(request.body, &body);
  EXPECT_TRUE(request.with_token);
  EXPECT_EQ(request.repeat, Repeat::kSafe);
  ASSERT_EQ(request.headers.size(), 1U);
  EXPECT_EQ(request.headers[0].second, "application/json");
}

TEST(HubRepository, OfflineEachQuestionSaysWhatItWas) {
  Http http{Settings{.offline = true}};
  Repository repository(http, "ann/a");
  const auto info = repository.info("main");
  ASSERT_FALSE(info);
  EXPECT_TRUE(is(info.error(), Failure::kOffline));
  EXPECT_EQ(info.error().message.rfind("repository ann/a", 0), 0U) << info.error().message;
  EXPECT_FALSE(repository.is_public());
  EXPECT_FALSE(repository.create(true));
  EXPECT_FALSE(repository.create_branch("b"));
  EXPECT_FALSE(repository.open_pull_request("title", ""));
  EXPECT_EQ(repository.id(), "ann/a");
}

}  // namespace
}  // namespace ferrule::hub
