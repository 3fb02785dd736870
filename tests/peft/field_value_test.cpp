// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string_view>

#include "ferrule/adapter_config.hpp"

namespace ferrule {
namespace {

TEST(FieldValue, FollowsTheFieldsKind) {
  const struct {
    std::string_view field;
    std::string_view text;
    std::string_view json;
  } cases[] = {
      {"r", "16", "16"},
      {"lora_alpha", "16", "16"},
      {"lora_alpha", "11.5", "11.5"},
      {"use_dora", "true", "true"},
      {"bias", "lora_only", R"("lora_only")"},
      {"revision", "123", R"("123")"},
      {"task_type", "null", "null"},
      {"init_lora_weights", "false", "false"},
      {"init_lora_weights", "gaussian", R"("gaussian")"},
      {"target_modules", "q_proj,v_proj", R"(["q_proj","v_proj"])"},
      {"target_modules", "q_proj,", R"(["q_proj"])"},
      {"target_modules", "all-linear", R"("all-linear")"},
      {"target_modules", ".*(q|v){1,2}", R"(".*(q|v){1,2}")"},
      {"target_modules", R"(["a"])", R"(["a"])"},
      {"modules_to_save", "lm_head", R"(["lm_head"])"},
      {"layers_to_transform", "3", "3"},
      {"layers_to_transform", "1,2,3", "[1,2,3]"},
      {"rank_pattern", R"({"q": 3})", R"({"q":3})"},
  };
  for (const auto& [field, text, json] : cases) {
    const auto value = parse_field_value("LORA", field, text);
    ASSERT_TRUE(value) << field << "=" << text << ": " << value.error().to_string();
    EXPECT_EQ(value->dump(), json) << field << "=" << text;
  }
}

TEST(FieldValue, RefusesWhatIsOfNoKindTheFieldTakes) {
  EXPECT_EQ(parse_field_value("LORA", "r", "eight").error().rule, "CF-8");
  EXPECT_EQ(parse_field_value("LORA", "use_dora", "yes").error().rule, "CF-8");
  EXPECT_EQ(parse_field_value("LORA", "rank", "8").error().rule, "CF-9");
  EXPECT_EQ(parse_field_value("lora", "r", "8").error().rule, "CF-6");
  EXPECT_EQ(parse_field_value("LORA", "r", "eight").error().code, ErrorCode::kInvalidArgument);
}

TEST(FieldValue, AMisspeltFieldGetsASuggestion) {
  const auto value = parse_field_value("LORA", "lora_alhpa", "8");
  ASSERT_FALSE(value);
  EXPECT_NE(value.error().message.find("did you mean \"lora_alpha\"?"), std::string::npos);
}

}  // namespace
}  // namespace ferrule
