// SPDX-License-Identifier: Apache-2.0
#include "check/engines.hpp"

#include <gtest/gtest.h>

#include <string>

#include "ferrule/engine_table.hpp"

namespace ferrule::checks {
namespace {

EngineBehavior behavior(std::string_view engine, EngineFeature feature) {
  const auto found = Engines::built_in().find(engine);
  EXPECT_TRUE(found) << found.error().to_string();
  return found ? found->fact(feature).behavior : EngineBehavior::kUnknown;
}

std::string refusal(const std::string& fact) {
  const auto table = Engines::parse(
      R"({"format": 1, "engines": [{"id": "x", "title": "X", "version": "2.0", "date": "2026-11", "facts": [)" +
      fact + "]}]}");
  if (table) return {};
  EXPECT_EQ(table.error().rule, "BS-28");
  EXPECT_EQ(table.error().code, ErrorCode::kCorrupt);
  return table.error().message;
}

TEST(Engines, EveryFactNamesVersionDateAndSource) {
  const auto& engines = Engines::built_in().all();
  EXPECT_EQ(engines.size(), 9U);
  for (const auto& engine : engines) {
    EXPECT_FALSE(engine.version.empty()) << engine.id;
    EXPECT_TRUE(engine.date.starts_with("20")) << engine.id;
    EXPECT_FALSE(engine.rank_source.empty()) << engine.id;
    for (const auto& fact : engine.facts) {
      EXPECT_FALSE(fact.source.empty()) << engine.id;
      EXPECT_NE(fact.read.find("(20"), std::string::npos) << engine.id << " " << fact.read;
    }
  }
}

TEST(Engines, AVersionSelectsItsFacts) {
  using enum EngineFeature;
  using enum EngineBehavior;
  EXPECT_EQ(behavior("vllm", kRankPattern), kWorks);
  EXPECT_EQ(behavior("vllm@0.32", kRankPattern), kWorks);
  EXPECT_EQ(behavior("vllm@v0.32.1", kRankPattern), kWorks);
  EXPECT_EQ(behavior("vllm@0.31.9", kRankPattern), kIgnored);
  EXPECT_EQ(behavior("vllm@0.4", kRankPattern), kIgnored);
  EXPECT_EQ(behavior("vllm@0.31", kSavedHead), kWorks);
  EXPECT_EQ(behavior("vllm@0.31", kModulesToSave), kRefused);
  EXPECT_EQ(behavior("vllm@0.30", kSavedHead), kRefused);  // As any saved module.
  EXPECT_EQ(behavior("vllm@0.31", kMutatedBase), kIgnored);
  EXPECT_EQ(behavior("vllm", kMutatedBase), kRefused);
  EXPECT_EQ(behavior("vllm", kLoraGa), kIgnored);
  EXPECT_EQ(behavior("sglang@0.5.22", kDora), kUnknown);
  EXPECT_EQ(behavior("sglang", kDora), kRefused);
  EXPECT_EQ(behavior("llama.cpp@de3ff815", kZeroAlpha), kIgnored);
  EXPECT_EQ(behavior("mlx", kDora), kUnknown);
}

TEST(Engines, WhatIsNotKnownIsSaid) {
  const auto& engines = Engines::built_in();
  EXPECT_FALSE(engines.find("vllmm"));
  EXPECT_FALSE(engines.find("vllm@newest"));
  EXPECT_FALSE(engines.find("vllm@"));
  EXPECT_TRUE(engines.find("vllm@0.34").value().is_beyond_table());
  EXPECT_FALSE(engines.find("vllm@0.33.0").value().is_beyond_table());
  EXPECT_EQ(engines.find("vllm").value().title(), "vLLM 0.33 (2026-11-02)");
  EXPECT_EQ(engines.find("vllm@0.31").value().title(), "vLLM 0.31");
}

TEST(Engines, VersionsAreNumbers) {
  EXPECT_EQ(parse_version("v0.31.2"), EngineVersion({0, 31, 2}));
  EXPECT_EQ(parse_version("b6500"), EngineVersion({6500}));
  for (const auto* text : {"", "v", "1.", ".1", "1..2", "1.x", "1.2 ", "12345678901", "de3ff815",
                           "1.2.3.4.5.6.7.8.9"}) {
    EXPECT_EQ(parse_version(text), std::nullopt) << text;
  }
}

TEST(Engines, ATableThatIsWrongNamesThePlace) {
  const std::string fact =
      R"("feature": "bias", "behavior": "works", "read": "1", "source": "a.py")";
  EXPECT_EQ(refusal("{" + fact + "}"), "");
  EXPECT_EQ(refusal("{" + fact + R"(, "until": "0.2"})"), "");
  EXPECT_EQ(refusal("{" + fact + R"(, "until": "x"})"),
            R"(fact 1 of "x": expected a version as "until", found "x")");
  EXPECT_EQ(refusal("{" + fact + R"(, "untill": "1"})"),
            R"(fact 1 of "x" has an unknown field, "untill")");
  EXPECT_EQ(refusal(R"({"feature": "bais", "behavior": "works", "read": "1", "source": "a"})"),
            R"(fact 1 of "x": unknown feature, "bais")");
  EXPECT_EQ(refusal(R"({"feature": "bias", "behavior": "works", "read": "1"})"),
            R"(fact 1 of "x": expected a text as "source")");
  EXPECT_EQ(refusal("3"), R"(fact 1 of "x": expected an object, found integer)");
  EXPECT_FALSE(Engines::parse("[]"));
  EXPECT_FALSE(Engines::parse("{"));
  EXPECT_FALSE(Engines::parse(R"({"format": 2, "engines": []})"));
  EXPECT_FALSE(Engines::parse(R"({"format": 1, "engines": {}})"));
}

TEST(EngineTable, MayBeNewerThanTheRelease) {
  const auto table = EngineTable::parse(
      R"({"format": 1, "engines": [{"id": "mine", "title": "Mine", "version": "3.1", "date": "2027-01", "facts": []}]})");
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_TRUE(table->check_name("mine@3.0"));
  EXPECT_FALSE(table->check_name("vllm"));
  ASSERT_EQ(table->engines().size(), 1U);
  EXPECT_EQ(table->engines()[0].version, "3.1");
  EXPECT_EQ(EngineTable::open("/nowhere/engines.json").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ferrule::checks
