// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/ferrule.hpp"
#include "io/syscalls.hpp"
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
        Broken{"PrefixTwice",
               "AD-23",
               Severity::kWarning,
               "LORA",
               lora_fields(),
               {{"base_model.model." + kQ + ".lora_A.weight", kA},
                {"base_model.model." + kQ + ".lora_B.weight", kB}}},
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

void write_good(const std::filesystem::path& directory, float b = 1.0F) {
  const std::vector<Json::Member> fields = {{"r", Json(2)}};
  test::write_file(directory / "adapter_config.json",
                   AdapterConfig::make("LORA", fields).value().to_json());
  const std::vector<std::uint64_t> shape = {2, 2};
  const std::vector<float> ones(4, 1.0F);
  const std::vector<float> filled(4, b);
  const auto view = [&](const std::vector<float>& values) {
    return TensorView::make(Dtype::kF32, shape, std::as_bytes(std::span(values))).value();
  };
  const std::string a_name = kQ + ".lora_A.weight";
  const std::string b_name = kQ + ".lora_B.weight";
  const std::vector<NamedTensor> tensors = {{a_name, view(ones)}, {b_name, view(filled)}};
  ASSERT_TRUE(write_safetensors(directory / "adapter_model.safetensors", tensors, {}));
}

std::vector<std::string> rules_of(const VerifyReport& report) {
  std::vector<std::string> rules;
  for (const auto& finding : report.findings) rules.push_back(finding.rule);
  return rules;
}

TEST(VerifyFolder, CountsHiddenLinkedAndDeepAdapters) {
  const test::TempDir dir;
  const auto root = dir / "root";
  write_good(root / "good");
  test::write_file(root / ".hidden" / "adapter_config.json", "{");
  test::write_file(root / "1/2/3/4/5/6/7/8/9/10" / "adapter_config.json", "{");
  test::write_file(root / "bare" / "adapter_model.safetensors", "");
  test::write_file(dir / "outside" / "adapter_model.bin", "");
  std::filesystem::create_directory_symlink(dir / "outside", root / "link");
  const auto report = verify(root);
  EXPECT_EQ(report.verified, 5U);
  EXPECT_EQ(report.bad, 4U);
  EXPECT_FALSE(report.system_error);
  EXPECT_FALSE(report.good());
}

TEST(VerifyFolder, ASaveInProgressIsNotAnAdapter) {
  const test::TempDir dir;
  write_good(dir / "good");
  test::write_file(dir / ".ferrule-0123456789abcdef" / "new" / "adapter_config.json", "{");
  const auto report = verify(dir.path());
  EXPECT_TRUE(report.good());
  EXPECT_EQ(report.verified, 1U);
}

TEST(VerifyFolder, SaysWhereTheOnlyAdapterIs) {
  const test::TempDir dir;
  write_good(dir / "run" / "checkpoint-12");
  const auto report = verify(dir.path());
  EXPECT_TRUE(report.good());
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].severity, Severity::kNote);
  EXPECT_NE(report.findings[0].message.find("run/checkpoint-12"), std::string::npos);
}

TEST(VerifyFolder, WithoutAnAdapterItIsBad) {
  const test::TempDir dir;
  test::write_file(dir / "sub" / "notes.txt", "");
  const auto report = verify(dir.path());
  EXPECT_FALSE(report.good());
  EXPECT_EQ(rules_of(report), std::vector<std::string>{"AD-16"});
}

/// Refuses to open any folder called "closed", as the system does without permission.
class ClosedFolders {
 public:
  ClosedFolders() {
    real_ = io::sys().openat;
    io::sys().openat = [](int at, const char* path, int flags, mode_t mode) {
      if (!std::string_view(path).ends_with("closed")) return real_(at, path, flags, mode);
      errno = EACCES;
      return -1;
    };
  }
  ~ClosedFolders() { io::sys().openat = real_; }

 private:
  static inline int (*real_)(int, const char*, int, mode_t) = nullptr;
};

TEST(VerifyFolder, AFolderThatCannotBeListedIsNotGood) {
  const test::TempDir dir;
  write_good(dir / "good");
  std::filesystem::create_directory(dir / "closed");
  const ClosedFolders closed;
  const auto report = verify(dir.path());
  EXPECT_FALSE(report.good());
  EXPECT_EQ(report.verified, 1U);
  ASSERT_EQ(report.unreadable.size(), 1U);
  ASSERT_TRUE(report.system_error);
  EXPECT_EQ(report.system_error->system_errno, EACCES);
}

TEST(VerifyFile, AMissingPathIsASystemError) {
  const test::TempDir dir;
  const auto report = verify(dir / "missing");
  ASSERT_TRUE(report.system_error);
  EXPECT_EQ(report.system_error->code, ErrorCode::kNotFound);
  EXPECT_EQ(report.verified, 1U);
  EXPECT_EQ(report.bad, 1U);
}

TEST(VerifyValues, NanAndAZeroUpdateAreErrorsOnlyIfAskedFor) {
  const test::TempDir dir;
  write_good(dir / "nan", std::numeric_limits<float>::quiet_NaN());
  write_good(dir / "zero", 0.0F);
  VerifyOptions options;
  EXPECT_TRUE(verify(dir / "nan", options).good());
  EXPECT_TRUE(verify(dir / "zero", options).good());
  options.values = true;
  EXPECT_EQ(rules_of(verify(dir / "nan", options)), std::vector<std::string>{"AD-20"});
  EXPECT_EQ(rules_of(verify(dir / "zero", options)), std::vector<std::string>{"AD-21"});
  EXPECT_FALSE(verify(dir / "nan", options).good());
}

TEST(VerifyId, PinsTheContent) {
  const test::TempDir dir;
  write_good(dir / "a");
  write_good(dir / "b", 2.0F);
  VerifyOptions options;
  options.id = content_id(Adapter::open(dir / "a").value());
  EXPECT_TRUE(verify(dir / "a", options).good());
  EXPECT_EQ(rules_of(verify(dir / "b", options)), std::vector<std::string>{"AD-30"});
  EXPECT_EQ(rules_of(verify(dir / "a" / "adapter_model.safetensors", options)),
            std::vector<std::string>{"AD-30"});
}

TEST(VerifyFile, ABadSafetensorsFileNeverFallsBackToTheOther) {
  const test::TempDir dir;
  test::write_file(dir / "a" / "adapter_config.json", "{\"peft_type\": \"LORA\"}");
  test::write_file(dir / "a" / "adapter_model.safetensors", "abcd");
  std::filesystem::copy_file(
      std::filesystem::path(FERRULE_TEST_DATA) / "golden/torch/torch-2.13/tied.pt",
      dir / "a" / "adapter_model.bin");
  const auto report = verify(dir / "a");
  ASSERT_FALSE(report.findings.empty());
  EXPECT_EQ(report.findings[0].rule, "ST-1");
}

}  // namespace
}  // namespace ferrule
