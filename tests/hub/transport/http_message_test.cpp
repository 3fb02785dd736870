// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/http_message.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace ferrule::hub {
namespace {

TEST(HubMessages, ATextIsReadInPiecesAndAgain) {
  TextBody body("hello");
  EXPECT_EQ(body.size(), 5U);
  std::array<std::byte, 3> buffer{};
  for (int round = 0; round < 2; ++round) {
    std::string text;
    for (;;) {
      const auto got = body.read(buffer);
      ASSERT_TRUE(got);
      if (*got == 0) break;
      text.append(reinterpret_cast<const char*>(buffer.data()), *got);
    }
    EXPECT_EQ(text, "hello");
    ASSERT_TRUE(body.rewind());
  }
}

TEST(HubMessages, TheFirstHeaderOfANameCounts) {
  Response response;
  response.headers = {{"etag", "a"}, {"etag", "b"}};
  EXPECT_EQ(response.header("etag"), "a");
  EXPECT_EQ(response.header("link"), "");
}

TEST(HubMessages, ARequestIsKnownByWhicheverIdItsServerGives) {
  Response response;
  EXPECT_EQ(response.request_id(), "");
  response.headers = {{"x-amz-request-id", "store"}};
  EXPECT_EQ(response.request_id(), "store");
  response.headers.push_back({"x-request-id", "hub"});
  EXPECT_EQ(response.request_id(), "hub");
}

TEST(HubMessages, OnlyTheTwoHundredsAreGood) {
  Response response;
  for (const int good : {200, 201, 206, 299}) {
    response.status = good;
    EXPECT_TRUE(response.ok()) << good;
  }
  for (const int bad : {0, 100, 199, 300, 304, 404, 500}) {
    response.status = bad;
    EXPECT_FALSE(response.ok()) << bad;
  }
}

}  // namespace
}  // namespace ferrule::hub
