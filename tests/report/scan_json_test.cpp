// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "ferrule/report_json.hpp"

namespace ferrule {
namespace {

ScannedFile pickle_with_a_call() {
  ScannedFile file;
  file.path = "a.bin";
  file.examined = true;
  file.pickles = 1;
  for (const bool named : {true, false}) {
    auto& hit = file.hits.emplace_back();
    hit.severity = named ? ScanSeverity::kDangerous : ScanSeverity::kUnknown;
    hit.entry = "data.pkl";
    hit.offset = named ? 7 : 9;
    hit.opcode = named ? "REDUCE" : "INST";
    hit.global = named ? "os.system" : "";
    hit.why = named ? "runs commands" : "no name";
  }
  return file;
}

TEST(ScanJson, ListsWhatWouldRun) {
  ScanReport report;
  report.add(pickle_with_a_call(), {});
  const auto document = Json(to_json(report));
  EXPECT_EQ(document.find("good")->dump(), "false");
  EXPECT_EQ(document.find("verdict")->dump(), "\"dangerous\"");
  EXPECT_EQ(document.find("counts")->dump(),
            R"({"files":1,"pickles":1,"not_examined":0,"dangerous":1,"unknown":0,)"
            R"("training_state":0,"errors":0})");
  const auto& file = document.find("files")->if_array()->front();
  EXPECT_EQ(file.find("path")->dump(), "\"a.bin\"");
  EXPECT_EQ(file.find("severity")->dump(), "\"dangerous\"");
  EXPECT_EQ(file.find("allowed")->dump(), "0");
  EXPECT_EQ(file.find("error")->dump(), "null");
  // A hit without a name has null for it.
  EXPECT_EQ(file.find("would_run")->dump(),
            R"([{"severity":"dangerous","entry":"data.pkl","offset":7,"opcode":"REDUCE",)"
            R"("global":"os.system","why":"runs commands"},)"
            R"({"severity":"unknown","entry":"data.pkl","offset":9,"opcode":"INST",)"
            R"("global":null,"why":"no name"}])");
}

TEST(ScanJson, CountsWhatThePolicyAllows) {
  ScanReport report;
  report.add(pickle_with_a_call(), {.allow = {"a.bin"}});
  const auto document = Json(to_json(report));
  EXPECT_EQ(document.find("good")->dump(), "true");
  const auto& file = document.find("files")->if_array()->front();
  EXPECT_EQ(file.find("allowed")->dump(), "2");
  EXPECT_EQ(file.find("severity")->dump(), "null");
}

TEST(ScanJson, NamesWhatWasNotReadAndWhatCouldNotBeOpened) {
  ScannedFile cut;
  cut.path = "cut.bin";
  cut.examined = true;
  auto& gap = cut.gaps.emplace_back();
  gap.entry = "x.pkl";
  gap.rule = "PK-1";
  gap.message = "ends early";
  ScannedFile locked;
  locked.path = "locked.bin";
  locked.system_error = Error{.code = ErrorCode::kIo, .message = "m", .system_errno = 13};
  ScanReport report;
  report.add(cut, {});
  report.add(locked, {});
  const auto document = Json(to_json(report));
  EXPECT_EQ(document.find("verdict")->dump(), "\"error\"");
  const auto& files = *document.find("files")->if_array();
  EXPECT_EQ(files[0].find("not_read")->dump(),
            R"([{"entry":"x.pkl","rule":"PK-1","message":"ends early"}])");
  EXPECT_EQ(files[1].find("error")->find("errno")->dump(), "13");
  EXPECT_EQ(document.find("counts")->find("errors")->dump(), "1");
}

}  // namespace
}  // namespace ferrule
