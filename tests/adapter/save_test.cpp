// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "ferrule/ferrule.hpp"
#include "io/digest.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr const char* kQ = "base_model.model.q_proj";

class State {
 public:
  State& add(const std::string& name, std::vector<std::uint64_t> shape, float value = 1) {
    auto& values = memory_.emplace_back(element_count(shape).value(), value);
    EXPECT_TRUE(state_.add(name, Dtype::kF32, shape, std::as_bytes(std::span(values))));
    return *this;
  }
  State& add(const std::string& name, std::vector<std::uint64_t> shape,
             const std::vector<float>& given) {
    auto& values = memory_.emplace_back(given);
    EXPECT_TRUE(state_.add(name, Dtype::kF32, shape, std::as_bytes(std::span(values))));
    return *this;
  }
  const StateDict& dict() const { return state_; }

 private:
  std::deque<std::vector<float>> memory_;
  StateDict state_;
};

State lora(float b = 1) {
  State state;
  state.add(std::string(kQ) + ".base_layer.weight", {4, 4})
      .add(std::string(kQ) + ".lora_A.default.weight", {2, 4})
      .add(std::string(kQ) + ".lora_B.default.weight", {4, 2}, b);
  return state;
}

AdapterConfig lora_config(std::vector<Json::Member> more = {}) {
  std::vector<Json::Member> fields = {{"r", Json(2)},
                                      {"lora_alpha", Json(8)},
                                      {"target_modules", Json(Json::Array{Json("q_proj")})}};
  fields.insert(fields.end(), more.begin(), more.end());
  return AdapterConfig::make("LORA", fields).value();
}

bool has_rule(const std::vector<Finding>& findings, std::string_view rule) {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const Finding& finding) { return finding.rule == rule; });
}

TEST(Save, AnOpenedAdapterHasModulesTensorsAndStrength) {
  const test::TempDir out;
  const auto state = lora();
  ASSERT_TRUE(save(state.dict(), {{"default", lora_config()}}, out / "a"));
  const auto adapter = Adapter::open(out / "a");
  ASSERT_TRUE(adapter) << adapter.error().to_string();
  ASSERT_EQ(adapter->modules().size(), 1U);
  const auto& module = adapter->modules()[0];
  EXPECT_EQ(module.path(), "q_proj");
  EXPECT_EQ(module.strength(), 4.0);
  ASSERT_TRUE(module.tensor("lora_A"));
  EXPECT_EQ(module.tensor("lora_A")->shape()[0], 2U);
  EXPECT_FALSE(module.tensor("lora_B.bias"));
  EXPECT_EQ(adapter->live_key(std::string(kQ) + ".lora_A.weight", "x"),
            std::string(kQ) + ".lora_A.x.weight");
  EXPECT_TRUE(adapter->findings().empty());
}

State saved_lora() {
  State state;
  state.add(std::string(kQ) + ".lora_A.weight", {2, 4})
      .add(std::string(kQ) + ".lora_B.weight", {4, 2})
      .add("v_head.weight", {1, 4});
  return state;
}

// KY-11.
TEST(Save, AStateThatIsASavedAdapterIsTakenAsItIs) {
  const test::TempDir out;
  const auto state = saved_lora();
  const auto saved = save(state.dict(), {{"default", lora_config()}}, out / "a");
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_TRUE(has_rule(saved->findings, "KY-11"));
  EXPECT_EQ(saved->adapters[0].tensors, 2U);
  ASSERT_EQ(saved->left_out.size(), 1U);
  EXPECT_EQ(saved->left_out[0].key, "v_head.weight");
  // With two configs nothing says whose it is.
  const auto two =
      save(state.dict(), {{"default", lora_config()}, {"b", lora_config()}}, out / "b");
  ASSERT_FALSE(two);
  EXPECT_EQ(two.error().rule, "AD-1");
}

// KY-12.
TEST(Save, TheLiveScalingComesBack) {
  const test::TempDir out;
  const auto state = lora();
  SaveOptions options;
  options.facts.scalings["default"]["q_proj"] = 1.5;
  const auto saved = save(state.dict(), {{"default", lora_config()}}, out / "a", options);
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_TRUE(has_rule(saved->findings, "KY-12"));
  const auto adapter = Adapter::open(out / "a");
  ASSERT_TRUE(adapter);
  EXPECT_EQ(adapter->modules()[0].strength(), 1.5);
  options.facts.scalings["default"]["q_proj"] = 4;
  const auto same = save(state.dict(), {{"default", lora_config()}}, out / "b", options);
  ASSERT_TRUE(same);
  EXPECT_FALSE(has_rule(same->findings, "KY-12"));
}

// KY-13.
TEST(Save, ZerosPastTheRankAreCut) {
  const test::TempDir out;
  const auto padded = [](float a_past, float b_past) {
    State state;
    std::vector<float> a(16, 1);
    std::vector<float> b(16, 1);
    for (std::size_t i = 8; i < 16; ++i) a[i] = a_past;
    for (std::size_t i = 0; i < 16; ++i) b[i] = i % 4 < 2 ? 1 : b_past;
    state.add(std::string(kQ) + ".lora_A.default.weight", {4, 4}, a);
    state.add(std::string(kQ) + ".lora_B.default.weight", {4, 4}, b);
    return state;
  };
  const auto zeros = padded(0, 0);
  const auto saved = save(zeros.dict(), {{"default", lora_config()}}, out / "a");
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_TRUE(has_rule(saved->findings, "KY-13"));
  const auto adapter = Adapter::open(out / "a");
  EXPECT_EQ(adapter->modules()[0].tensor("lora_A")->shape()[0], 2U);
  EXPECT_EQ(adapter->modules()[0].tensor("lora_B")->shape()[1], 2U);
  EXPECT_TRUE(adapter->findings().empty());
  for (const auto& state : {padded(1, 0), padded(0, 1)}) {
    const auto refused = save(state.dict(), {{"default", lora_config()}}, out / "b");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().rule, "AD-5");
  }
}

TEST(Save, NamedAdaptersGoToTheirFolders) {
  const test::TempDir out;
  auto state = lora();
  state.add(std::string(kQ) + ".lora_A.my/name.weight", {2, 4})
      .add(std::string(kQ) + ".lora_B.my/name.weight", {4, 2});
  const auto saved =
      save(state.dict(), {{"default", lora_config()}, {"my/name", lora_config()}}, out / "a");
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_TRUE(fs::exists(out / "a" / "my" / "name" / "adapter_model.safetensors"));
  EXPECT_TRUE(verify(out / "a").good());
}

TEST(Save, TheOtherFormatGoes) {
  const test::TempDir out;
  test::write_file(out / "a" / "adapter_model.bin", "stale");
  test::write_file(out / "a" / "notes.txt", "mine");
  const auto state = lora();
  ASSERT_TRUE(save(state.dict(), {{"default", lora_config()}}, out / "a"));
  EXPECT_FALSE(fs::exists(out / "a" / "adapter_model.bin"));
  EXPECT_EQ(test::read_file(out / "a" / "notes.txt"), "mine");
}

// The files of the save are those on the disk, known by content and by identity.
TEST(Save, TellsWhatItWroteWhereItIsAsked) {
  const test::TempDir out;
  auto state = lora();
  state.add(std::string(kQ) + ".lora_A.b.weight", {2, 4})
      .add(std::string(kQ) + ".lora_B.b.weight", {4, 2});
  const std::vector<NamedConfig> configs = {{"default", lora_config()}, {"b", lora_config()}};
  const auto silent = save(state.dict(), configs, out / "a");
  ASSERT_TRUE(silent) << silent.error().to_string();
  EXPECT_TRUE(silent->written.empty());
  // Over what stands there, and anew.
  for (const auto* name : {"a", "b"}) {
    SaveOptions options;
    options.digests = true;
    const auto saved = save(state.dict(), configs, out / name, options);
    ASSERT_TRUE(saved) << saved.error().to_string();
    std::vector<std::string> paths;
    for (const auto& file : saved->written) {
      paths.push_back(file.path.lexically_relative(out / name).string());
      struct stat info {};
      ASSERT_EQ(::stat(file.path.c_str(), &info), 0);
      EXPECT_EQ(file.device, info.st_dev);
      EXPECT_EQ(file.inode, info.st_ino);
      EXPECT_EQ(file.size, static_cast<std::uint64_t>(info.st_size));
      EXPECT_EQ(file.modified_ns, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec);
      const auto content = test::read_file(file.path);
      io::Sha256 sha256;
      sha256.update(std::as_bytes(std::span(content)));
      EXPECT_EQ(file.sha256, io::to_hex(sha256.finish()));
      EXPECT_EQ(file.git_blob.empty(), file.path.extension() == ".safetensors");
    }
    std::sort(paths.begin(), paths.end());
    const std::vector<std::string> all = {"adapter_config.json", "adapter_model.safetensors",
                                          "b/adapter_config.json", "b/adapter_model.safetensors"};
    // The card that stands there already is good, and not written again.
    auto expected = all;
    if (name == std::string("b")) expected.insert(expected.begin(), "README.md");
    EXPECT_EQ(paths, expected);
  }
}

struct Refusal {
  const char* name;
  const char* rule;
  ErrorCode code;
  State (*state)();
  std::vector<Json::Member> fields;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class Refuses : public testing::TestWithParam<Refusal> {};

TEST_P(Refuses, AndLeavesNothingBehind) {
  const test::TempDir out;
  const auto state = GetParam().state();
  const auto saved = save(state.dict(), {{"default", lora_config(GetParam().fields)}}, out / "a");
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().rule, GetParam().rule);
  EXPECT_EQ(saved.error().code, GetParam().code);
  EXPECT_TRUE(fs::is_empty(out.path()));
}

State shards() {
  State state;
  return std::move(state.add(std::string(kQ) + ".lora_A.default.weight", {0})
                       .add(std::string(kQ) + ".lora_B.default.weight", {0}));
}
State flat() {
  State state;
  return std::move(state.add(std::string(kQ) + ".lora_A.default.weight", {8})
                       .add(std::string(kQ) + ".lora_B.default.weight", {8}));
}
State half() {
  State state;
  return std::move(state.add(std::string(kQ) + ".lora_A.default.weight", {2, 4}));
}
State with_head() {
  auto state = lora();
  return std::move(state.add("base_model.model.lm_head.weight", {4, 4}));
}
State other_name() {
  State state;
  return std::move(state.add(std::string(kQ) + ".lora_A.trained.weight", {2, 4})
                       .add(std::string(kQ) + ".lora_B.trained.weight", {4, 2}));
}

INSTANTIATE_TEST_SUITE_P(
    Save, Refuses,
    testing::Values(
        Refusal{"Shards", "AD-3", ErrorCode::kCorrupt, shards, {}},
        Refusal{"FlatShards", "AD-3", ErrorCode::kCorrupt, flat, {}},
        Refusal{"AWithoutB", "AD-4", ErrorCode::kCorrupt, half, {}},
        Refusal{"AnotherName", "AD-1", ErrorCode::kCorrupt, other_name, {}},
        Refusal{
            "AnotherRank", "AD-5", ErrorCode::kCorrupt, [] { return lora(); }, {{"r", Json(3)}}},
        Refusal{"LackingModule",
                "AD-13",
                ErrorCode::kCorrupt,
                with_head,
                {{"modules_to_save", Json(Json::Array{Json("lm_head")})}}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Save, RefusesNamesThatLeaveTheFolder) {
  const test::TempDir out;
  const auto state = lora();
  for (const auto* name : {"", "a.b", "..", "/etc/x", "a//b", "a/"}) {
    const auto saved = save(state.dict(), {{name, lora_config()}}, out / "a");
    ASSERT_FALSE(saved) << name;
    EXPECT_EQ(saved.error().rule, "KY-9");
    EXPECT_EQ(saved.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Save, WarnsOfAModuleThatTheBaseLacks) {
  const test::TempDir out;
  const auto state = lora();
  const auto config = lora_config({{"modules_to_save", Json(Json::Array{Json("embed_out")})}});
  const auto saved = save(state.dict(), {{"default", config}}, out / "a");
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_TRUE(has_rule(saved->findings, "AD-13"));
}

TEST(Save, AnUnknownSelectionIsRefused) {
  const test::TempDir out;
  const auto state = lora();
  const auto saved = save(state.dict(), {{"default", lora_config()}}, out / "a",
                          {.selected_adapters = {"defualt"}});
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, ErrorCode::kInvalidArgument);
}

TEST(Save, ABaseThatIsADirectoryHereIsNoHubId) {
  const test::TempDir out;
  const auto before = fs::current_path();
  fs::create_directories(out / "models" / "llama");
  fs::current_path(out.path());
  const auto state = lora();
  const auto config = lora_config({{"base_model_name_or_path", Json("models/llama")}});
  const auto saved = save(state.dict(), {{"default", config}}, out / "a");
  fs::current_path(before);
  ASSERT_TRUE(saved) << saved.error().to_string();
  const auto card = test::read_file(out / "a" / "README.md");
  EXPECT_EQ(card.find("base_model: models/llama"), std::string::npos);
}

TEST(Save, WarnsOfValuesThatAreNotFinite) {
  const test::TempDir out;
  const auto state = lora(std::numeric_limits<float>::quiet_NaN());
  const auto saved = save(state.dict(), {{"default", lora_config()}}, out / "a");
  ASSERT_TRUE(saved);
  EXPECT_TRUE(has_rule(saved->findings, "AD-20"));
}

TEST(Save, WarnsOfAnAdapterThatChangesNothing) {
  const test::TempDir out;
  const auto state = lora(0);
  const auto saved = save(state.dict(), {{"default", lora_config()}}, out / "a");
  ASSERT_TRUE(saved);
  EXPECT_TRUE(has_rule(saved->findings, "AD-21"));
}

TEST(Save, WarnsOfLilyFactorsThatAreNotShared) {
  const auto config =
      AdapterConfig::make(
          "LILY", std::vector<Json::Member>{{"r", Json(2)},
                                            {"stride_A", Json(2)},
                                            {"target_modules", Json(Json::Array{Json("q_proj")})}})
          .value();
  struct Row {
    float second_a;
    float second_b;
    bool warned;
  };
  for (const auto& [second_a, second_b, warned] :
       {Row{1, 1, false}, Row{1, 2, true}, Row{2, 1, true}}) {
    State state;
    for (int layer = 0; layer < 2; ++layer) {
      const auto module = "base_model.model.layers." + std::to_string(layer) + ".q_proj";
      state.add(module + ".lily_A.default.weight", {2, 4}, layer == 0 ? 1 : second_a)
          .add(module + ".lily_B.default.weight", {8, 4}, layer == 0 ? 1 : second_b)
          .add(module + ".lily_router.default.weight", {4, 2}, static_cast<float>(layer));
    }
    const test::TempDir out;
    const auto saved = save(state.dict(), {{"default", config}}, out / "a");
    ASSERT_TRUE(saved) << saved.error().to_string();
    EXPECT_EQ(has_rule(saved->findings, "AD-22"), warned);
  }
}

TEST(Save, ACartridgeIsOpenedAsItsTwoHalves) {
  const test::TempDir out;
  for (const std::uint64_t frozen : {0U, 1U, 3U}) {
    const auto config =
        AdapterConfig::make("CARTRIDGE",
                            std::vector<Json::Member>{{"task_type", Json("CAUSAL_LM")},
                                                      {"num_virtual_tokens", Json(3)},
                                                      {"num_frozen_tokens", Json(frozen)}})
            .value();
    State state;
    if (frozen > 0) state.add("prompt_encoder.default.frozen_embedding", {frozen, 2}, 1);
    state.add("prompt_encoder.default.trainable_embedding", {3 - frozen, 2}, 2);
    const auto saved = save(state.dict(), {{"default", config}}, out / "a");
    ASSERT_TRUE(saved) << saved.error().to_string();
    const auto adapter = Adapter::open(out / "a");
    ASSERT_TRUE(adapter) << adapter.error().to_string();
    ASSERT_EQ(adapter->tensors().size(), 1U);
    const auto live = adapter->state_dict("default");
    ASSERT_EQ(live.size(), state.dict().tensors().size());
    for (const auto& [key, tensor] : live) {
      const auto original = state.dict().find(key);
      ASSERT_TRUE(original) << key;
      EXPECT_TRUE(std::equal(tensor.shape().begin(), tensor.shape().end(),
                             original->shape().begin(), original->shape().end()));
      EXPECT_TRUE(std::equal(tensor.bytes().begin(), tensor.bytes().end(),
                             original->bytes().begin(), original->bytes().end()));
    }
    EXPECT_EQ(adapter->live_key("prompt_embeddings").has_value(), frozen == 0);
  }
}

TEST(Save, ConvertsToAnotherDtype) {
  const test::TempDir out;
  const auto state = lora(1.00390625F);  // Halfway between two bf16 values: rounds to even.
  ASSERT_TRUE(
      save(state.dict(), {{"default", lora_config()}}, out / "a", {.dtype = StoredDtype::kBF16}));
  const auto adapter = Adapter::open(out / "a").value();
  const auto b = adapter.modules()[0].tensor("lora_B");
  ASSERT_EQ(b->dtype(), Dtype::kBF16);
  EXPECT_EQ(b->bytes()[0], std::byte{0x80});
  EXPECT_EQ(b->bytes()[1], std::byte{0x3f});
}

TEST(Save, TheInitialFolderIsOnlyRead) {
  const test::TempDir out;
  const auto initial = lora(0.5F);
  ASSERT_TRUE(save(initial.dict(), {{"default", lora_config()}}, out / "initial"));
  const auto before = test::read_file(out / "initial" / "adapter_config.json");
  const auto state = lora();
  const auto pissa = lora_config({{"init_lora_weights", Json("pissa")}});
  ASSERT_TRUE(save(state.dict(), {{"default", pissa}}, out / "a", {.initial = out / "initial"}));
  EXPECT_EQ(test::read_file(out / "initial" / "adapter_config.json"), before);
  const auto adapter = Adapter::open(out / "a").value();
  EXPECT_EQ(adapter.config().rank(), 4);
  EXPECT_EQ(adapter.modules()[0].strength(), 4.0);
  EXPECT_EQ(adapter.modules()[0].tensor("lora_B")->as<float>()->back(), -0.5F);
}

TEST(Save, AnInitialAdapterThatMutatesTheBaseIsRefused) {
  const test::TempDir out;
  const auto state = lora();
  const auto pissa = lora_config({{"init_lora_weights", Json("pissa")}});
  ASSERT_TRUE(save(state.dict(), {{"default", pissa}}, out / "initial"));
  const auto saved =
      save(state.dict(), {{"default", pissa}}, out / "a", {.initial = out / "initial"});
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().rule, "KY-10");
}

}  // namespace
}  // namespace ferrule
