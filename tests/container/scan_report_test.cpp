// SPDX-License-Identifier: Apache-2.0
#include "ferrule/scan_report.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace ferrule {
namespace {

ScannedFile file_of(const std::string& path, std::vector<ScanSeverity> severities = {}) {
  ScannedFile file;
  file.path = path;
  file.examined = true;
  file.pickles = 1;
  for (const auto severity : severities) {
    file.hits.push_back({.entry = "data.pkl",
                         .offset = 2,
                         .opcode = "GLOBAL",
                         .global = "some.name",
                         .why = "is not known",
                         .severity = severity});
  }
  return file;
}

TEST(ScanReports, CountAndJudge) {
  ScanReport report;
  EXPECT_TRUE(report.good());
  EXPECT_EQ(report.verdict(), "clean");
  report.add(file_of("a", {ScanSeverity::kTrainingState}), {});
  EXPECT_TRUE(report.good());
  EXPECT_EQ(report.verdict(), "training_state");
  report.add(file_of("b", {ScanSeverity::kTrainingState, ScanSeverity::kUnknown}), {});
  EXPECT_FALSE(report.good());
  report.add(file_of("c", {ScanSeverity::kDangerous}), {});
  EXPECT_EQ(report.verdict(), "dangerous");
  EXPECT_EQ(report.pickles, 3U);
  EXPECT_EQ(report.training_state + report.unknown + report.dangerous, 3U);
  ASSERT_EQ(report.findings().size(), 4U);
  EXPECT_EQ(report.findings()[3].severity, Severity::kError);
  EXPECT_EQ(report.findings()[3].message, "data.pkl: offset 2: GLOBAL is not known");
}

TEST(ScanReports, FailAtTheirLeastSeverity) {
  const auto fails = [](ScanSeverity severity, ScanFailOn fail_on) {
    ScanReport report;
    report.add(file_of("f", {severity}), {.allow = {}, .fail_on = fail_on});
    return !report.good();
  };
  EXPECT_TRUE(fails(ScanSeverity::kTrainingState, ScanFailOn::kAny));
  EXPECT_FALSE(fails(ScanSeverity::kTrainingState, ScanFailOn::kUnknown));
  EXPECT_TRUE(fails(ScanSeverity::kUnknown, ScanFailOn::kUnknown));
  EXPECT_FALSE(fails(ScanSeverity::kUnknown, ScanFailOn::kDangerous));
  EXPECT_TRUE(fails(ScanSeverity::kDangerous, ScanFailOn::kDangerous));
}

TEST(ScanReports, AllowFilesByPathOrNameAndGlobalsByName) {
  for (const auto* glob : {"some.*", "dir/*", "*.bin", "x.bin"}) {
    ScanReport report;
    report.add(file_of("dir/x.bin", {ScanSeverity::kDangerous}), {.allow = {glob}});
    EXPECT_TRUE(report.good()) << glob;
    EXPECT_EQ(report.files[0].allowed, 1U) << glob;
  }
  // A part that could not be read is not a global.
  auto gap = file_of("x.bin");
  gap.gaps.push_back({.entry = {}, .rule = "PK-1", .message = "ends early"});
  ScanReport report;
  report.add(std::move(gap), {.allow = {"some.*"}});
  EXPECT_FALSE(report.good());
}

TEST(ScanReports, AFileThatCannotBeOpenedIsNotGood) {
  ScannedFile file;
  file.system_error = Error{.code = ErrorCode::kIo, .system_errno = EACCES};
  ScanReport report;
  report.add(std::move(file), {.allow = {"*"}});
  EXPECT_FALSE(report.good());
  EXPECT_EQ(report.verdict(), "error");
}

}  // namespace
}  // namespace ferrule
