// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "ferrule/ferrule.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

using Shape = std::vector<std::uint64_t>;

const std::string kQ = "base_model.model.q_proj";

struct Broken {
  const char* name;
  const char* rule;
  Severity severity;
  const char* peft_type;
  std::vector<Json::Member> fields;
  std::vector<std::pair<std::string, Shape>> tensors;
};

void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

/// An adapter of tensors of ones, as no saver of ours would let it out.
void write_adapter(const std::filesystem::path& directory, const Broken& broken) {
  const auto config = AdapterConfig::make(broken.peft_type, broken.fields);
  ASSERT_TRUE(config) << config.error().to_string();
  test::write_file(directory / "adapter_config.json", config->to_json());
  std::deque<std::vector<float>> memory;
  std::vector<NamedTensor> tensors;
  for (const auto& [name, shape] : broken.tensors) {
    const auto& values = memory.emplace_back(element_count(shape).value(), 1.0F);
    tensors.push_back(
        {name, TensorView::make(Dtype::kF32, shape, std::as_bytes(std::span(values))).value()});
  }
  ASSERT_TRUE(write_safetensors(directory / "adapter_model.safetensors", tensors, {}));
}

class Verify : public testing::TestWithParam<Broken> {};

TEST_P(Verify, NamesTheRuleThatIsBroken) {
  const test::TempDir dir;
  write_adapter(dir / "a", GetParam());
  const auto report = verify(dir / "a");
  EXPECT_FALSE(report.system_error);
  EXPECT_EQ(report.good(), GetParam().severity != Severity::kError);
  const auto found =
      std::find_if(report.findings.begin(), report.findings.end(),
                   [](const Finding& finding) { return finding.rule == GetParam().rule; });
  ASSERT_NE(found, report.findings.end());
  EXPECT_EQ(found->severity, GetParam().severity);
  EXPECT_FALSE(found->path.empty());
}

Json list(const char* word) { return Json(Json::Array{Json(word)}); }

std::vector<Json::Member> lora_fields() {
  return {{"r", Json(2)}, {"lora_alpha", Json(4)}, {"target_modules", list("q_proj")}};
}

std::vector<Json::Member> lora_fields_and(const char* field, Json value) {
  auto fields = lora_fields();
  fields.emplace_back(field, std::move(value));
  return fields;
}

const Shape kA = {2, 4};
const Shape kB = {4, 2};

std::vector<std::pair<std::string, Shape>> lora_and(std::string name, Shape shape) {
  return {{kQ + ".lora_A.weight", kA}, {kQ + ".lora_B.weight", kB}, {std::move(name), shape}};
}

constexpr auto kError = Severity::kError;

INSTANTIATE_TEST_SUITE_P(
    Rules, Verify,
    testing::Values(
        Broken{"Empty", "AD-1", kError, "LORA", lora_fields(), {}},
        Broken{"SizeZero",
               "AD-3",
               kError,
               "LORA",
               lora_fields(),
               {{kQ + ".lora_A.weight", {0, 4}}, {kQ + ".lora_B.weight", {4, 0}}}},
        Broken{"Flat",
               "AD-3",
               kError,
               "LORA",
               lora_fields(),
               {{kQ + ".lora_A.weight", {8}}, {kQ + ".lora_B.weight", {8}}}},
        Broken{"HalfAPair", "AD-4", kError, "LORA", lora_fields(), {{kQ + ".lora_A.weight", kA}}},
        Broken{"OtherRank",
               "AD-5",
               kError,
               "LORA",
               lora_fields(),
               {{kQ + ".lora_A.weight", {3, 4}}, {kQ + ".lora_B.weight", {4, 3}}}},
        Broken{"RanksOfAAndB",
               "AD-5",
               kError,
               "LORA",
               lora_fields(),
               {{kQ + ".lora_A.weight", kA}, {kQ + ".lora_B.weight", {4, 3}}}},
        Broken{"OtherMethod", "AD-6", kError, "LORA", lora_fields(),
               lora_and(kQ + ".ia3_l", {4, 1})},
        Broken{"Unexplained", "AD-7", kError, "LORA", lora_fields(),
               lora_and(kQ + ".something", {4})},
        Broken{"BaseWeight", "AD-7", kError, "LORA", lora_fields(),
               lora_and("base_model.model.k_proj.weight", {4, 4})},
        Broken{"NameLeft",
               "AD-8",
               kError,
               "LORA",
               lora_fields(),
               {{kQ + ".lora_A.default.weight", kA}, {kQ + ".lora_B.default.weight", kB}}},
        Broken{"OldOft",
               "AD-9",
               kError,
               "OFT",
               {{"r", Json(1)}, {"oft_block_size", Json(0)}, {"target_modules", list("q_proj")}},
               {{kQ + ".oft_r", {1, 4, 4}}}},
        Broken{"OldBoft",
               "AD-10",
               Severity::kNote,
               "BOFT",
               {{"target_modules", list("q_proj")}},
               {{kQ + ".boft_R", {1, 1, 4, 4}},
                {kQ + ".boft_s", {4, 1}},
                {kQ + ".boft_P", {1, 4, 4}}}},
        Broken{"NoPrefix",
               "AD-11",
               kError,
               "LORA",
               lora_fields(),
               {{"q_proj.lora_A.weight", kA}, {"q_proj.lora_B.weight", kB}}},
        Broken{"TaskRowsWithoutPrompt",
               "AD-12",
               kError,
               "MULTITASK_PROMPT_TUNING",
               {{"task_type", Json("CAUSAL_LM")}, {"num_virtual_tokens", Json(2)}},
               {{"prefix_task_rows", {1, 4, 1}}, {"prefix_task_cols", {1, 2, 1}}}},
        Broken{"VeraWithoutProjection",
               "AD-12",
               kError,
               "VERA",
               {{"r", Json(2)}, {"target_modules", list("q_proj")}},
               {{kQ + ".vera_lambda_b", {4}}, {kQ + ".vera_lambda_d", {2}}}},
        Broken{"LackingSavedModule",
               "AD-13",
               Severity::kWarning,
               "LORA",
               lora_fields_and("modules_to_save", list("lm_head")),
               {{kQ + ".lora_A.weight", kA}, {kQ + ".lora_B.weight", kB}}},
        Broken{"NotTargeted",
               "AD-14",
               kError,
               "LORA",
               {{"r", Json(2)}, {"lora_alpha", Json(4)}, {"target_modules", list("k_proj")}},
               {{kQ + ".lora_A.weight", kA}, {kQ + ".lora_B.weight", kB}}},
        Broken{"InvalidPattern",
               "CF-20",
               kError,
               "LORA",
               lora_fields_and("rank_pattern", Json(Json::Object{{"(q_proj", Json(2)}})),
               {{kQ + ".lora_A.weight", kA}, {kQ + ".lora_B.weight", kB}}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(VerifyFile, AnAdapterWithoutWeightsOrConfigIsBad) {
  const test::TempDir dir;
  test::write_file(dir / "a" / "adapter_config.json", "{\"peft_type\": \"LORA\"}");
  test::write_file(dir / "b" / "adapter_model.safetensors", "");
  const auto no_weights = verify(dir / "a");
  ASSERT_EQ(no_weights.findings.size(), 1U);
  EXPECT_EQ(no_weights.findings[0].rule, "AD-15");
  const auto no_config = verify(dir / "b");
  ASSERT_EQ(no_config.findings.size(), 1U);
  EXPECT_EQ(no_config.findings[0].rule, "AD-16");
}

TEST(VerifyFile, ABadSafetensorsFileNeverFallsBackToTheOther) {
  const test::TempDir dir;
  test::write_file(dir / "a" / "adapter_config.json", "{\"peft_type\": \"LORA\"}");
  test::write_file(dir / "a" / "adapter_model.safetensors", "");
  std::filesystem::copy_file(
      std::filesystem::path(FERRULE_TEST_DATA) / "golden/torch/torch-2.13/tied.pt",
      dir / "a" / "adapter_model.bin");
  const auto report = verify(dir / "a");
  ASSERT_FALSE(report.findings.empty());
  EXPECT_EQ(report.findings[0].rule, "ST-1");
}

}  // namespace
}  // namespace ferrule
