// SPDX-License-Identifier: Apache-2.0
#include "ferrule/adapter_config.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/version.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(FERRULE_TEST_DATA) / "golden/config";

std::vector<std::filesystem::path> golden_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

AdapterConfig parsed(std::string_view text) {
  auto config = AdapterConfig::parse(text);
  EXPECT_TRUE(config) << text << ": " << (config ? "" : config.error().to_string());
  return config ? *config : *AdapterConfig::make("LORA");
}

/// PEFT writes its sets in an order that changes from run to run; three types keep lists.
Json with_sorted_sets(Json document) {
  const std::string& type = *document.find("peft_type")->if_string();
  if (type == "LN_TUNING" || type == "OSF" || type == "TRAINABLE_TOKENS") return document;
  for (const auto* name : {"target_modules", "exclude_modules", "feedforward_modules"}) {
    auto* value = document.find(name);
    auto* items = value == nullptr ? nullptr : value->if_array();
    if (items == nullptr) continue;
    std::sort(items->begin(), items->end(),
              [](const Json& a, const Json& b) { return *a.if_string() < *b.if_string(); });
  }
  return document;
}

TEST(AdapterConfigGolden, EveryFileOfPeftIsWrittenBackToTheByte) {
  const auto files = golden_files();
  ASSERT_EQ(files.size(), 90U);
  for (const auto& file : files) {
    const std::string text = test::read_file(file);
    const auto config = AdapterConfig::parse(text);
    ASSERT_TRUE(config) << file << config.error().to_string();
    EXPECT_TRUE(config->findings().empty()) << file;
    const Json document = *Json::parse(text);
    EXPECT_EQ(document.dump_python(), text) << file;
    EXPECT_EQ(config->to_json(), with_sorted_sets(document).dump_python()) << file;
  }
}

TEST(AdapterConfigGolden, MakeGivesPeftsDefaults) {
  for (const auto type : peft_types()) {
    std::vector<Json::Member> fields;
    if (type == "ADALORA") fields.emplace_back("total_step", 10);
    if (type == "CPT") {
      fields = {{"task_type", "CAUSAL_LM"},
                {"cpt_token_ids", Json::Array{0, 1}},
                {"cpt_mask", Json::Array{1, 1}},
                {"cpt_tokens_type_mask", Json::Array{1, 2}}};
    }
    const auto config = AdapterConfig::make(type, fields);
    ASSERT_TRUE(config) << type << config.error().to_string();
    // The files are of 0.21.0; the version is all that a config of a later patch release changes.
    auto expected = test::read_file(kGolden / (std::string(type) + "_defaults.json"));
    constexpr std::string_view kOfTheFiles = "\"peft_version\": \"0.21.0\"";
    if (const auto at = expected.find(kOfTheFiles); at != std::string::npos) {
      expected.replace(at, kOfTheFiles.size(),
                       "\"peft_version\": \"" + std::string(peft_version()) + "\"");
    }
    EXPECT_EQ(config->to_json(), expected);
  }
}

TEST(AdapterConfig, KnowsEveryTypeOfPeft) {
  EXPECT_EQ(peft_types().size(), 45U);
  EXPECT_TRUE(std::is_sorted(peft_types().begin(), peft_types().end()));
}

TEST(AdapterConfig, FillsMissingFieldsInAlphabeticalOrderAfterTheFilesOwn) {
  const auto config = parsed(R"({"r": 4, "peft_type": "LORA", "target_modules": ["b", "a"]})");
  const auto& members = *config.document().if_object();
  EXPECT_EQ(members[0].first, "r");
  EXPECT_EQ(members[1].first, "peft_type");
  EXPECT_EQ(members[3].first, "alora_invocation_tokens");
  EXPECT_EQ(config.rank(), 4);
  EXPECT_EQ(config.alpha(), 8.0);
  EXPECT_EQ(config.bias(), "none");
  EXPECT_EQ(config.target_modules()->names, (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(config.text("peft_version"), "0.21.2");
}

TEST(AdapterConfig, KeepsUnknownFieldsWithOneWarning) {
  const auto config =
      parsed(R"({"peft_type": "LORA", "enable_lora": null, "lora_alhpa": 3, "merge": [1.50]})");
  ASSERT_EQ(config.findings().size(), 1U);
  EXPECT_EQ(config.findings()[0].rule, "CF-9");
  EXPECT_EQ(config.findings()[0].severity, Severity::kWarning);
  EXPECT_NE(config.findings()[0].message.find("lora_alhpa"), std::string::npos);
  EXPECT_EQ(config.findings()[0].advice, "did you mean \"lora_alpha\"?");
  EXPECT_NE(config.to_json().find("\"enable_lora\": null"), std::string::npos);
}

TEST(AdapterConfig, UpgradesBone) {
  const auto config = parsed(
      R"({"peft_type": "BONE", "bias": "bone_only", "r": 32, "init_weights": "bat",
          "runtime_config": {"ephemeral_gpu_offload": false}})");
  EXPECT_EQ(config.peft_type(), "MISS");
  EXPECT_EQ(config.bias(), "MiSS_only");
  EXPECT_EQ(config.find("runtime_config"), nullptr);
  EXPECT_EQ(config.text("init_weights"), "bat");
  ASSERT_EQ(config.findings().size(), 3U);
  for (const auto& finding : config.findings()) {
    EXPECT_EQ(finding.rule, "CF-13");
    EXPECT_EQ(finding.severity, Severity::kNote);
  }
}

TEST(AdapterConfig, PatternTablesKeepTheOrderOfTheFile) {
  const auto config = parsed(R"({"peft_type": "LORA", "rank_pattern": {"z": 1, "a": 2, "m": 3}})");
  const auto table = config.rank_pattern();
  ASSERT_EQ(table.size(), 3U);
  EXPECT_EQ(table[0].first, "z");
  EXPECT_EQ(table[2].second, 3.0);
  EXPECT_LT(config.to_json().find("\"a\": 2"), config.to_json().find("\"z\": 1"));
}

TEST(AdapterConfig, NestedConfigsGetTheirFields) {
  const auto config = parsed(
      R"({"peft_type": "LORA", "init_lora_weights": "eva", "velora_config": {"num_groups": 4}})");
  EXPECT_EQ(config.find("velora_config")->find("scale")->dump(), "1.0");
  EXPECT_EQ(config.find("eva_config")->find("rho")->dump(), "2.0");
}

TEST(AdapterConfig, SetFollowsTheSchemaAndLeavesTheConfigOnFailure) {
  auto config = parsed(R"({"peft_type": "LORA"})");
  EXPECT_TRUE(config.set("r", 16));
  EXPECT_TRUE(config.set("inference_mode", true));
  EXPECT_TRUE(config.set("of_my_own", "x"));
  EXPECT_EQ(config.set("r", "16").error().rule, "CF-8");
  EXPECT_EQ(config.set("task_type", "CAUSAL").error().rule, "CF-7");
  EXPECT_EQ(config.set("peft_type", "LOHA").error().rule, "CF-6");
  EXPECT_EQ(config.rank(), 16);
  EXPECT_TRUE(config.flag("inference_mode"));
}

struct Refusal {
  const char* name;
  std::string text;
  const char* rule;
};

class AdapterConfigRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(AdapterConfigRefusal, NamesTheRule) {
  const auto config = AdapterConfig::parse(GetParam().text, "some/adapter_config.json");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().rule, GetParam().rule) << config.error().to_string();
  EXPECT_EQ(config.error().path, "some/adapter_config.json");
}

std::string lora(std::string_view fields) {
  return R"({"peft_type": "LORA", )" + std::string(fields) + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Texts, AdapterConfigRefusal,
    testing::Values(
        Refusal{"NotJson", "{", "CF-1"}, Refusal{"Twice", lora(R"("r": 1, "r": 2)"), "CF-2"},
        Refusal{"Deep", std::string(200, '['), "CF-3"},
        Refusal{"NanAlpha", lora(R"("lora_alpha": NaN)"), "CF-4"},
        Refusal{"InfinityInsidePattern", lora(R"("alpha_pattern": {"q": -Infinity})"), "CF-4"},
        Refusal{"NanInUnknownField", lora(R"("x": [NaN])"), "CF-4"}, Refusal{"Array", "[]", "CF-5"},
        Refusal{"NoType", R"({"r": 8})", "CF-6"},
        Refusal{"TypeIsNoString", R"({"peft_type": 3})", "CF-6"},
        Refusal{"TypeInLowerCase", R"({"peft_type": "lora"})", "CF-6"},
        Refusal{"UnknownTask", lora(R"("task_type": "CAUSAL")"), "CF-7"},
        Refusal{"RankIsBool", lora(R"("r": true)"), "CF-8"},
        Refusal{"RankIsFloat", lora(R"("r": 8.0)"), "CF-8"},
        Refusal{"RankIsString", lora(R"("r": "8")"), "CF-8"},
        Refusal{"RankIsNull", lora(R"("r": null)"), "CF-8"},
        Refusal{"RankIsHuge", lora(R"("r": 123456789012345678901)"), "CF-8"},
        Refusal{"FlagIsInteger", lora(R"("use_rslora": 1)"), "CF-8"},
        Refusal{"FlagIsString", lora(R"("use_dora": "false")"), "CF-8"},
        Refusal{"TargetsHoldNumbers", lora(R"("target_modules": ["q", 1])"), "CF-8"},
        Refusal{"PatternHoldsString", lora(R"("rank_pattern": {"q": "8"})"), "CF-8"},
        Refusal{"PatternIsList", lora(R"("rank_pattern": [8])"), "CF-8"},
        Refusal{"ReplicationOfTriples", lora(R"("layer_replication": [[1, 2, 3]])"), "CF-8"},
        Refusal{"LayersWithPattern", lora(R"("target_modules": ".*q", "layers_to_transform": [1])"),
                "CF-10"},
        Refusal{"DoraWithBias", lora(R"("use_dora": true, "lora_bias": true)"), "CF-10"},
        Refusal{"AdaloraWithoutSteps", R"({"peft_type": "ADALORA"})", "CF-10"},
        Refusal{"UnknownBias", lora(R"("bias": "some")"), "CF-11"},
        Refusal{"UnknownVariant", R"({"peft_type": "ROAD", "variant": "road_3"})", "CF-11"},
        Refusal{"RankZero", lora(R"("r": 0)"), "CF-12"},
        Refusal{"RankNegative", lora(R"("r": -4)"), "CF-12"},
        Refusal{"OldOft", R"({"peft_type": "OFT", "r": 8})", "CF-15"}),
    [](const auto& test) { return test.param.name; });

TEST(AdapterConfig, MisspeltNamesGetASuggestion) {
  const auto message = [](std::string_view text) {
    return AdapterConfig::parse(text).error().message;
  };
  EXPECT_NE(message(R"({"peft_type": "lora"})").find("did you mean \"LORA\"?"), std::string::npos);
  EXPECT_NE(message(lora(R"("task_type": "causal_lm")")).find("\"CAUSAL_LM\""), std::string::npos);
  const std::vector<Json::Member> fields = {{"lora_alhpa", 3}};
  const auto made = AdapterConfig::make("LORA", fields);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(made.error().message.find("\"lora_alpha\""), std::string::npos);
  EXPECT_NE(AdapterConfig::make("LORAA").error().message.find("\"LORA\""), std::string::npos);
}

TEST(AdapterConfig, FactorsMayBeFloatsAndNullFlagsAreFalse) {
  const auto config = parsed(lora(R"("lora_alpha": 11.3, "lora_dropout": 0, "use_dora": null)"));
  EXPECT_EQ(config.alpha(), 11.3);
  EXPECT_FALSE(config.use_dora());
}

TEST(AdapterConfigLive, IsWrittenFieldForField) {
  // An older PEFT's object: fields that 0.21 has are missing and must stay so, since that PEFT
  // raises on fields it does not know. Sets come in their order, which is kept.
  const auto config = AdapterConfig::parse_live(
      R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["v", "q"], "bias": "none"})");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->integer("r"), 4);
  EXPECT_FALSE(config->use_rslora());
  EXPECT_EQ(
      config->to_json(),
      "{\n  \"bias\": \"none\",\n  \"lora_alpha\": 8,\n  \"peft_type\": \"LORA\",\n  \"r\": 4,\n"
      "  \"target_modules\": [\n    \"v\",\n    \"q\"\n  ]\n}");
}

TEST(AdapterConfigLive, WhatIsSetIsWritten) {
  auto config =
      AdapterConfig::parse_live(R"({"peft_type": "LORA", "inference_mode": false})").value();
  ASSERT_TRUE(config.set("inference_mode", Json(true)));
  EXPECT_EQ(config.to_json(), "{\n  \"inference_mode\": true,\n  \"peft_type\": \"LORA\"\n}");
}

TEST(AdapterConfigLive, IsCheckedAsAFileIs) {
  const auto config = AdapterConfig::parse_live(R"({"peft_type": "LORA", "r": "many"})");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().rule, "CF-8");
}

}  // namespace
}  // namespace ferrule
