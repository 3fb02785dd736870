// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/environment.hpp"

#include <gtest/gtest.h>

#include "hub/test_environment.hpp"

namespace ferrule::hub {
namespace {

using test::TestEnvironment;

TEST(HubEnvironment, TheCapitalProxyServesPlainHttpOnly) {
  TestEnvironment environment(
      {{"http_proxy", nullptr}, {"REQUEST_METHOD", nullptr}, {"HTTP_PROXY", "http://proxy:1"}});
  EXPECT_EQ(capital_proxy("http://a/"), "http://proxy:1");
  EXPECT_EQ(capital_proxy("https://a/"), "");
  environment.set("HTTP_PROXY", nullptr);
  EXPECT_EQ(capital_proxy("http://a/"), "");
}

TEST(HubEnvironment, TheSmallLettersWinAndScriptsOfAWebServerAreNotFooled) {
  TestEnvironment environment({{"http_proxy", "http://other:1"},
                               {"REQUEST_METHOD", nullptr},
                               {"HTTP_PROXY", "http://proxy:1"}});
  EXPECT_EQ(capital_proxy("http://a/"), "");  // libcurl reads http_proxy itself.
  environment.set("http_proxy", nullptr);
  environment.set("REQUEST_METHOD", "GET");
  EXPECT_EQ(capital_proxy("http://a/"), "");
}

TEST(HubEnvironment, TheFirstFileOfCertificatesWins) {
  TestEnvironment environment(
      {{"SSL_CERT_FILE", nullptr}, {"REQUESTS_CA_BUNDLE", nullptr}, {"CURL_CA_BUNDLE", nullptr}});
  EXPECT_EQ(certificates(), "");
  environment.set("CURL_CA_BUNDLE", "/c");
  EXPECT_EQ(certificates(), "/c");
  environment.set("REQUESTS_CA_BUNDLE", "/b");
  EXPECT_EQ(certificates(), "/b");
  environment.set("SSL_CERT_FILE", "");
  EXPECT_EQ(certificates(), "/b");
  environment.set("SSL_CERT_FILE", "/a");
  EXPECT_EQ(certificates(), "/a");
}

}  // namespace
}  // namespace ferrule::hub
