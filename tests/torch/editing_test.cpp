// SPDX-License-Identifier: Apache-2.0
// Checkpoints, snapshots, base weights, and what changes a model that has adapters.
#include <gtest/gtest.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/rnn.h>
#include <torch/optim/adamw.h>

#include <filesystem>
#include <fstream>

#include "ferrule/safetensors_writer.hpp"
#include "temp_dir.hpp"
#include "test_tools.hpp"

namespace ferrule {
namespace {

using test::TempDir;
using namespace torch_test;  // NOLINT(google-build-using-namespace)
namespace ft = ferrule::torch;
namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// A new model with the same weights, whatever was drawn before.
struct Seeded : Net {
  explicit Seeded(std::string_view kind = "") : Net((::torch::manual_seed(3), kind)) {}
};

// Deleting and merging.

TEST(DeleteAdapter, KeepsTheOthersAndMakesEmptyLayersPlain) {
  Seeded net;
  const auto plain = snapshot(net);
  const auto both =
      make("LORA", {{"target_modules", names({"q_proj"})}, {"modules_to_save", names({"norm"})}});
  ASSERT_TRUE(ft::add_adapter(net, both, "a"));
  ASSERT_TRUE(ft::add_adapter(net, lora({"v_proj"}), "b"));
  expect_error(ft::delete_adapter(net, "c"), "LT-5", "\"c\"");
  ASSERT_TRUE(ft::delete_adapter(net, "a"));
  EXPECT_EQ(ft::adapter_names(net), Names{"b"});
  EXPECT_EQ(ft::active_adapters(net), Names{"b"});
  const auto parameters = net.named_parameters();
  EXPECT_TRUE(parameters.contains("layers.0.q_proj.weight"));
  EXPECT_TRUE(parameters.contains("norm.weight"));
  EXPECT_TRUE(parameters["layers.0.v_proj.lora_A.b.weight"].requires_grad());
  ASSERT_TRUE(ft::delete_adapter(net, "b"));
  EXPECT_TRUE(ft::adapter_names(net).empty());
  const auto now = snapshot(net);
  ASSERT_EQ(now.size(), plain.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    EXPECT_EQ(std::get<0>(now[i]), std::get<0>(plain[i]));
    EXPECT_TRUE(at::equal(std::get<1>(now[i]), std::get<1>(plain[i])));
  }
  EXPECT_NO_THROW(net.head->clone());
  EXPECT_TRUE(ft::add_adapter(net, both, "a"));
}

TEST(DeleteAdapter, OfSeveralOnOneLayerLeavesTheirTensors) {
  Seeded net;
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(ft::add_adapter(
        net, make("LORA", {{"target_modules", names({"q_proj"})}, {"init_lora_weights", false}}),
        name));
  }
  ASSERT_TRUE(ft::set_adapter(net, {"a", "c"}, true));
  ASSERT_TRUE(ft::set_adapter(net, "c", true));
  const auto before = net.forward(words());
  ASSERT_TRUE(ft::delete_adapter(net, "b"));
  EXPECT_TRUE(at::equal(net.forward(words()), before));
  EXPECT_EQ(ft::active_adapters(net), Names{"c"});
  ASSERT_TRUE(ft::delete_adapter(net, "c"));
  EXPECT_EQ(ft::active_adapters(net), Names{"a"});
  // It was not trained, and is not now.
  EXPECT_TRUE(ft::trainable_parameters(net).empty());
}

TEST(DeleteAdapter, RefusesWhatIsMerged) {
  Seeded net;
  ASSERT_TRUE(ft::add_adapter(net, lora({"q_proj"})));
  ASSERT_TRUE(ft::merge_adapter(net));
  const auto before = snapshot(net);
  expect_error(ft::delete_adapter(net, "default"), "LT-10", "unmerge_adapter");
  expect_error(ft::set_scale(net, "default", 2), "LT-10", "unmerge_adapter");
  expect_same(net, before);
}

TEST(MergeAndUnload, GivesABaseThatCanBeClonedSavedAndAdapted) {
  for (const char* kind : {"", "tied"}) {
    Seeded net(kind);
    ASSERT_TRUE(
        ft::add_adapter(net, make("LORA", {{"target_modules", names({"q_proj", "embed", "conv2"})},
                                           {"modules_to_save", names({"norm"})}})));
    train(net);
    const auto before = net.forward(words());
    ASSERT_TRUE(ft::merge_and_unload(net));
    EXPECT_TRUE(at::allclose(net.forward(words()), before, 1e-4, 1e-5));
    EXPECT_TRUE(ft::adapter_names(net).empty());
    EXPECT_EQ(net.named_parameters().keys(), Net().named_parameters().keys());
    const auto copy = std::dynamic_pointer_cast<ft::EmbeddingImpl>(net.embed->clone());
    EXPECT_TRUE(at::equal(copy->weight, net.embed->weight));
    ASSERT_TRUE(ft::add_adapter(net, lora({"q_proj"}), "next"));
    EXPECT_TRUE(at::allclose(net.forward(words()), before, 1e-4, 1e-5));
  }
}

TEST(MergeAndUnload, RefusesAndChangesNothing) {
  Seeded net;
  expect_error(ft::merge_and_unload(net), "LT-5", "none");
  ASSERT_TRUE(
      ft::add_adapter(net, make("LORA", {{"target_modules", names({"q_proj", "grouped"})}})));
  const auto before = snapshot(net);
  expect_error(ft::merge_and_unload(net), "LT-10", "grouped");
  expect_same(net, before);
}

// Scales and sums.

TEST(SetScale, RefusesMethodsWithoutAFactor) {
  Seeded net;
  ASSERT_TRUE(ft::add_adapter(net, make("IA3", {{"target_modules", names({"q_proj"})},
                                                {"feedforward_modules", names({})}})));
  expect_error(ft::set_scale(net, "default", 2), "LT-15", "IA3");
  expect_error(ft::set_scale(net, "default", NAN), "LT-15", "finite");
  expect_error(ft::set_scale(net, "x", 2), "LT-5", "\"x\"");
}

TEST(AddWeightedAdapter, RefusesAndChangesNothing) {
  Seeded net;
  ASSERT_TRUE(ft::add_adapter(net, lora({"q_proj"}), "a"));
  ASSERT_TRUE(
      ft::add_adapter(net, make("LORA", {{"target_modules", names({"q_proj"})}, {"r", 3}}), "b"));
  ASSERT_TRUE(ft::add_adapter(
      net, make("LORA", {{"target_modules", names({"v_proj"})}, {"use_dora", true}}), "dora"));
  const auto before = snapshot(net);
  const ft::WeightedOptions linear{.combination_type = ft::CombinationType::kLinear};
  expect_error(ft::add_weighted_adapter(net, {}, {}, "s"), "LT-16", "no adapter");
  expect_error(ft::add_weighted_adapter(net, {"a", "b"}, {1}, "s"), "LT-16", "as many weights");
  expect_error(ft::add_weighted_adapter(net, {"a", "b"}, {1, INFINITY}, "s"), "LT-16", "finite");
  expect_error(ft::add_weighted_adapter(net, {"a", "b"}, {1, 1}, "s", linear), "LT-16", "one rank");
  expect_error(ft::add_weighted_adapter(net, {"a", "x"}, {1, 1}, "s"), "LT-5", "\"x\"");
  expect_error(ft::add_weighted_adapter(net, {"a", "b"}, {1, 1}, "a"), "LT-5", "already");
  expect_error(ft::add_weighted_adapter(net, {"a", "dora"}, {1, 1}, "s"), "LT-16", "use_dora");
  expect_error(ft::add_weighted_adapter(net, {"a", "b"}, {1, 1}, "s", {.svd_rank = 0}), "LT-16",
               "svd_rank");
  expect_same(net, before);
}

// Base weights.

class LoadStateDict : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::vector<std::pair<std::string, at::Tensor>>& list) {
    std::vector<NamedTensor> views;
    std::vector<std::vector<std::uint64_t>> shapes;
    shapes.reserve(list.size());
    for (const auto& [key, tensor] : list) {
      shapes.emplace_back(tensor.sizes().begin(), tensor.sizes().end());
      views.push_back({key, TensorView::make(
                                *ft::to_dtype(tensor.scalar_type()), shapes.back(),
                                {static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()})
                                .value()});
    }
    const auto written = write_safetensors(folder_.path() / name, views);
    ASSERT_TRUE(written) << written.error().to_string();
  }
  void expect_refused(const Net& model, std::string_view rule, std::string_view words) {
    auto& net = const_cast<Net&>(model);
    const auto before = snapshot(net);
    const auto loaded = ft::load_state_dict(net, path());
    expect_error(loaded, rule, words);
    EXPECT_NE(loaded.error().path.find("model.safetensors"), std::string::npos);
    expect_same(net, before);
  }
  std::vector<std::pair<std::string, at::Tensor>> all(const Net& net) {
    std::vector<std::pair<std::string, at::Tensor>> list;
    for (const auto& entry : net.named_parameters()) {
      list.emplace_back(entry.key(), entry.value().detach());
    }
    return list;
  }
  fs::path path() const { return folder_.path() / "model.safetensors"; }

 private:
  TempDir folder_;
};

TEST_F(LoadStateDict, ConvertsDtypesAndLooksUnderAdapters) {
  Seeded source;
  source.to(at::kBFloat16);
  write("model.safetensors", all(source));
  Net net;
  ASSERT_TRUE(ft::add_adapter(net, make("LORA", {{"target_modules", names({"q_proj"})},
                                                 {"modules_to_save", names({"norm"})}})));
  const auto loaded = ft::load_state_dict(net, path());
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(loaded->tensors, source.named_parameters().size());
  EXPECT_TRUE(at::equal(net.named_parameters()["layers.1.q_proj.base_layer.weight"],
                        source.named_parameters()["layers.1.q_proj.weight"].to(at::kFloat)));
  EXPECT_EQ(net.embed->weight.scalar_type(), at::kFloat);
}

TEST_F(LoadStateDict, RefusesGapsStrangersAndShapes) {
  Seeded source;
  auto list = all(source);
  const auto last = list.back();
  list.pop_back();
  write("model.safetensors", list);
  expect_refused(Net(), "LT-17", "lack 1 of the model's tensors: \"head.bias\"");
  list.push_back(last);
  list.emplace_back("lm_head.weight", at::ones({2}));
  write("model.safetensors", list);
  expect_refused(Net(), "LT-17", "no place for 1: \"lm_head.weight\"");
  list.back() = {"head.bias", at::ones({3})};
  list.erase(list.end() - 2);
  write("model.safetensors", list);
  expect_refused(Net(), "LT-17", "\"head.bias\": the model has [10], the file [3]");
}

TEST_F(LoadStateDict, ListsGapsIfNotStrictAndTakesPrefixes) {
  write("model.safetensors", {{"model.head.bias", at::ones({10})}, {"head.weight", at::ones({1})}});
  Net net;
  const auto loaded = ft::load_state_dict(net, path(), {.strict = false, .prefix = "model."});
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(loaded->tensors, 1U);
  EXPECT_EQ(loaded->unexpected, Names{"head.weight"});
  EXPECT_EQ(loaded->missing.size(), net.named_parameters().size() - 1);
  EXPECT_TRUE(at::equal(net.head->bias, at::ones({10})));
}

TEST_F(LoadStateDict, TakesATiedHeadThatTheFileLacks) {
  Seeded source;
  auto list = all(source);
  std::erase_if(list, [](const auto& one) { return one.first == "head.weight"; });
  write("model.safetensors", list);
  Net tied("tied");
  const auto loaded = ft::load_state_dict(tied, path());
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_TRUE(at::equal(tied.head->weight, source.embed->weight));
  expect_refused(Net(), "LT-17", "head.weight");
}

// Checkpoints.

struct Trainer {
  explicit Trainer(const AdapterConfig& config) {
    EXPECT_TRUE(ft::add_adapter(net, config));
    optimizer = std::make_unique<::torch::optim::AdamW>(ft::trainable_parameters(net),
                                                        ::torch::optim::AdamWOptions(1e-2));
  }
  void step() {
    const auto batch = at::randint(Net::kWords, {2, 6});
    const auto logits = net.forward(batch);
    auto loss = at::cross_entropy_loss(logits.view({-1, Net::kWords}), batch.flatten());
    optimizer->zero_grad();
    loss.backward();
    optimizer->step();
  }
  Seeded net;
  std::unique_ptr<::torch::optim::AdamW> optimizer;
};

AdapterConfig with_dropout() {
  return make("LORA", {{"target_modules", names({"q_proj", "embed"})},
                       {"lora_dropout", 0.2},
                       {"bias", "all"},
                       {"modules_to_save", names({"norm"})}});
}

TEST(Checkpoints, ResumeBitForBit) {
  const TempDir folder;
  Trainer straight(with_dropout());
  ::torch::manual_seed(11);
  for (int i = 0; i < 3; ++i) straight.step();
  const auto saved =
      ft::save_checkpoint(straight.net, *straight.optimizer, folder.path(), {.step = 3});
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_EQ(*saved, folder.path() / "checkpoint-3");
  for (int i = 0; i < 3; ++i) straight.step();

  Trainer resumed(with_dropout());
  ::torch::manual_seed(99);
  resumed.step();
  const auto report = ft::resume_checkpoint(resumed.net, *resumed.optimizer, folder.path());
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->step, 3U);
  EXPECT_EQ(report->checkpoint, folder.path() / "checkpoint-3");
  for (int i = 0; i < 3; ++i) resumed.step();
  expect_same(resumed.net, snapshot(straight.net));
  // What is saved is an adapter.
  EXPECT_TRUE(Adapter::open(folder.path() / "checkpoint-3"));
}

TEST(Checkpoints, TheNewestCompleteOneCountsAndOldOnesGo) {
  const TempDir folder;
  Trainer trainer(lora({"q_proj"}));
  EXPECT_EQ(ft::latest_checkpoint(folder.path() / "none"), std::nullopt);
  for (const unsigned step : {2U, 9U, 10U}) {
    ASSERT_TRUE(ft::save_checkpoint(trainer.net, *trainer.optimizer, folder.path(),
                                    {.step = step, .keep = 2}));
  }
  EXPECT_FALSE(fs::exists(folder.path() / "checkpoint-2"));
  EXPECT_EQ(ft::latest_checkpoint(folder.path()), folder.path() / "checkpoint-10");
  expect_error(ft::save_checkpoint(trainer.net, *trainer.optimizer, folder.path(), {.step = 10}),
               "PB-4", "already");
  // What a crash leaves: a folder of another name, or one that is not complete.
  fs::create_directories(folder.path() / ".checkpoint-11.partial");
  std::ofstream(folder.path() / ".checkpoint-11.partial" / "training_state.pt") << "x";
  fs::create_directories(folder.path() / "checkpoint-12");
  fs::create_directories(folder.path() / "checkpoint-x");
  EXPECT_EQ(ft::latest_checkpoint(folder.path()), folder.path() / "checkpoint-10");
  ASSERT_TRUE(ft::save_checkpoint(trainer.net, *trainer.optimizer, folder.path(), {.step = 11}));
  EXPECT_EQ(ft::latest_checkpoint(folder.path()), folder.path() / "checkpoint-11");
}

TEST(Checkpoints, AreWrittenWholeOrNotAtAll) {
  const TempDir folder;
  Trainer trainer(lora({"q_proj"}));
  Net plain;
  expect_error(ft::save_checkpoint(plain, *trainer.optimizer, folder.path()), "LT-5", "none");
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_FALSE(ft::save_checkpoint(trainer.net, *trainer.optimizer, folder.path() / "file"));
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    EXPECT_EQ(entry.path().filename(), "file");
  }
}

TEST(Checkpoints, OfAnotherModelOrOptimizerAreRefused) {
  const TempDir folder;
  Trainer trainer(lora({"q_proj"}));
  trainer.step();
  ASSERT_TRUE(ft::save_checkpoint(trainer.net, *trainer.optimizer, folder.path()));
  const auto expect_refused = [&](Trainer& other, std::string_view rule, std::string_view words) {
    const auto before = snapshot(other.net);
    expect_error(ft::resume_checkpoint(other.net, *other.optimizer, folder.path()), rule, words);
    expect_same(other.net, before);
  };
  Trainer more(lora({"q_proj", "v_proj"}));
  expect_refused(more, "LT-18", "8 parameters");
  Trainer elsewhere(lora({"v_proj"}));
  expect_refused(elsewhere, "LT-9", "q_proj");
  Trainer renamed(lora({"q_proj"}));
  ASSERT_TRUE(ft::add_adapter(renamed.net, lora({"q_proj"}), "other"));
  ASSERT_TRUE(ft::delete_adapter(renamed.net, "default"));
  expect_refused(renamed, "LT-5", "\"default\"");
  std::ofstream(folder.path() / "checkpoint-0" / "training_state.pt") << "not an archive";
  Trainer same(lora({"q_proj"}));
  expect_refused(same, "LT-12", "");
  const TempDir empty;
  expect_error(ft::resume_checkpoint(same.net, *same.optimizer, empty.path()), "LT-18",
               "no checkpoint");
}

// Snapshots.

TEST(AsyncSaver, WritesWhatTheModelWasAtTheCall) {
  const TempDir folder;
  Trainer trainer(with_dropout());
  std::vector<at::Tensor> expected;
  std::vector<ft::AsyncSaver::Pending> pending;
  {
    ft::AsyncSaver saver;
    for (int i = 0; i < 6; ++i) {
      trainer.step();
      expected.push_back(
          trainer.net.named_parameters()["layers.0.q_proj.lora_B.default.weight"].detach().clone());
      auto saved = saver.save_pretrained(trainer.net, folder.path() / std::to_string(i % 4));
      ASSERT_TRUE(saved) << saved.error().to_string();
      pending.push_back(*std::move(saved));
    }
    saver.wait();
    trainer.step();
  }
  for (auto& one : pending) EXPECT_TRUE(one.get()) << one.get().error().to_string();
  for (const int i : {2, 3, 4, 5}) {
    Seeded net;
    ASSERT_TRUE(ft::from_pretrained(net, folder.path() / std::to_string(i % 4)));
    EXPECT_TRUE(at::equal(net.named_parameters()["layers.0.q_proj.lora_B.default.weight"],
                          expected[static_cast<std::size_t>(i)]));
  }
}

TEST(AsyncSaver, FailsAtOnceOrInTheFuture) {
  const TempDir folder;
  std::ofstream(folder.path() / "file") << "x";
  Trainer trainer(lora({"q_proj"}));
  ft::AsyncSaver saver;
  expect_error(saver.save_pretrained(trainer.net, folder.path() / "a"), "LT-11", "default");
  trainer.step();
  const auto pending = saver.save_pretrained(trainer.net, folder.path() / "file");
  ASSERT_TRUE(pending);
  EXPECT_FALSE(pending->get());
}

// Containers.

struct Containers : ::torch::nn::Module {
  ft::Linear q_proj{register_module("q_proj", ft::Linear(4, 4))};
  ft::ModulesToSave<::torch::nn::GRUImpl> gru{register_module(
      "gru", ft::ModulesToSave<::torch::nn::GRUImpl>(::torch::nn::GRUOptions(4, 4)))};
  ft::ModulesToSave<::torch::nn::SequentialImpl> head{register_module(
      "head", ft::ModulesToSave<::torch::nn::SequentialImpl>(ft::Linear(4, 4), ::torch::nn::Tanh(),
                                                             ::torch::nn::Linear(4, 3)))};
  at::Tensor forward(const at::Tensor& x) { return head(std::get<0>(gru(q_proj(x)))); }
};

TEST(ModulesToSave, TakesContainersAndDefaultArguments) {
  const TempDir folder;
  ::torch::manual_seed(1);
  Containers model;
  ::torch::manual_seed(1);
  Containers other;
  const auto x = at::randn({5, 2, 4});
  EXPECT_TRUE(at::equal(model.forward(x), other.forward(x)));
  const auto config = make(
      "LORA", {{"target_modules", names({"q_proj"})}, {"modules_to_save", names({"gru", "head"})}});
  const auto added = ft::add_adapter(model, config);
  ASSERT_TRUE(added) << added.error().to_string();
  EXPECT_EQ(added->modules_to_save, (Names{"gru", "head"}));
  EXPECT_TRUE(model.named_parameters().contains("head.modules_to_save.default.2.weight"));
  EXPECT_TRUE(at::equal(model.forward(x), other.forward(x)));
  train(model);
  ASSERT_TRUE(ft::save_pretrained(model, folder.path() / "a"));
  const auto loaded = ft::from_pretrained(other, folder.path() / "a");
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_TRUE(at::equal(other.forward(x), model.forward(x)));
  const auto trained = model.forward(x);
  ASSERT_TRUE(ft::merge_and_unload(model));
  EXPECT_TRUE(at::allclose(model.forward(x), trained, 1e-4, 1e-5));
  EXPECT_EQ(model.named_parameters().keys(), Containers().named_parameters().keys());
}

// Tokens.

TEST(TrainableTokens, RefusesWhatCannotBeTrained) {
  const auto with = [](Json tokens) {
    return make("LORA", {{"target_modules", names({"q_proj"})},
                         {"trainable_token_indices", std::move(tokens)}});
  };
  const auto of = [](const char* module, std::initializer_list<int> list) {
    Json::Array indices(list.begin(), list.end());
    return Json(Json::Object{{module, Json(std::move(indices))}});
  };
  const auto expect_refused = [](Net& net, const AdapterConfig& config, const char* rule,
                                 const char* words) {
    const auto before = snapshot(net);
    expect_error(ft::add_adapter(net, config), rule, words);
    expect_same(net, before);
  };
  Net net;
  expect_refused(net, with(of("embed", {10})), "LT-7", "token 10 is not one of its 10");
  expect_refused(net, with(of("embed", {-1})), "LT-7", "token -1");
  expect_refused(net, with(of("embed", {2, 2})), "LT-7", "listed twice");
  expect_refused(net, with(of("embedding", {2})), "LT-3", "\"embedding\"");
  expect_refused(net, with(of("conv1", {2})), "LT-8", "conv1");
  expect_refused(net, with(of("layers.0.q_proj", {2})), "LT-8", "an adapter hangs on it");
  Net tied("tied");
  expect_refused(tied, with(of("embed", {2})), "LT-2", "another module's");
}

TEST(TrainableTokens, OfTwoAdaptersAreNotActiveTogetherIfTheyOverlap) {
  Net net;
  const auto config = [](std::initializer_list<int> list) {
    return make("TRAINABLE_TOKENS",
                {{"target_modules", names({"embed"})},
                 {"token_indices", Json(Json::Array(list.begin(), list.end()))}});
  };
  ASSERT_TRUE(ft::add_adapter(net, config({1, 2}), "a"));
  ASSERT_TRUE(ft::add_adapter(net, config({2, 3}), "b"));
  ASSERT_TRUE(ft::add_adapter(net, config({4}), "c"));
  expect_error(ft::set_adapter(net, {"a", "b"}), "LT-8", "embed");
  expect_error(ft::merge_adapter(net, {.adapter_names = {"a", "b"}}), "LT-8", "embed");
  EXPECT_TRUE(ft::set_adapter(net, {"a", "c"}));
}

TEST(Vera, NeedsOneSeedForAllAdapters) {
  Net net;
  const auto config = [](int seed) {
    return make("VERA", {{"target_modules", names({"q_proj"})}, {"projection_prng_key", seed}});
  };
  ASSERT_TRUE(ft::add_adapter(net, config(1), "a"));
  expect_error(ft::add_adapter(net, config(2), "b"), "LT-6", "projection_prng_key");
}

TEST(Oft, RefusesWhatPeftCannotDivide) {
  Net net;
  const auto config = [](const char* target, int r, int size) {
    return make("OFT", {{"target_modules", names({target})}, {"r", r}, {"oft_block_size", size}});
  };
  expect_error(ft::add_adapter(net, config("conv2", 2, 0)), "LT-7", "square");
  EXPECT_FALSE(ft::add_adapter(net, config("conv1", 2, 0)));
}

}  // namespace
}  // namespace ferrule
