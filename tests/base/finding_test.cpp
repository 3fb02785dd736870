// SPDX-License-Identifier: Apache-2.0
#include "ferrule/finding.hpp"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

namespace ferrule {
namespace {

TEST(Findings, HaveStableSeverityNames) {
  EXPECT_EQ(severity_name(Severity::kError), "error");
  EXPECT_EQ(severity_name(Severity::kWarning), "warning");
  EXPECT_EQ(severity_name(Severity::kNote), "note");
}

TEST(Findings, WarningsAndNotesAreNotErrors) {
  const Finding error{.severity = Severity::kError};
  const Finding warning{.severity = Severity::kWarning};
  const Finding note{.severity = Severity::kNote};
  const std::vector<Finding> all = {note, warning, error};
  EXPECT_FALSE(has_error({}));
  EXPECT_FALSE(has_error(std::span(all).first(2)));
  EXPECT_TRUE(has_error(all));
}

TEST(Findings, SortErrorsFirstAndKeepTheirOrderOtherwise) {
  std::vector<Finding> findings = {{.severity = Severity::kNote, .rule = "1"},
                                   {.severity = Severity::kError, .rule = "2"},
                                   {.severity = Severity::kWarning, .rule = "3"},
                                   {.severity = Severity::kError, .rule = "4"},
                                   {.severity = Severity::kNote, .rule = "5"}};
  sort_by_severity(findings);
  std::string order;
  for (const auto& finding : findings) order += finding.rule;
  EXPECT_EQ(order, "24315");
}

TEST(Findings, OfAnErrorKeepItsRulePathAndMessage) {
  const auto finding = to_finding(Error{.code = ErrorCode::kUnsupported,
                                        .rule = "AD-3",
                                        .message = "unknown method",
                                        .path = "adapter_config.json"});
  EXPECT_EQ(finding.severity, Severity::kError);
  EXPECT_EQ(finding.rule, "AD-3");
  EXPECT_EQ(finding.path, "adapter_config.json");
  EXPECT_EQ(finding.message, "unknown method");
  EXPECT_EQ(finding.key, "");
  EXPECT_EQ(finding.advice, "");
}

}  // namespace
}  // namespace ferrule
