// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/http_failure.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace ferrule::hub {
namespace {

struct Case {
  std::string name;
  int status;
  std::vector<Header> headers;
  std::string text;
  std::string rule;
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class Answers : public testing::TestWithParam<Case> {};

TEST_P(Answers, MeanWhatTheHubMeans) {
  const auto& one = GetParam();
  Response response;
  response.status = one.status;
  response.headers = one.headers;
  response.text = one.text;
  const auto error = http_failure(response, "the list of files");
  EXPECT_EQ(error.rule, one.rule) << error.message;
  EXPECT_EQ(error.http_status, one.status);
  EXPECT_EQ(error.message.rfind("the list of files: ", 0), 0U) << error.message;
  EXPECT_NE(error.message.find("HTTP " + std::to_string(one.status)), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Hub, Answers,
    testing::Values(Case{"NoToken", 401, {}, R"({"error": "Unauthorized"})", "HB-4"},
                    Case{"WrongToken",
                         401,
                         {{"x-error-code", "RepoNotFound"}},
                         R"({"error": "Invalid credentials in Authorization header"})",
                         "HB-4"},
                    // The Hub does not tell a stranger whether a repository exists.
                    Case{"Hidden", 401, {{"x-error-code", "RepoNotFound"}}, "", "HB-5"},
                    Case{"NoRepository", 404, {{"x-error-code", "RepoNotFound"}}, "", "HB-5"},
                    Case{"Gated", 403, {{"x-error-code", "GatedRepo"}}, "", "HB-6"},
                    Case{"NoRevision", 404, {{"x-error-code", "RevisionNotFound"}}, "", "HB-7"},
                    Case{"NoEntry", 404, {{"x-error-code", "EntryNotFound"}}, "", "HB-8"},
                    Case{"Disabled",
                         403,
                         {{"x-error-code", "RepoNotFound"}},
                         R"({"error": "Access to this resource is disabled."})",
                         "HB-9"},
                    Case{"Payment", 402, {}, "", "HB-9"}, Case{"Forbidden", 403, {}, "", "HB-9"},
                    Case{"Plain404", 404, {}, "", "HB-8"}, Case{"Conflict", 409, {}, "", "HB-16"},
                    Case{"Precondition", 412, {}, "", "HB-16"},
                    Case{"Limited", 429, {}, "", "HB-10"}, Case{"Failed", 500, {}, "", "HB-11"},
                    Case{"Teapot", 418, {}, "", "HB-11"},
                    Case{"UnknownCode", 404, {{"x-error-code", "Other"}}, "", "HB-8"}),
    [](const auto& test) { return test.param.name; });

std::string words_of(std::vector<Header> headers, std::string text) {
  Response response;
  response.status = 400;
  response.headers = std::move(headers);
  response.text = std::move(text);
  return server_words(response);
}

TEST(HubServerWords, ComeFromTheHeaderOrTheBody) {
  EXPECT_NE(words_of({{"x-error-message", "from the header"}}, R"({"error": "body"})")
                .find("from the header"),
            std::string::npos);
  EXPECT_NE(words_of({}, R"({"error": "one"})").find("one"), std::string::npos);
  EXPECT_NE(words_of({}, R"({"errors": ["one", {"message": "two"}]})").find("one; two"),
            std::string::npos);
  EXPECT_NE(words_of({}, "plain words").find("plain words"), std::string::npos);
}

TEST(HubServerWords, PagesAndNothingAreNoWords) {
  EXPECT_EQ(words_of({}, ""), "");
  EXPECT_EQ(words_of({}, "  <html>Not found</html>"), "");
  EXPECT_EQ(words_of({}, R"({"status": 3})"), "");
}

TEST(HubServerWords, AreBoundedAndPrintable) {
  const auto words = words_of({}, "a\x1B[2Jb\n" + std::string(10'000, 'x'));
  EXPECT_LT(words.size(), 1000U);
  for (const char c : words) EXPECT_GE(static_cast<unsigned char>(c), ' ');
}

}  // namespace
}  // namespace ferrule::hub
