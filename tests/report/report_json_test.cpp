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

TEST(ReportJson, WritesANormalization) {
  const NormalizeReport report{.in_place = false,
                               .weights_file = "w",
                               .modules = 7,
                               .rank = 16,
                               .padded = 3,
                               .folded = 5,
                               .exact = false,
                               .largest_relative_error = 0.5,
                               .worst_module = "q",
                               .copied = {"README.md"},
                               .findings = {}};
  EXPECT_EQ(Json(to_json(report, "o")).dump(),
            R"({"directory":"o","in_place":false,"weights_file":"w","rank":16,"modules":7,)"
            R"("padded":3,"folded":5,"exact":false,"largest_relative_error":0.5,)"
            R"("worst_module":"q","copied":["README.md"],"findings":[]})");
  const auto exact = Json(to_json(NormalizeReport{}, "o"));
  EXPECT_EQ(exact.find("worst_module")->dump(), "null");
}

TEST(ReportJson, WritesAConversion) {
  ConvertReport report;
  report.adapters.push_back({.folder = "b",
                             .from = "adapter_model.bin",
                             .to = "adapter_model.safetensors",
                             .tensors = 4,
                             .from_bytes = 90,
                             .copied = {"README.md"}});
  EXPECT_EQ(Json(to_json(report, "o")).dump(),
            R"({"directory":"o","in_place":false,"adapters":[{"folder":"b",)"
            R"("from":"adapter_model.bin","to":"adapter_model.safetensors","tensor_count":4,)"
            R"("from_bytes":90,"copied":["README.md"]}]})");
}

TEST(ReportJson, WritesAMerge) {
  MergeReport report;
  report.modules = 3;
  report.untied = true;
  report.bytes_written = 70;
  report.copied = {"tokenizer.json"};
  report.left_out = {"pytorch_model.bin"};
  report.files.resize(2);
  report.files[0].name = "model-1.safetensors";
  report.files[0].bytes = 60;
  report.files[0].changed = {"a", "b"};
  report.files[0].added = {"lm_head.weight"};
  report.files[1].name = "model-2.safetensors";
  report.files[1].bytes = 10;
  report.files[1].changed = {"c"};
  report.files[1].linked = true;
  EXPECT_EQ(Json(to_json(report, "o")).dump(),
            R"({"output":"o","in_place":false,"modules":3,"changed_tensors":3,"untied":true,)"
            R"("bytes_written":70,"files":[{"file":"model-1.safetensors","bytes":60,)"
            R"("changed":["a","b"],"added":["lm_head.weight"],"linked":false,"resumed":false},)"
            R"({"file":"model-2.safetensors","bytes":10,"changed":["c"],"added":[],)"
            R"("linked":true,"resumed":false}],"copied":["tokenizer.json"],)"
            R"("left_out":["pytorch_model.bin"],"findings":[]})");
}

TEST(ReportJson, WritesWhatACleanRemoved) {
  const CleanReport report{
      .removed = {"a"}, .in_use = {"b"}, .kept = {"c"}, .errors = {{.code = ErrorCode::kIo}}};
  const auto document = Json(to_json(report, "f"));
  EXPECT_EQ(document.find("folder")->dump(), "\"f\"");
  EXPECT_EQ(document.find("removed")->dump(), "[\"a\"]");
  EXPECT_EQ(document.find("in_use")->dump(), "[\"b\"]");
  EXPECT_EQ(document.find("kept")->dump(), "[\"c\"]");
  EXPECT_EQ(document.find("errors")->if_array()->front().find("code")->dump(), "\"io\"");
}

}  // namespace
}  // namespace ferrule
