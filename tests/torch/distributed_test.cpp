// SPDX-License-Identifier: Apache-2.0
// Data parallel training: the gradients of adapters through c10d's Reducer, which is what
// DistributedDataParallel in Python is made of. Two ranks are two threads here.
#include <gtest/gtest.h>

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <vector>

#include "temp_dir.hpp"
#include "test_tools.hpp"

namespace ferrule {
namespace {

using namespace torch_test;  // NOLINT(google-build-using-namespace)
namespace ft = ferrule::torch;

constexpr int kRanks = 2;

/// Where the ranks meet.
class Exchange {
 public:
  at::Tensor sum(const at::Tensor& mine) {
    std::unique_lock lock(mutex_);
    const auto round = round_;
    total_ = arrived_ == 0 ? mine.clone() : total_ + mine;
    if (++arrived_ == kRanks) {
      sum_ = total_;  // Stays until all have come again.
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return round_ != round || failed_; });
    }
    TORCH_CHECK(!failed_, "another rank failed");
    return sum_;
  }

  /// Runs a rank's part; the others do not wait for one that failed.
  template <typename Part>
  void run(Part part) {
    try {
      part();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
      const std::lock_guard lock(mutex_);
      failed_ = true;
      changed_.notify_all();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  at::Tensor total_;
  at::Tensor sum_;
  int arrived_ = 0;
  int round_ = 0;
  bool failed_ = false;
};

struct DoneWork : c10d::Work {
  explicit DoneWork(std::vector<at::Tensor> tensors) : result_(std::move(tensors)) {}
  bool wait(std::chrono::milliseconds) override { return true; }
  c10::intrusive_ptr<c10::ivalue::Future> getFuture() override {
    auto future = c10::make_intrusive<c10::ivalue::Future>(c10::ListType::ofTensors());
    future->markCompleted(c10::IValue(result_));
    return future;
  }
  std::vector<at::Tensor> result_;
};

struct InProcess : c10d::Backend {
  InProcess(int rank, Exchange& exchange) : Backend(rank, kRanks), exchange_(exchange) {}
  const std::string getBackendName() const override { return "in_process"; }
  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors,
                                           const c10d::AllreduceOptions&) override {
    const ::torch::NoGradGuard no_grad;
    for (auto& tensor : tensors) tensor.copy_(exchange_.sum(tensor));
    return c10::make_intrusive<DoneWork>(tensors);
  }
  Exchange& exchange_;
};

struct Rank {
  Rank(int number, const AdapterConfig& config, Exchange& exchange) {
    ::torch::manual_seed(3);
    net = std::make_unique<Net>();
    EXPECT_TRUE(ft::add_adapter(*net, config));
    group = c10::make_intrusive<c10d::ProcessGroup>(number, kRanks);
    group->setBackend(at::kCPU, c10d::ProcessGroup::BackendType::CUSTOM,
                      c10::make_intrusive<InProcess>(number, exchange));
    group->setDefaultBackend(c10d::ProcessGroup::BackendType::CUSTOM);
  }

  void step(const at::Tensor& batch) {
    auto parameters = ft::trainable_parameters(*net);
    const std::vector<bool> sparse(parameters.size(), false);
    const auto [buckets, limits] =
        c10d::compute_bucket_assignment_by_size(parameters, {std::size_t{1} << 12}, sparse);
    c10d::Reducer reducer(parameters, buckets, group, sparse, std::int64_t{1} << 12, false, false,
                          {}, std::int64_t{1} << 12, false, false, {});
    reducer.prepare_for_forward();
    const auto logits = net->forward(batch);
    reducer.prepare_for_backward({logits});
    at::cross_entropy_loss(logits.view({-1, Net::kWords}), batch.flatten()).backward();
    const ::torch::NoGradGuard no_grad;
    for (auto& parameter : parameters) parameter.sub_(0.5 * parameter.grad());
  }

  std::unique_ptr<Net> net;
  c10::intrusive_ptr<c10d::ProcessGroup> group;
};

TEST(DataParallelTraining, TheReducerAveragesTheGradientsOfAdapters) {
  const auto config = make("LORA", {{"target_modules", names({"q_proj", "v_proj", "embed"})},
                                    {"init_lora_weights", false},
                                    {"modules_to_save", names({"norm"})}});
  const auto batch = at::arange(24).view({4, 6}).remainder(Net::kWords);
  Exchange exchange;
  std::array ranks = {Rank(0, config, exchange), Rank(1, config, exchange)};
  std::thread other([&] { exchange.run([&] { ranks[1].step(batch.slice(0, 2, 4)); }); });
  exchange.run([&] { ranks[0].step(batch.slice(0, 0, 2)); });
  other.join();
  expect_same(*ranks[1].net, snapshot(*ranks[0].net));

  ::torch::manual_seed(3);
  Net alone;
  ASSERT_TRUE(ft::add_adapter(alone, config));
  const auto logits = alone.forward(batch);
  at::cross_entropy_loss(logits.view({-1, Net::kWords}), batch.flatten()).backward();
  const ::torch::NoGradGuard no_grad;
  for (auto& parameter : ft::trainable_parameters(alone)) parameter.sub_(0.5 * parameter.grad());
  const auto together = snapshot(*ranks[0].net);
  const auto expected = snapshot(alone);
  ASSERT_EQ(together.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(at::allclose(std::get<1>(together[i]), std::get<1>(expected[i]), 1e-5, 1e-6))
        << std::get<0>(expected[i]);
  }

  // Rank 0 saves.
  const test::TempDir folder;
  ASSERT_TRUE(ft::save_pretrained(*ranks[0].net, folder.path() / "adapter"));
  ::torch::manual_seed(3);
  Net loaded;
  ASSERT_TRUE(ft::from_pretrained(loaded, folder.path() / "adapter"));
  EXPECT_TRUE(at::equal(loaded.forward(batch), ranks[1].net->forward(batch)));
}

}  // namespace
}  // namespace ferrule
