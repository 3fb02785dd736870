// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "ferrule/report_json.hpp"

namespace ferrule {
namespace {

const FactoredModule kModule = {.path = "q",
                                .rank = 2,
                                .rank_before = 8,
                                .norm = 1.5,
                                .relative_error = 0.25,
                                .singular_values = {3, 0.5}};
constexpr const char* kModules =
    R"([{"module":"q","rank":2,"rank_before":8,"norm":1.5,"relative_error":0.25,)"
    R"("singular_values":[3,0.5]}])";

TEST(FactorJson, OfACombination) {
  const CombineReport report{.weights_file = "w",
                             .modules = {kModule},
                             .parameters = 12,
                             .relative_error = 0.125,
                             .findings = {}};
  EXPECT_EQ(Json(to_json(report, "o")).dump(),
            std::string(R"({"output":"o","weights_file":"w","parameters":12,)"
                        R"("relative_error":0.125,"modules":)") +
                kModules + R"(,"findings":[]})");
}

TEST(FactorJson, OfSmallerRanks) {
  const ResizeReport report{.in_place = true,
                            .weights_file = "w",
                            .modules = {kModule},
                            .parameters_before = 40,
                            .parameters = 12,
                            .relative_error = 0.125,
                            .copied = {"README.md"},
                            .findings = {}};
  EXPECT_EQ(Json(to_json(report, "o")).dump(),
            std::string(R"({"output":"o","in_place":true,"weights_file":"w",)"
                        R"("parameters_before":40,"parameters":12,"relative_error":0.125,)"
                        R"("modules":)") +
                kModules + R"(,"copied":["README.md"],"findings":[]})");
}

TEST(FactorJson, OfADifferenceOfModels) {
  // A tensor that was zero before has no relative change.
  const ExtractReport report{.weights_file = "w",
                             .modules = {kModule},
                             .unchanged = 5,
                             .others = {{.name = "norm", .relative_change = 0.5, .kept = true},
                                        {.name = "bias",
                                         .relative_change = std::numeric_limits<double>::infinity(),
                                         .kept = false}},
                             .parameters = 12,
                             .relative_error = 0.125,
                             .findings = {}};
  EXPECT_EQ(Json(to_json(report, "o")).dump(),
            std::string(R"({"output":"o","weights_file":"w","parameters":12,)"
                        R"("relative_error":0.125,"modules":)") +
                kModules +
                R"(,"unchanged":5,"others":[)"
                R"({"tensor":"norm","relative_change":0.5,"kept":true},)"
                R"({"tensor":"bias","relative_change":null,"kept":false}],"findings":[]})");
}

TEST(FactorJson, OfAnotherMethod) {
  const ToLoraReport report{.weights_file = "w",
                            .from = "LOHA",
                            .modules = {kModule},
                            .parameters = 12,
                            .relative_error = 0.125,
                            .findings = {}};
  EXPECT_EQ(Json(to_json(report, "o")).dump(),
            std::string(R"({"output":"o","weights_file":"w","from":"LOHA","parameters":12,)"
                        R"("relative_error":0.125,"modules":)") +
                kModules + R"(,"findings":[]})");
}

}  // namespace
}  // namespace ferrule
