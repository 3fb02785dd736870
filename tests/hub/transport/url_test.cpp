// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/url.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace ferrule::hub {
namespace {

TEST(HubUrls, OriginsCompareSchemeHostAndPort) {
  EXPECT_EQ(origin_of("https://HF.co/a?b"), origin_of("https://hf.co:443/"));
  EXPECT_NE(origin_of("http://hf.co/"), origin_of("https://hf.co/"));
  EXPECT_NE(origin_of("http://127.0.0.1:1/"), origin_of("http://127.0.0.1:2/"));
  for (const auto* bad : {"ftp://a/", "file:///etc/passwd", "https://user@a/", "", "a/b"}) {
    EXPECT_EQ(origin_of(bad), std::nullopt) << bad;
  }
}

TEST(HubUrls, LocationsAreResolved) {
  EXPECT_EQ(resolve_url("http://a/b/c?d", "/x?y=%2F&z=%22"), "http://a/x?y=%2F&z=%22");
  EXPECT_EQ(resolve_url("http://a/b", "https://c/d"), "https://c/d");
  EXPECT_EQ(resolve_url("http://a/b/c", "../d"), "http://a/d");
  EXPECT_EQ(resolve_url("https://a/b", "//c/d"), "https://c/d");
  EXPECT_EQ(resolve_url("http://a/b", "/sp ace"), "http://a/sp%20ace");
  for (const auto* bad : {"file:///etc/passwd", "ftp://c/d", "gopher://c/"}) {
    EXPECT_EQ(resolve_url("http://a/b", bad), std::nullopt) << bad;
  }
  EXPECT_EQ(resolve_url("not an address", "/x"), std::nullopt);
}

TEST(HubUrls, RevisionsAreOneSegment) {
  EXPECT_EQ(percent_encode("refs/pr/3", false), "refs%2Fpr%2F3");
  EXPECT_EQ(percent_encode("a b/c#?.bin", true), "a%20b/c%23%3F.bin");
  EXPECT_EQ(percent_encode("-._~aZ09", false), "-._~aZ09");
  EXPECT_EQ(percent_encode("\xC3\xA9%", true), "%C3%A9%25");
}

TEST(HubUrls, SignaturesStayOutOfMessages) {
  EXPECT_EQ(without_query("https://s3/a?X-Amz-Signature=secret"), "https://s3/a");
  EXPECT_EQ(without_query("https://s3/a#secret"), "https://s3/a");
  EXPECT_EQ(without_query("https://s3/a"), "https://s3/a");
}

TEST(HubUrls, TheHubsOwnAddressesMoveToTheEndpoint) {
  EXPECT_EQ(at_endpoint("https://huggingface.co/a/b", "http://h:1"), "http://h:1/a/b");
  EXPECT_EQ(at_endpoint("https://huggingface.co.evil/a", "http://h:1"),
            "https://huggingface.co.evil/a");
  EXPECT_EQ(at_endpoint("https://s3/a", "http://h:1"), "https://s3/a");
  EXPECT_EQ(at_endpoint("https://huggingface.co", "http://h:1"), "http://h:1");
  EXPECT_EQ(at_endpoint("https://hf.co/a?b", "http://h:1"), "http://h:1/a?b");
  EXPECT_EQ(at_endpoint("https://huggingface.co/a", "https://huggingface.co"),
            "https://huggingface.co/a");
}

}  // namespace
}  // namespace ferrule::hub
