// SPDX-License-Identifier: Apache-2.0
#include "peft/config_meaning.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"

namespace ferrule::peft {
namespace {

AdapterConfig read(std::string_view text) { return AdapterConfig::parse(text).value(); }

Json meaning(std::string_view text, std::vector<std::string> modules = {}) {
  return config_meaning(read(text), modules);
}

TEST(ConfigMeaning, DefaultsAndProvenanceMeanNothing) {
  EXPECT_EQ(meaning(R"({"peft_type": "LORA", "peft_version": "0.1", "revision": "main", "r": 8,
                        "inference_mode": true, "base_model_name_or_path": "org/base"})"),
            meaning(R"({"peft_type": "LORA"})"));
  EXPECT_FALSE(meaning(R"({"peft_type": "LORA", "r": 4})") == meaning(R"({"peft_type": "LORA"})"));
  EXPECT_TRUE(is_provenance("peft_version"));
  EXPECT_FALSE(is_provenance("r"));
}

TEST(ConfigMeaning, SetsHaveNoOrderAndWholeFloatsAreIntegers) {
  EXPECT_EQ(
      meaning(R"({"peft_type": "LORA", "target_modules": ["v", "q", "q"], "lora_alpha": 4.0})"),
      meaning(R"({"peft_type": "LORA", "target_modules": ["q", "v"], "lora_alpha": 4})"));
}

TEST(ConfigMeaning, TheOrderOfPatternsCountsOnlyWhereItDecides) {
  constexpr std::string_view kOne = R"({"peft_type": "LORA", "rank_pattern": {"q": 4, "0.q": 2}})";
  constexpr std::string_view kOther =
      R"({"peft_type": "LORA", "rank_pattern": {"0.q": 2, "q": 4}})";
  const std::vector<std::string> both = {"layers.0.q"};
  const std::vector<std::string> neither = {"layers.1.q"};
  EXPECT_FALSE(meaning(kOne, both) == meaning(kOther, both));
  const auto free = meaning(kOne, neither);
  EXPECT_TRUE(free.find("rank_pattern")->is_object());
  const auto bound = meaning(kOne, both);
  EXPECT_NE(bound.find("rank_pattern")->if_array(), nullptr);
}

TEST(ConfigMeaning, AnUnknownFieldThatIsOffMeansNothing) {
  EXPECT_EQ(meaning(R"({"peft_type": "LORA", "of_a_fork": false})"),
            meaning(R"({"peft_type": "LORA"})"));
  EXPECT_FALSE(meaning(R"({"peft_type": "LORA", "of_a_fork": 1})") ==
               meaning(R"({"peft_type": "LORA"})"));
}

TEST(ConfigMeaning, OneValueHasOneForm) {
  const auto config = read(R"({"peft_type": "LORA"})");
  EXPECT_EQ(canonical_value(config, "rank_pattern", Json(Json::Object())), Json());
  EXPECT_EQ(canonical_value(config, "use_rslora", Json()), Json(false));
  EXPECT_EQ(canonical_value(config, "lora_alpha", Json(2.0)), Json(2));
  EXPECT_EQ(canonical_value(config, "lora_alpha", Json(2.5)), Json(2.5));
}

}  // namespace
}  // namespace ferrule::peft
