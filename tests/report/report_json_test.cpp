// SPDX-License-Identifier: Apache-2.0
#include "ferrule/report_json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace ferrule {
namespace {

TEST(ReportJson, WritesAFindingWithAllFields) {
  const Finding finding{.severity = Severity::kWarning,
                        .rule = "AD-3",
                        .path = "p",
                        .key = "k",
                        .message = "m",
                        .advice = "a"};
  EXPECT_EQ(
      to_json(finding).dump(),
      R"({"severity":"warning","rule":"AD-3","path":"p","key":"k","message":"m","advice":"a"})");
  EXPECT_EQ(to_json(std::vector<Finding>{}).dump(), "[]");
}

TEST(ReportJson, WritesAnError) {
  const Error error{.code = ErrorCode::kNotFound, .message = "m", .path = "p", .system_errno = 2};
  EXPECT_EQ(to_json(error).dump(),
            R"({"code":"not_found","rule":"","path":"p","message":"m","errno":2})");
}

TEST(ReportJson, WritesWholeNumbersAsIntegersAndMissingOnesAsNull) {
  EXPECT_EQ(real_json(2.0).dump(), "2");
  EXPECT_EQ(real_json(-0.5).dump(), "-0.5");
  EXPECT_EQ(real_json(std::nullopt).dump(), "null");
  EXPECT_EQ(real_json(std::numeric_limits<double>::infinity()).dump(), "null");
  EXPECT_EQ(real_json(std::nan("")).dump(), "null");
  // Above 2^53 a double no longer tells whole numbers apart.
  EXPECT_TRUE(real_json(0x1p53).is_integer());
  EXPECT_TRUE(real_json(0x1p54).is_float());
}

TEST(ReportJson, StartsADocumentWithItsVersion) {
  EXPECT_EQ(report_document({{"good", true}}).dump(), R"({"version":1,"good":true})");
}

TEST(ReportJson, WritesACheck) {
  const CheckReport report{.verdict = Verdict::kBad, .matched = 3, .total = 4, .findings = {}};
  EXPECT_EQ(report_document(to_json(report)).dump(),
            R"({"version":1,"verdict":"bad","modules":{"matched":3,"total":4},"findings":[]})");
}

TEST(ReportJson, WritesAFix) {
  FixReport report;
  report.adapters.push_back({.folder = "a",
                             .fixed = {{.what = "old-type", .message = "m", .tensors = 2}},
                             .remaining = {{.severity = Severity::kError, .rule = "AD-1"}}});
  const auto document = Json(to_json(report, "out"));
  EXPECT_EQ(document.find("good")->dump(), "false");
  EXPECT_EQ(document.find("written")->dump(), "false");
  EXPECT_EQ(document.find("directory")->dump(), "\"out\"");
  const auto& adapter = document.find("adapters")->if_array()->front();
  EXPECT_EQ(adapter.find("mended")->dump(), R"([{"what":"old-type","message":"m","tensors":2}])");
  EXPECT_EQ(adapter.find("left")->if_array()->size(), 1U);
}

TEST(ReportJson, ListsTensorsOfADiffOnlyIfAsked) {
  DiffReport report;
  report.modules.push_back({.path = "q", .measure = {}, .tensors = {}});
  report.config.push_back({.field = "r", .a = Json(1), .b = {}});
  const auto without = Json(to_json(report, "a", "b", false));
  EXPECT_EQ(without.find("modules")->if_array()->front().find("tensors"), nullptr);
  EXPECT_EQ(without.find("config")->dump(), R"([{"field":"r","a":1,"b":null}])");
  const auto with = Json(to_json(report, "a", "b", true));
  EXPECT_EQ(with.find("modules")->if_array()->front().find("tensors")->dump(), "[]");
}

TEST(ReportJson, AddsUpTheBytesOfASave) {
  SaveReport report;
  report.adapters.resize(2);
  report.adapters[0].file_bytes = 3;
  report.adapters[1].file_bytes = 4;
  report.state_bytes = 100;
  const auto document = Json(to_json(report));
  EXPECT_EQ(document.find("saved_bytes")->dump(), "7");
  EXPECT_EQ(document.find("state_bytes")->dump(), "100");
}

}  // namespace
}  // namespace ferrule
