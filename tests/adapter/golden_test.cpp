// SPDX-License-Identifier: Apache-2.0
// Cases that real PEFT 0.21.0 wrote (tests/golden/README.md): saving the same state gives the same
// bytes and the same config text, the result verifies, and its live keys lead back to the state.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "ferrule/ferrule.hpp"
#include "peft/method_tensors.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

// Values that PEFT computes at save: equal to 1e-5, all else to the bit.
bool is_computed(const std::string& type) {
  static const std::set<std::string> kTypes = {"P_TUNING", "PREFIX_TUNING", "CPT", "VBLORA"};
  return kTypes.contains(type);
}

fs::path cases() { return fs::path(FERRULE_TEST_DATA) / "golden" / "cases"; }

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(cases()))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string text_of(const Json& object, std::string_view key) {
  const auto* value = object.find(key);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : std::string();
}

/// The config's text with its set-valued lists sorted, which PEFT writes in hash order.
std::string canonical(const std::string& text, const Json& order_free) {
  auto config = Json::parse(text).value();
  for (const auto& field : *order_free.if_array()) {
    auto* list = config.find(*field.if_string());
    if (list == nullptr || list->if_array() == nullptr) continue;
    std::sort(list->if_array()->begin(), list->if_array()->end(),
              [](const Json& a, const Json& b) { return *a.if_string() < *b.if_string(); });
  }
  return config.dump_python();
}

void expect_same_weights(const fs::path& got, const fs::path& want, bool computed) {
  if (!computed) {
    EXPECT_EQ(test::read_file(got), test::read_file(want)) << got << " differs from PEFT's file";
    return;
  }
  const auto ours = SafetensorsFile::open(got).value();
  const auto theirs = SafetensorsFile::open(want).value();
  ASSERT_EQ(ours.tensors().size(), theirs.tensors().size());
  for (const auto& [name, expected] : theirs.tensors()) {
    const auto found = ours.find(name);
    ASSERT_TRUE(found) << name;
    ASSERT_EQ(found->dtype(), expected.dtype()) << name;
    ASSERT_TRUE(std::ranges::equal(found->shape(), expected.shape())) << name;
    const auto a = peft::to_floats(found->dtype(), found->bytes());
    const auto b = peft::to_floats(expected.dtype(), expected.bytes());
    if (!a) {
      EXPECT_TRUE(std::ranges::equal(found->bytes(), expected.bytes())) << name;
      continue;
    }
    for (std::size_t i = 0; i < a->size(); ++i) ASSERT_NEAR((*a)[i], (*b)[i], 1e-5) << name;
  }
}

class Golden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    directory_ = cases() / GetParam();
    case_ = Json::parse(test::read_file(directory_ / "case.json")).value();
    options_.facts = ModelFacts::parse(case_.find("base")->dump()).value();
    for (const auto& adapter : *case_.find("adapters")->if_array()) {
      auto file = text_of(adapter, "name");
      if (const auto slash = file.find('/'); slash != std::string::npos)
        file.replace(slash, 1, "%2F");
      configs_.push_back(
          {text_of(adapter, "name"),
           AdapterConfig::open(directory_ / "input_config" / (file + ".json")).value()});
      if (!*adapter.find("saved")->if_bool()) continue;
      options_.selected_adapters.push_back(text_of(adapter, "name"));
      folders_.push_back(text_of(adapter, "dir"));
    }
    const auto embeddings = text_of(case_, "embeddings");
    if (embeddings == "always") options_.save_embedding_layers = SaveEmbeddings::kAlways;
    if (embeddings == "never") options_.save_embedding_layers = SaveEmbeddings::kNever;
    if (const auto* base = case_.find("base_config")) options_.base_config = *base;
    if (fs::exists(directory_ / "initial")) options_.initial = directory_ / "initial";
    std::vector<fs::path> parts = {directory_ / "state.safetensors"};
    if (fs::exists(directory_ / "extra.safetensors"))
      parts.push_back(directory_ / "extra.safetensors");
    state_.emplace(Checkpoint::open(parts).value());
  }

  fs::path directory_;
  Json case_;
  SaveOptions options_;
  std::vector<NamedConfig> configs_;
  std::vector<std::string> folders_;
  std::optional<Checkpoint> state_;
};

TEST_P(Golden, SavesWhatPeftSaves) {
  const test::TempDir out;
  const auto saved = save(*state_, configs_, out / "adapter", options_);
  ASSERT_TRUE(saved) << saved.error().to_string();
  const auto type = text_of(case_, "peft_type");
  for (const auto& folder : folders_) {
    const auto got = out / "adapter" / folder;
    const auto want = directory_ / "expected" / folder;
    if (fs::exists(want / "adapter_model.safetensors")) {
      expect_same_weights(got / "adapter_model.safetensors", want / "adapter_model.safetensors",
                          is_computed(type));
    }
    if (fs::exists(want / "adapter_config.json")) {
      EXPECT_EQ(test::read_file(got / "adapter_config.json"),
                canonical(test::read_file(want / "adapter_config.json"),
                          *case_.find("order_free_fields")));
    }
  }
  const auto report = verify(out / "adapter");
  EXPECT_TRUE(report.good()) << (report.findings.empty() ? "" : report.findings.front().message);
}

TEST_P(Golden, LiveKeysLeadBackToTheState) {
  const auto type = text_of(case_, "peft_type");
  // Computed, converted, cut or renamed tensors do not stand in the state.
  if (is_computed(type) || options_.initial || case_.find("peft_is_wrong")) {
    SUCCEED() << "nothing to compare";
    return;
  }
  const test::TempDir out;
  ASSERT_TRUE(save(*state_, configs_, out / "adapter", options_));
  std::set<std::string, std::less<>> known;
  for (const auto& [name, view] : state_->tensors()) known.emplace(name);
  for (const auto& [removed, kept] : state_->aliases()) known.emplace(removed);
  for (std::size_t i = 0; i < folders_.size(); ++i) {
    const auto adapter = Adapter::open(out / "adapter" / folders_[i]);
    ASSERT_TRUE(adapter) << adapter.error().to_string();
    const auto live = adapter->state_dict(options_.selected_adapters[i]);
    EXPECT_FALSE(live.empty());
    for (const auto& [key, view] : live) EXPECT_TRUE(known.contains(key)) << key;
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(Peft, Golden, testing::ValuesIn(case_names()), test_name);

}  // namespace
}  // namespace ferrule
