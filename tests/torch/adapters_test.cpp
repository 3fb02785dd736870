// SPDX-License-Identifier: Apache-2.0
// What the LibTorch face refuses, and that it leaves the model as it was. The numbers are compared
// with PEFT's in differential.py.
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/nn/modules/container/sequential.h>

#include <filesystem>
#include <fstream>

#include "temp_dir.hpp"
#include "test_tools.hpp"

namespace ferrule {
namespace {

using test::TempDir;
using namespace torch_test;  // NOLINT(google-build-using-namespace)
namespace ft = ferrule::torch;
namespace fs = std::filesystem;

struct Foreign : ::torch::nn::Module {
  ::torch::nn::Linear q_proj{register_module("q_proj", ::torch::nn::Linear(4, 4))};
  ferrule::torch::Linear v_proj{register_module("v_proj", ferrule::torch::Linear(4, 4))};
};

struct Refusal {
  const char* name;
  AdapterConfig config;
  const char* rule;
  const char* words;
};

TEST(AddAdapter, RefusesWithRuleAndNamesAndChangesNothing) {
  const std::vector<Refusal> refusals = {
      {"unknown method", make("BOFT", {{"target_modules", names({"q_proj"})}}), "LT-1", "\"BOFT\""},
      {"foreign field",
       make("LORA", {{"target_modules", names({"q_proj"})}, {"target_parameters", names({"a"})}}),
       "LT-2", "target_parameters"},
      {"initialization",
       make("LORA", {{"target_modules", names({"q_proj"})}, {"init_lora_weights", "corda"}}),
       "LT-2", "corda"},
      {"no target", lora({"c_attn"}), "LT-3", "c_attn"},
      {"targets unset", make("LORA", {}), "LT-3", "target_modules"},
      {"no such kind", make("LOHA", {{"target_modules", names({"embed"})}}), "LT-4", "Embedding"},
      {"no layer of ours", lora({"norm"}), "LT-4", "norm"},
      {"odd orthogonal",
       make("LORA",
            {{"target_modules", names({"q_proj"})}, {"r", 3}, {"init_lora_weights", "orthogonal"}}),
       "LT-7", "even rank"},
      {"rank of groups", make("LORA", {{"target_modules", names({"grouped"})}, {"r", 3}}), "LT-7",
       "groups"},
      {"pissa beyond the layer",
       make("LORA",
            {{"target_modules", names({"q_proj"})}, {"r", 40}, {"init_lora_weights", "pissa"}}),
       "LT-7", "at most 12"},
      {"bias of embeddings",
       make("LORA", {{"target_modules", names({"embed"})}, {"lora_bias", true}}), "LT-7", "embed"},
      {"saved module of no kind",
       make("LORA",
            {{"target_modules", names({"q_proj"})}, {"modules_to_save", names({"layers.1"})}}),
       "LT-8", "layers.1"},
      {"container without forward",
       make("LORA", {{"target_modules", names({"head"})}, {"modules_to_save", names({"layers"})}}),
       "LT-8", "no forward function"},
      {"bad expression", make("LORA", {{"target_modules", "(q_proj"}}), "CF-20", "(q_proj"},
  };
  for (const auto& refusal : refusals) {
    SCOPED_TRACE(refusal.name);
    Net net;
    const auto before = snapshot(net);
    expect_error(ft::add_adapter(net, refusal.config), refusal.rule, refusal.words);
    expect_same(net, before);
  }
}

TEST(AddAdapter, ReportsWhatMatchesNothing) {
  Net net;
  const auto added = ft::add_adapter(
      net, make("LORA", {{"target_modules", names({"q_proj", "vproj"})},
                         {"modules_to_save", names({"norm", "lm_heed"})},
                         {"exclude_modules", names({"layers.7.q_proj"})},
                         {"rank_pattern", Json(Json::Object{{"v_proj", 2}, {"q_proj", 3}})}}));
  ASSERT_TRUE(added) << added.error().to_string();
  std::vector<std::string> messages;
  for (const auto& finding : added->findings) {
    EXPECT_EQ(finding.rule, "LT-14");
    EXPECT_EQ(finding.severity, Severity::kWarning);
    messages.push_back(finding.message.substr(0, finding.message.find(" matches")));
  }
  EXPECT_EQ(messages, (std::vector<std::string>{
                          "rank_pattern: \"v_proj\"", "exclude_modules: \"layers.7.q_proj\"",
                          "modules_to_save: \"lm_heed\"", "target_modules: \"vproj\""}));
}

TEST(AddAdapter, AllLinearLeavesTheOutputEmbeddingOut) {
  struct Model : ::torch::nn::Module {
    ferrule::torch::Linear q_proj{register_module("q_proj", ferrule::torch::Linear(4, 4))};
    ferrule::torch::Linear out{register_module("out", ferrule::torch::Linear(4, 4))};
    ferrule::torch::Linear lm_head{register_module("lm_head", ferrule::torch::Linear(4, 4))};
  };
  const auto all = make("LORA", {{"target_modules", "all-linear"}});
  const auto modules = [&all](const ft::AddOptions& options) {
    Model model;
    return ft::add_adapter(model, all, "default", options).value().modules;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(modules({}), (Names{"q_proj", "out"}));
  EXPECT_EQ(modules({.output_embeddings = "out"}), (Names{"q_proj", "lm_head"}));
  EXPECT_EQ(modules({.output_embeddings = ""}), (Names{"q_proj", "out", "lm_head"}));
}

TEST(AddAdapter, DoesNotTrainBiasesOfOriginalModules) {
  Net net;
  ASSERT_TRUE(ft::add_adapter(net, make("LORA", {{"target_modules", names({"v_proj"})},
                                                 {"modules_to_save", names({"norm", "head"})},
                                                 {"bias", "all"}})));
  for (const auto& entry : net.named_parameters()) {
    const auto& name = entry.key();
    const bool trained = name.find("lora_") != name.npos ||
                         (name.ends_with("bias") && name.find("original") == name.npos) ||
                         name.find("modules_to_save.") != name.npos;
    EXPECT_EQ(entry.value().requires_grad(), trained) << name;
  }
}

TEST(Models, ThatAreNullOrTorchScriptAreRefusedByEveryFunction) {
  const TempDir folder;
  const auto refuse_all = [&](const ft::ModelRef& model, std::string_view words) {
    expect_error(ft::add_adapter(model, lora({"q_proj"})), "LT-13", words);
    expect_error(ft::save_pretrained(model, folder.path() / "a"), "LT-13", words);
    const NamedConfig config{"default", lora({"q_proj"})};
    expect_error(ft::save_pretrained(model, std::span(&config, 1), folder.path() / "a"), "LT-13",
                 words);
    expect_error(ft::from_pretrained(model, folder.path()), "LT-13", words);
    expect_error(ft::set_adapter(model, "a"), "LT-13", words);
    expect_error(ft::merge_adapter(model), "LT-13", words);
    expect_error(ft::unmerge_adapter(model), "LT-13", words);
    expect_error(ft::disable_adapter(model), "LT-13", words);
    expect_error(ft::enable_adapter(model), "LT-13", words);
    EXPECT_TRUE(ft::adapter_names(model).empty());
    EXPECT_TRUE(ft::active_adapters(model).empty());
  };
  refuse_all(std::shared_ptr<Net>(), "null");
  refuse_all(Block{nullptr}, "null");
  refuse_all(ft::Linear{nullptr}, "null");
  refuse_all(::torch::jit::Module("m"), "TorchScript");
}

TEST(AddAdapter, NamesLayersOfLibTorchThatItCannotAdapt) {
  Foreign model;
  const auto before = snapshot(model);
  expect_error(ft::add_adapter(model, lora({"q_proj", "v_proj"})), "LT-4", "torch::nn::LinearImpl");
  expect_same(model, before);
}

TEST(AddAdapter, TrainsTheAdapterAlone) {
  Net net;
  const auto added = ft::add_adapter(net, lora({"q_proj"}));
  ASSERT_TRUE(added) << added.error().to_string();
  EXPECT_EQ(added->modules, (std::vector<std::string>{"layers.0.q_proj", "layers.1.q_proj"}));
  EXPECT_EQ(added->parameters, 2U * 8U * (12U + 24U));
  for (const auto& entry : net.named_parameters()) {
    const bool lora = entry.key().find("lora_") != std::string::npos;
    EXPECT_EQ(entry.value().requires_grad(), lora) << entry.key();
  }
}

TEST(AddAdapter, KeepsCompany) {
  Net net;
  ASSERT_TRUE(
      ft::add_adapter(net, make("LORA", {{"target_modules", names({"q_proj"})}, {"bias", "all"}})));
  const auto before = snapshot(net);
  expect_error(ft::add_adapter(net, lora({"q_proj"})), "LT-5", "already");
  expect_error(ft::add_adapter(net, lora({"q_proj"}), "a.b"), "LT-5", "a.b");
  expect_error(ft::add_adapter(net, lora({"q_proj"}), ""), "LT-5", "empty");
  expect_error(ft::add_adapter(net,
                               make("IA3", {{"target_modules", names({"q_proj"})},
                                            {"feedforward_modules", names({})}}),
                               "b"),
               "LT-6", "IA3");
  expect_error(
      ft::add_adapter(
          net, make("LORA", {{"target_modules", names({"q_proj"})}, {"bias", "lora_only"}}), "b"),
      "LT-6", "biases");
  expect_error(ft::add_adapter(net,
                               make("LORA", {{"target_modules", names({"v_proj"})},
                                             {"modules_to_save", names({"q_proj"})}}),
                               "b"),
               "LT-8", "q_proj");
  expect_same(net, before);
}

TEST(AddAdapter, ASecondOneWaits) {
  Net net;
  ASSERT_TRUE(ft::add_adapter(net, lora({"q_proj"})));
  const auto before = net.forward(words());
  ASSERT_TRUE(ft::add_adapter(
      net,
      make("LORA", {{"target_modules", names({"q_proj", "v_proj"})}, {"init_lora_weights", false}}),
      "b"));
  EXPECT_TRUE(at::equal(net.forward(words()), before));
  EXPECT_EQ(ft::active_adapters(net), std::vector<std::string>{"default"});
  ASSERT_TRUE(ft::set_adapter(net, "b"));
  EXPECT_FALSE(at::allclose(net.forward(words()), before));
}

TEST(AddAdapter, TakesModelsInHolders) {
  ::torch::nn::Sequential model(ft::Linear(4, 4), ft::ModulesToSave<::torch::nn::LinearImpl>(4, 2));
  ASSERT_TRUE(ft::add_adapter(
      model, make("LORA", {{"target_modules", names({"0"})}, {"modules_to_save", names({"1"})}})));
  EXPECT_EQ(model->forward(at::ones({3, 4})).sizes(), (std::vector<std::int64_t>{3, 2}));
  EXPECT_TRUE(model->named_parameters().contains("1.modules_to_save.default.weight"));
}

TEST(Layers, AreTheLayersOfLibTorchUntilAdapted) {
  ::torch::manual_seed(3);
  ft::Linear ours(::torch::nn::LinearOptions(5, 3).bias(false));
  ::torch::manual_seed(3);
  ::torch::nn::Linear theirs(::torch::nn::LinearOptions(5, 3).bias(false));
  const auto x = at::randn({2, 5});
  EXPECT_TRUE(at::equal(ours(x), theirs(x)));
  EXPECT_EQ(ours->named_parameters().keys(), theirs->named_parameters().keys());
  const auto copy = std::dynamic_pointer_cast<ft::LinearImpl>(ours->clone());
  ASSERT_NE(copy, nullptr);
  EXPECT_TRUE(at::equal(copy->forward(x), theirs(x)));
}

TEST(Layers, RefuseToBeClonedWithAdapters) {
  Net net;
  ASSERT_TRUE(ft::add_adapter(net, lora({"head"})));
  try {
    net.head->clone();
    FAIL();
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("data_parallel"), std::string::npos);
  }
}

TEST(Layers, FollowTheModuleToAnotherDtype) {
  Net net;
  ASSERT_TRUE(ft::add_adapter(
      net, make("LORA", {{"target_modules", names({"q_proj"})}, {"init_lora_weights", false}})));
  const auto before = net.forward(words());
  net.to(at::kDouble);
  EXPECT_TRUE(at::allclose(net.forward(words()), before.to(at::kDouble), 1e-4, 1e-5));
}

TEST(SetAdapter, RefusesWhatTheModelHasNot) {
  Net net;
  expect_error(ft::set_adapter(net, "default"), "LT-5", "no adapter");
  expect_error(ft::merge_adapter(net), "LT-5", "none");
  expect_error(ft::unmerge_adapter(net), "LT-5", "none");
  expect_error(ft::disable_adapter(net), "LT-5", "none");
  expect_error(ft::enable_adapter(net), "LT-5", "none");
  ASSERT_TRUE(ft::add_adapter(net, lora({"q_proj"})));
  const auto before = snapshot(net);
  expect_error(ft::set_adapter(net, "other"), "LT-5", "\"other\"; it has \"default\"");
  expect_error(ft::merge_adapter(net, {.adapter_names = {"other"}}), "LT-5", "other");
  expect_same(net, before);
}

TEST(SetAdapter, TakesNamesInBraces) {
  Net net;
  ASSERT_TRUE(ft::add_adapter(net, lora({"q_proj"}), "a"));
  ASSERT_TRUE(ft::add_adapter(net, lora({"v_proj"}), "b"));
  ASSERT_TRUE(ft::set_adapter(net, {"a", "b"}));
  EXPECT_EQ(ft::active_adapters(net), (std::vector<std::string>{"a", "b"}));
  const std::string b = "b";
  ASSERT_TRUE(ft::set_adapter(net, {b}));
  EXPECT_EQ(ft::active_adapters(net), std::vector<std::string>{"b"});
}

TEST(SetAdapter, TakesOneTrainedCopyOfAModule) {
  Net net;
  const auto config =
      make("LORA", {{"target_modules", names({"q_proj"})}, {"modules_to_save", names({"head"})}});
  ASSERT_TRUE(ft::add_adapter(net, config, "a"));
  ASSERT_TRUE(ft::add_adapter(net, config, "b"));
  const auto before = snapshot(net);
  expect_error(ft::set_adapter(net, {"a", "b"}), "LT-8", "head");
  expect_same(net, before);
}

TEST(MergeAdapter, RefusesAndChangesNothing) {
  Net net;
  ASSERT_TRUE(ft::add_adapter(net, make("LORA", {{"target_modules", names({"q_proj", "grouped"})},
                                                 {"init_lora_weights", false}})));
  auto before = snapshot(net);
  expect_error(ft::merge_adapter(net), "LT-10", "grouped");
  expect_same(net, before);

  Net biased;
  ASSERT_TRUE(ft::add_adapter(
      biased, make("LORA", {{"target_modules", names({"q_proj"})}, {"lora_bias", true}})));
  before = snapshot(biased);
  expect_error(ft::merge_adapter(biased), "LT-10", "lora_bias");
  expect_same(biased, before);

  Net broken;
  ASSERT_TRUE(ft::add_adapter(broken, lora({"q_proj", "v_proj"})));
  {
    const ::torch::NoGradGuard no_grad;
    broken.named_parameters()["layers.1.v_proj.lora_B.default.weight"].fill_(INFINITY);
  }
  before = snapshot(broken);
  expect_error(ft::merge_adapter(broken, {.safe_merge = true}), "LT-10", "layers.1.v_proj");
  expect_same(broken, before);
}

TEST(MergeAdapter, LeavesTheOtherSideOfATiedWeight) {
  for (const char* kind : {"tied", "assigned"}) {
    for (const char* target : {"embed", "head"}) {
      for (const bool safe : {false, true}) {
        SCOPED_TRACE(std::string(kind) + " " + target);
        Net net(kind);
        ASSERT_TRUE(ft::add_adapter(net, make("LORA", {{"target_modules", names({target})},
                                                       {"init_lora_weights", false}})));
        const auto before = net.forward(words());
        const auto parameters = snapshot(net);
        ASSERT_TRUE(ft::merge_adapter(net, {.safe_merge = safe}));
        EXPECT_TRUE(at::allclose(net.forward(words()), before, 1e-4, 1e-5));
        ASSERT_TRUE(ft::unmerge_adapter(net));
        EXPECT_TRUE(at::equal(net.forward(words()), before));
        expect_same(net, parameters);
        // They are one tensor again.
        std::string key = target;
        key += std::string_view(kind) == "assigned" ? "" : ".base_layer.weight";
        if (std::string_view(kind) == "tied") {
          const ::torch::NoGradGuard no_grad;
          net.named_parameters()[key].fill_(0.5);
          const auto other = std::string_view(target) == "embed" ? "head.weight" : "embed.weight";
          EXPECT_EQ(net.named_parameters()[other].mean().item<float>(), 0.5F);
        }
      }
    }
  }
}

TEST(SavePretrained, RefusesWhatNoOneTrained) {
  const TempDir folder;
  Net net;
  expect_error(ft::save_pretrained(net, folder.path() / "a"), "LT-5", "none");
  ASSERT_TRUE(ft::add_adapter(net, lora({"q_proj"})));
  expect_error(ft::save_pretrained(net, folder.path() / "a"), "LT-11", "\"default\"");
  expect_error(ft::save_pretrained(net, folder.path() / "a", {.selected_adapters = {"x"}}), "LT-5",
               "\"x\"");
  EXPECT_FALSE(fs::exists(folder.path() / "a"));
  EXPECT_TRUE(ft::save_pretrained(net, folder.path() / "a", {}, ft::Untrained::kSave));
  train(net);
  EXPECT_TRUE(ft::save_pretrained(net, folder.path() / "b"));
  // Loaded and not trained on, an adapter is saved as it is.
  Net other;
  ASSERT_TRUE(ft::from_pretrained(other, folder.path() / "a"));
  EXPECT_TRUE(ft::save_pretrained(other, folder.path() / "c"));
}

TEST(SavePretrained, DecidesByValues) {
  const TempDir folder;
  for (const auto& config :
       {lora({"q_proj"}), make("LORA", {{"target_modules", names({"q_proj"})}, {"use_dora", true}}),
        make("LOHA", {{"target_modules", names({"q_proj"})}}),
        make("LOKR", {{"target_modules", names({"q_proj"})}}),
        make("IA3", {{"target_modules", names({"q_proj"})}, {"feedforward_modules", names({})}}),
        make("LORA",
             {{"target_modules", names({"embed"})}, {"modules_to_save", names({"norm"})}})}) {
    Net net;
    ASSERT_TRUE(ft::add_adapter(net, config));
    std::vector<at::Tensor> trained;
    for (const auto& parameter : net.parameters()) {
      if (parameter.requires_grad()) trained.push_back(parameter);
    }
    // Written, with the values that were there; then in another dtype.
    for (const auto& parameter : trained) parameter.data().mul_(1);
    expect_error(ft::save_pretrained(net, folder.path() / "a"), "LT-11", "\"default\"");
    net.to(at::kDouble);
    expect_error(ft::save_pretrained(net, folder.path() / "a"), "LT-11", "\"default\"");
    for (const auto& parameter : trained) parameter.data().add_(1);
    EXPECT_TRUE(ft::save_pretrained(net, folder.path() / config.peft_type()));
  }
}

/// A module of one's own whose parameters have PEFT's names.
struct HandMade : ::torch::nn::Module {
  struct Holder : ::torch::nn::Module {};
  explicit HandMade(at::Device device = at::kCPU) {
    auto layer = register_module("q_proj", std::make_shared<Holder>());
    layer->register_module("base_layer", std::make_shared<Holder>())
        ->register_parameter("weight", at::ones({4, 4}, device));
    auto a = layer->register_module("lora_A", std::make_shared<Holder>());
    // Not contiguous.
    a->register_module("default", std::make_shared<Holder>())
        ->register_parameter("weight", at::randn({4, 8}).t());
    auto b = layer->register_module("lora_B", std::make_shared<Holder>());
    b->register_module("default", std::make_shared<Holder>())
        ->register_parameter("weight", at::randn({4, 8}));
  }
};

TEST(SavePretrained, TakesAnyModuleWithTheNamesOfPeft) {
  const TempDir folder;
  HandMade model;
  const NamedConfig config{"default", lora({"q_proj"})};
  const auto saved = ft::save_pretrained(model, std::span(&config, 1), folder.path() / "a");
  ASSERT_TRUE(saved) << saved.error().to_string();
  const auto adapter = Adapter::open(folder.path() / "a");
  ASSERT_TRUE(adapter);
  const auto a = adapter->modules()[0].tensor("lora_A");
  ASSERT_TRUE(a && a->as<float>());
  const auto live = model.named_parameters()["q_proj.lora_A.default.weight"];
  EXPECT_EQ((*a->as<float>())[1], live[0][1].item<float>());
}

TEST(SavePretrained, LeavesWeightsOfTheBaseOnTheirDevice) {
  const TempDir folder;
  // The meta device has nothing to copy: a save that tried would fail.
  HandMade model(at::kMeta);
  const NamedConfig config{"default", lora({"q_proj"})};
  const auto saved = ft::save_pretrained(model, std::span(&config, 1), folder.path() / "a");
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_EQ(saved->adapters.at(0).tensors, 2U);
}

class FromPretrained : public ::testing::Test {
 protected:
  void save(const AdapterConfig& config) {
    Net net;
    ASSERT_TRUE(ft::add_adapter(net, config));
    train(net);
    const auto saved = ft::save_pretrained(net, path());
    ASSERT_TRUE(saved) << saved.error().to_string();
  }
  void edit_config(const char* field, Json value) {
    auto config = AdapterConfig::open(path());
    ASSERT_TRUE(config);
    ASSERT_TRUE(config->set(field, std::move(value)));
    std::ofstream(path() / "adapter_config.json") << config->to_json();
  }
  void expect_refused(std::string_view rule, std::string_view text) {
    Net net;
    const auto before = snapshot(net);
    const auto loaded = ft::from_pretrained(net, path());
    expect_error(loaded, rule, text);
    EXPECT_EQ(loaded.error().path, path().string());
    expect_same(net, before);
  }
  fs::path path() const { return folder_.path() / "adapter"; }

 private:
  TempDir folder_;
};

TEST_F(FromPretrained, IsFrozenAndInEvaluationModeUnlessTrainable) {
  save(lora({"q_proj"}));
  Net net;
  const auto loaded = ft::from_pretrained(net, path());
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(loaded->tensors, 4U);
  EXPECT_FALSE(net.is_training());
  for (const auto& parameter : net.parameters()) EXPECT_FALSE(parameter.requires_grad());
  Net trainable;
  ASSERT_TRUE(ft::from_pretrained(trainable, path(), {.is_trainable = true}));
  EXPECT_TRUE(trainable.is_training());
  EXPECT_TRUE(
      trainable.named_parameters()["layers.0.q_proj.lora_A.default.weight"].requires_grad());
}

TEST_F(FromPretrained, TakesASharedLayerUnderBothNames) {
  Net net("shared");
  ASSERT_TRUE(ft::add_adapter(net, lora({"q_proj"})));
  train(net);
  ASSERT_TRUE(ft::save_pretrained(net, path()));
  Net other("shared");
  const auto loaded = ft::from_pretrained(other, path());
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(loaded->tensors, 4U);
  EXPECT_EQ(loaded->modules, std::vector<std::string>{"layers.0.q_proj"});
  // With two layers' own values, it is not an adapter of this model.
  Net apart;
  ASSERT_TRUE(ft::add_adapter(apart, lora({"q_proj"})));
  train(apart);
  ASSERT_TRUE(ft::save_pretrained(apart, path()));
  Net third("shared");
  expect_error(ft::from_pretrained(third, path()), "LT-9", "layers.1.q_proj");
}

TEST_F(FromPretrained, RefusesAMissingTensor) {
  save(lora({"q_proj"}));
  edit_config("target_modules", names({"q_proj", "v_proj"}));
  expect_refused("LT-9", "layers.0.v_proj.lora_A.default.weight");
}

TEST_F(FromPretrained, RefusesATensorWithoutPlace) {
  save(make("LORA", {{"target_modules", names({"q_proj"})}, {"bias", "all"}}));
  Foreign small;
  const auto before = snapshot(small);
  expect_error(ft::from_pretrained(small, path()), "LT-4", "q_proj");
  expect_same(small, before);
  edit_config("exclude_modules", names({"layers.1.q_proj"}));
  expect_refused("AD-14", "layers.1.q_proj");
}

TEST_F(FromPretrained, RefusesATensorOfALayerThatTheModelLacks) {
  save(lora({"v_proj"}));
  Foreign small;
  const auto before = snapshot(small);
  expect_error(ft::from_pretrained(small, path()), "LT-9", "v_proj.lora_A.default.weight");
  expect_same(small, before);
}

TEST_F(FromPretrained, RefusesAnotherShape) {
  save(make("LORA", {{"target_modules", names({"head"})}, {"modules_to_save", names({"norm"})}}));
  struct Other : ::torch::nn::Module {
    ferrule::torch::Linear head{register_module("head", ferrule::torch::Linear(12, 7))};
    ferrule::torch::ModulesToSave<::torch::nn::LayerNormImpl> norm{
        register_module("norm", ferrule::torch::ModulesToSave<::torch::nn::LayerNormImpl>(
                                    ::torch::nn::LayerNormOptions({12})))};
  } other;
  const auto before = snapshot(other);
  expect_error(ft::from_pretrained(other, path()), "LT-9",
               "the model has [7, 8], the adapter [10, 8]");
  expect_same(other, before);
}

TEST_F(FromPretrained, RefusesAnotherArchitectureMethodAndRank) {
  save(lora({"q_proj"}));
  struct Other : ::torch::nn::Module {
    ferrule::torch::Linear c_attn{register_module("c_attn", ferrule::torch::Linear(4, 4))};
  } other;
  const auto before = snapshot(other);
  expect_error(ft::from_pretrained(other, path()), "LT-3", "q_proj");
  expect_same(other, before);
  edit_config("target_modules", names({"c_attn"}));
  expect_refused("AD-14", "q_proj");
  edit_config("target_modules", names({"q_proj"}));
  edit_config("r", 5);
  expect_refused("AD-5", "q_proj");
  // Asked to look past that, the loader finds what does not fit.
  Net net;
  expect_error(ft::from_pretrained(net, path(), {.open = {.allow_errors = true}}), "LT-9",
               "the model has [5, 12], the adapter [8, 12]");
}

TEST_F(FromPretrained, RefusesWhatIsNotThere) {
  Net net;
  const auto loaded = ft::from_pretrained(net, path());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kNotFound);
}

TEST_F(FromPretrained, ConvertsPissaOnSave) {
  const TempDir folder;
  ::torch::manual_seed(2);
  Net net;
  Net plain;
  {
    const ::torch::NoGradGuard no_grad;
    for (auto& entry : net.named_parameters())
      plain.named_parameters()[entry.key()].copy_(entry.value());
  }
  auto config = make(
      "LORA", {{"target_modules", names({"q_proj", "v_proj"})}, {"init_lora_weights", "pissa"}});
  ASSERT_TRUE(ft::add_adapter(net, config));
  // PEFT asks for the initial adapter with init_lora_weights true, so that it loads onto any base.
  const NamedConfig initial{"default", lora({"q_proj", "v_proj"})};
  ASSERT_TRUE(ft::save_pretrained(net, std::span(&initial, 1), folder.path() / "initial"));
  train(net);
  const auto trained = net.forward(words());
  const auto saved = ft::save_pretrained(net, path(), {.initial = folder.path() / "initial"});
  ASSERT_TRUE(saved) << saved.error().to_string();
  const auto loaded = ft::from_pretrained(plain, path());
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(AdapterConfig::open(path()).value().rank(), 16);
  EXPECT_TRUE(at::allclose(plain.forward(words()), trained, 1e-4, 1e-5));
}

TEST(Training, BringsTheLossDown) {
  ::torch::manual_seed(4);
  for (const char* type : {"LORA", "IA3", "LOHA", "LOKR"}) {
    Net net;
    auto config = make(type, {{"target_modules", names({"q_proj", "v_proj", "conv2"})}});
    if (std::string_view(type) == "IA3") {
      ASSERT_TRUE(config.set("feedforward_modules", names({"v_proj"})));
    }
    ASSERT_TRUE(ft::add_adapter(net, config));
    const auto step = [&net] {
      const auto logits = net.forward(words());
      return at::cross_entropy_loss(logits.view({-1, Net::kWords}), words().flatten());
    };
    double first = 0;
    double last = 0;
    for (int i = 0; i < 40; ++i) {
      auto loss = step();
      (i == 0 ? first : last) = loss.item<double>();
      net.zero_grad();
      loss.backward();
      const ::torch::NoGradGuard no_grad;
      for (auto& parameter : net.parameters()) {
        if (parameter.grad().defined()) parameter.sub_(0.02 * parameter.grad().sign());
      }
    }
    EXPECT_LT(last, 0.9 * first) << type;
  }
}

}  // namespace
}  // namespace ferrule
