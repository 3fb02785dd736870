// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "ferrule/report_json.hpp"

namespace ferrule {
namespace {

VerifyReport bad_report() {
  VerifyReport report;
  report.findings.push_back({.severity = Severity::kError, .rule = "AD-1"});
  report.verified = 3;
  report.bad = 2;
  return report;
}

TEST(VerifyJson, HasTheVerdictTheCountsAndTheErrors) {
  auto report = bad_report();
  report.system_error = Error{.code = ErrorCode::kIo, .message = "m", .system_errno = 5};
  report.unreadable = {*report.system_error, *report.system_error};
  const auto document = Json(to_json(report, "p"));
  EXPECT_EQ(document.find("path")->dump(), "\"p\"");
  EXPECT_EQ(document.find("good")->dump(), "false");
  EXPECT_EQ(document.find("verified")->dump(), "3");
  EXPECT_EQ(document.find("bad")->dump(), "2");
  EXPECT_EQ(document.find("findings")->if_array()->size(), 1U);
  EXPECT_EQ(document.find("unreadable")->if_array()->size(), 2U);
  EXPECT_EQ(document.find("error")->find("errno")->dump(), "5");
}

TEST(VerifyJson, AddsSeveralPathsUp) {
  VerifyReport good;
  good.verified = 4;
  const std::array reports = {good, bad_report(), bad_report()};
  const std::array<std::filesystem::path, 3> paths = {"a", "b", "c"};
  const auto document = Json(to_json(reports, paths));
  EXPECT_EQ(document.find("good")->dump(), "false");
  EXPECT_EQ(document.find("verified")->dump(), "10");
  EXPECT_EQ(document.find("bad")->dump(), "4");
  const auto& entries = *document.find("paths")->if_array();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].find("good")->dump(), "true");
  EXPECT_EQ(entries[0].find("error")->dump(), "null");
  EXPECT_EQ(entries[2].find("path")->dump(), "\"c\"");
  const std::array one = {good};
  const auto first = Json(to_json(one, std::span(paths).first(1)));
  EXPECT_EQ(first.find("good")->dump(), "true");
}

}  // namespace
}  // namespace ferrule
