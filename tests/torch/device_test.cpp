// SPDX-License-Identifier: Apache-2.0
// What depends on where a model is: on the CPU always, on a GPU if LibTorch finds one.
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <atomic>
#include <filesystem>

#include "temp_dir.hpp"
#include "test_tools.hpp"

namespace ferrule {
namespace {

using test::TempDir;
using namespace torch_test;  // NOLINT(google-build-using-namespace)
namespace ft = ferrule::torch;

bool has_gpu() {
  return at::globalContext().hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
}

class OnDevice : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !has_gpu()) GTEST_SKIP() << "NOT RUN: LibTorch finds no GPU";
    // Two runs of one kernel give the same sums.
    at::globalContext().setDeterministicCuDNN(true);
    at::globalContext().setAllowTF32CuDNN(false);
  }

  at::Device device() const { return {GetParam()}; }
  std::filesystem::path path(const char* name) const { return folder_.path() / name; }

  /// One seed, one model.
  std::unique_ptr<Net> make_net(at::ScalarType type = at::kFloat) const {
    ::torch::manual_seed(3);
    auto net = std::make_unique<Net>();
    net->to(type);
    net->to(device());
    return net;
  }

  at::Tensor answer(Net& net) const {
    const ::torch::NoGradGuard no_grad;
    return net.forward(words().to(net.head->weight.device())).to(at::kCPU);
  }

  void train_on_device(Net& net) const {
    const ::torch::NoGradGuard no_grad;
    for (auto& parameter : net.parameters()) {
      if (!parameter.requires_grad()) continue;
      EXPECT_EQ(parameter.device().type(), GetParam());
      parameter.add_((at::randn(parameter.sizes()) * 0.1).to(parameter.options()));
    }
  }

  static void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance = 1e-4) {
    EXPECT_TRUE(
        at::allclose(a.to(at::kCPU, at::kFloat), b.to(at::kCPU, at::kFloat), tolerance, tolerance))
        << (a.to(at::kFloat) - b.to(at::kFloat)).abs().max().item<double>();
  }

 private:
  TempDir folder_;
};

std::vector<AdapterConfig> one_of_each_method() {
  const auto both = names({"q_proj", "v_proj"});
  std::vector<AdapterConfig> all;
  all.push_back(make("LORA", {{"target_modules", names({"q_proj", "embed", "conv1", "conv2"})},
                              {"modules_to_save", names({"norm"})},
                              {"bias", "all"}}));
  all.push_back(make("LORA", {{"target_modules", both}, {"use_dora", true}}));
  all.push_back(make("LORA", {{"target_modules", names({"conv2"})},
                              {"trainable_token_indices",
                               Json(Json::Object{{"embed", Json(Json::Array{0, 3})}})}}));
  all.push_back(make("LOHA", {{"target_modules", both}}));
  all.push_back(make("LOKR", {{"target_modules", both}}));
  all.push_back(make("VERA", {{"target_modules", both}, {"r", 4}}));
  all.push_back(make("OFT", {{"target_modules", both}, {"r", 0}, {"oft_block_size", 4}}));
  all.push_back(
      make("IA3", {{"target_modules", both}, {"feedforward_modules", names({"v_proj"})}}));
  return all;
}

TEST_P(OnDevice, EveryMethodTrainsSavesLoadsAndMerges) {
  int number = 0;
  for (const auto& config : one_of_each_method()) {
    SCOPED_TRACE(config.to_json());
    const auto folder = path(std::to_string(++number).c_str());
    auto net = make_net();
    ASSERT_TRUE(ft::add_adapter(*net, config));
    train_on_device(*net);
    const auto expected = answer(*net);
    const auto saved = ft::save_pretrained(*net, folder);
    ASSERT_TRUE(saved) << saved.error().to_string();

    auto again = make_net();
    const auto loaded = ft::from_pretrained(*again, folder);
    ASSERT_TRUE(loaded) << loaded.error().to_string();
    for (const auto& parameter : again->parameters()) {
      EXPECT_EQ(parameter.device().type(), GetParam());
    }
    EXPECT_TRUE(at::equal(answer(*again), expected));

    // The file is the same wherever the model is.
    ::torch::manual_seed(3);
    Net on_host;
    ASSERT_TRUE(ft::from_pretrained(on_host, folder));
    expect_close(answer(on_host), expected);

    ASSERT_TRUE(ft::merge_adapter(*net));
    expect_close(answer(*net), expected);
    ASSERT_TRUE(ft::unmerge_adapter(*net));
    expect_close(answer(*net), expected);
    ASSERT_TRUE(ft::merge_and_unload(*net));
    expect_close(answer(*net), expected);
  }
}

TEST_P(OnDevice, HalfPrecisionsTrainInFloat32AndSaveAsAsked) {
  for (const auto& [type, stored] :
       {std::pair(at::kHalf, StoredDtype::kF16), std::pair(at::kBFloat16, StoredDtype::kBF16)}) {
    auto net = make_net(type);
    ASSERT_TRUE(ft::add_adapter(*net, lora({"q_proj", "v_proj"})));
    const auto& a = net->named_parameters()["layers.0.q_proj.lora_A.default.weight"];
    EXPECT_EQ(a.scalar_type(), at::kFloat);
    train_on_device(*net);
    const auto expected = answer(*net);
    ASSERT_TRUE(ft::save_pretrained(*net, path("half"), {.dtype = stored}));
    const auto file = Adapter::open(path("half"));
    ASSERT_TRUE(file) << file.error().to_string();
    for (const auto& tensor : file->tensors()) {
      EXPECT_EQ(tensor.tensor.dtype(), *ft::to_dtype(type));
    }
    auto again = make_net(type);
    ASSERT_TRUE(ft::from_pretrained(*again, path("half")));
    expect_close(answer(*again), expected, 3e-2);
  }
}

TEST_P(OnDevice, AMergedModelMayMove) {
  for (const bool dora : {false, true}) {
    auto net = make_net();
    ASSERT_TRUE(ft::add_adapter(
        *net, make("LORA", {{"target_modules", names({"q_proj", "v_proj"})}, {"use_dora", dora}})));
    train_on_device(*net);
    const auto expected = answer(*net);
    ASSERT_TRUE(ft::merge_adapter(*net));
    net->to(at::kCPU);
    expect_close(answer(*net), expected);
    const auto done = ft::unmerge_adapter(*net);
    ASSERT_TRUE(done) << done.error().to_string();
    expect_close(answer(*net), expected);
    net->to(device());
    expect_close(answer(*net), expected);
    EXPECT_TRUE(ft::save_pretrained(*net, path(dora ? "dora" : "lora")));
  }
}

/// Training with everything that a checkpoint has to bring back.
struct DeviceTrainer {
  DeviceTrainer(std::unique_ptr<Net> model, at::Device where)
      : net(std::move(model)), device(where) {
    EXPECT_TRUE(ft::add_adapter(*net, make("LORA", {{"target_modules", names({"q_proj", "v_proj"})},
                                                    {"lora_dropout", 0.2},
                                                    {"modules_to_save", names({"norm"})}})));
    optimizer = std::make_unique<::torch::optim::AdamW>(ft::trainable_parameters(*net),
                                                        ::torch::optim::AdamWOptions(1e-2));
  }
  void step() {
    const auto batch = at::randint(Net::kWords, {2, 6}).to(device);
    const auto logits = net->forward(batch);
    auto loss = at::cross_entropy_loss(logits.view({-1, Net::kWords}), batch.flatten());
    optimizer->zero_grad();
    loss.backward();
    optimizer->step();
  }
  std::unique_ptr<Net> net;
  at::Device device;
  std::unique_ptr<::torch::optim::AdamW> optimizer;
};

TEST_P(OnDevice, TrainingGoesOnBitForBit) {
  DeviceTrainer straight(make_net(), device());
  ::torch::manual_seed(11);
  for (int i = 0; i < 3; ++i) straight.step();
  const auto saved =
      ft::save_checkpoint(*straight.net, *straight.optimizer, path("run"), {.step = 3});
  ASSERT_TRUE(saved) << saved.error().to_string();
  for (int i = 0; i < 3; ++i) straight.step();

  DeviceTrainer resumed(make_net(), device());
  ::torch::manual_seed(99);
  resumed.step();
  const auto report = ft::resume_checkpoint(*resumed.net, *resumed.optimizer, path("run"));
  ASSERT_TRUE(report) << report.error().to_string();
  for (int i = 0; i < 3; ++i) resumed.step();
  expect_same(*resumed.net, snapshot(*straight.net));
}

TEST_P(OnDevice, ACheckpointResumesOnTheCpu) {
  DeviceTrainer trainer(make_net(), device());
  for (int i = 0; i < 2; ++i) trainer.step();
  ASSERT_TRUE(ft::save_checkpoint(*trainer.net, *trainer.optimizer, path("run"), {.step = 2}));
  ::torch::manual_seed(3);
  DeviceTrainer elsewhere(std::make_unique<Net>(), at::kCPU);
  const auto report = ft::resume_checkpoint(*elsewhere.net, *elsewhere.optimizer, path("run"));
  ASSERT_TRUE(report) << report.error().to_string();
  elsewhere.net->eval();
  trainer.net->eval();
  expect_close(answer(*elsewhere.net), answer(*trainer.net));
  elsewhere.step();
}

TEST_P(OnDevice, AsynchronousSavesHaveTheValuesOfTheCall) {
  DeviceTrainer trainer(make_net(), device());
  std::vector<at::Tensor> expected;
  std::vector<ft::AsyncSaver::Pending> pending;
  ft::AsyncSaver saver;
  for (int i = 0; i < 4; ++i) {
    trainer.step();
    expected.push_back(
        trainer.net->named_parameters()["layers.0.q_proj.lora_B.default.weight"].detach().clone());
    auto saved = saver.save_pretrained(*trainer.net, path(std::to_string(i).c_str()));
    ASSERT_TRUE(saved) << saved.error().to_string();
    pending.push_back(*std::move(saved));
  }
  for (std::size_t i = 0; i < pending.size(); ++i) {
    ASSERT_TRUE(pending[i].get()) << pending[i].get().error().to_string();
    auto net = make_net();
    ASSERT_TRUE(ft::from_pretrained(*net, path(std::to_string(i).c_str())));
    EXPECT_TRUE(
        at::equal(net->named_parameters()["layers.0.q_proj.lora_B.default.weight"], expected[i]));
  }
}

std::atomic<int> copies_seen{0};

TEST_P(OnDevice, OnlyWhatIsSavedIsCopiedToTheHost) {
  auto net = make_net();
  ASSERT_TRUE(ft::add_adapter(*net, lora({"q_proj"})));
  train_on_device(*net);
  copies_seen = 0;
  const auto handle =
      at::addGlobalCallback(at::RecordFunctionCallback([](const at::RecordFunction& function)
                                                           -> std::unique_ptr<at::ObserverContext> {
                              if (std::string_view(function.name()) == "aten::_to_copy")
                                ++copies_seen;
                              return nullptr;
                            }).scopes({at::RecordScope::FUNCTION}));
  const auto saved = ft::save_pretrained(*net, path("adapter"));
  at::removeCallback(handle);
  ASSERT_TRUE(saved) << saved.error().to_string();
  // A and B of two layers, and biases, because `bias` may ask for them; a little else. The base has
  // nine weights more.
  int wanted = 4;
  for (const auto& entry : net->named_parameters())
    wanted += entry.key().ends_with(".bias") ? 1 : 0;
  if (GetParam() == at::kCPU) wanted = 0;
  EXPECT_GE(copies_seen, wanted);
  EXPECT_LE(copies_seen, wanted + 2);
}

INSTANTIATE_TEST_SUITE_P(Devices, OnDevice, ::testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& row) { return row.param == at::kCPU ? "Cpu" : "Cuda"; });

}  // namespace
}  // namespace ferrule
