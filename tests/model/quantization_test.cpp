// SPDX-License-Identifier: Apache-2.0
#include "model/quantization.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ferrule::model {
namespace {

std::string format_of(const std::string& config) {
  const auto parsed = Json::parse(config);
  EXPECT_TRUE(parsed) << config;
  return quantization_format(quantization_of(*parsed));
}

TEST(Quantization, IsTheModelsOrThatOfItsLanguageModel) {
  EXPECT_EQ(format_of("{}"), "");
  EXPECT_EQ(format_of(R"({"quantization_config": {"quant_method": "fp8"}})"), "fp8");
  EXPECT_EQ(format_of(R"({"text_config": {"quantization_config": {"quant_method": "awq"}}})"),
            "awq");
  // The model's own comes first; what is not an object is no configuration.
  EXPECT_EQ(format_of(R"({"quantization_config": {"quant_method": "gptq"},
                          "text_config": {"quantization_config": {"quant_method": "awq"}}})"),
            "gptq");
  EXPECT_EQ(format_of(R"({"quantization_config": null})"), "");
}

TEST(Quantization, OfBitsandbytesNamesTheBits) {
  const std::string begin = R"({"quantization_config": {"quant_method": "bitsandbytes")";
  EXPECT_EQ(format_of(begin + R"(, "load_in_8bit": true}})"), "bitsandbytes, 8 bits");
  EXPECT_EQ(format_of(begin + R"(, "load_in_8bit": false}})"), "bitsandbytes, 4 bits");
  EXPECT_EQ(format_of(begin + R"(, "load_in_8bit": 1}})"), "bitsandbytes, 4 bits");
  EXPECT_EQ(format_of(begin + "}}"), "bitsandbytes, 4 bits");
}

TEST(Quantization, WithoutAMethodIsNamedAfterTheField) {
  EXPECT_EQ(format_of(R"({"quantization_config": {"bits": 4}})"), "quantization_config");
  EXPECT_EQ(format_of(R"({"quantization_config": {"quant_method": 3}})"), "quantization_config");
}

}  // namespace
}  // namespace ferrule::model
