// SPDX-License-Identifier: Apache-2.0
#include "ferrule/publish.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/call_control.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

class Publish : public testing::Test {
 protected:
  void SetUp() override { make_adapter(1, 3); }

  /// An adapter whose values all are `value`.
  void make_adapter(float value, std::uint64_t rank) {
    const std::vector<float> a(static_cast<std::size_t>(rank) * 4, value);
    const std::vector<float> b(static_cast<std::size_t>(rank) * 5, value);
    const std::uint64_t a_shape[] = {rank, 4};
    const std::uint64_t b_shape[] = {5, rank};
    const std::vector<NamedTensor> tensors = {
        {"base_model.model.q_proj.lora_A.weight",
         *TensorView::make(Dtype::kF32, a_shape, std::as_bytes(std::span(a)))},
        {"base_model.model.q_proj.lora_B.weight",
         *TensorView::make(Dtype::kF32, b_shape, std::as_bytes(std::span(b)))}};
    test::write_file(adapter_ / kConfigFile,
                     R"({"peft_type": "LORA", "r": 3, "target_modules": ["q_proj"]})");
    ASSERT_TRUE(write_safetensors(adapter_ / kSafetensorsFile, tensors));
  }

  test::TempDir dir_;
  fs::path adapter_ = dir_.path() / "adapter";
  fs::path root_ = dir_.path() / "root";
};

TEST_F(Publish, GenerationsAreNumberedAndCurrentIsTheNewest) {
  for (std::uint64_t number = 1; number <= 3; ++number) {
    const auto report = publish(adapter_, root_);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->generation, number);
    EXPECT_TRUE(fs::equivalent(root_ / "current", report->directory));
  }
  for (const auto* name : {"00000001", "00000002", "00000003", "current"}) {
    EXPECT_TRUE(Adapter::open(root_ / name)) << name;
  }
}

TEST_F(Publish, ACanceledFirstPublishingLeavesNothing) {
  CallControl control;
  control.cancel();
  {
    const CallControl::Scope scope(control);
    const auto report = publish(adapter_, root_ / "below/it");
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().system_errno, EINTR);
  }
  EXPECT_FALSE(fs::exists(root_));
  ASSERT_TRUE(publish(adapter_, root_ / "below/it"));
}

TEST_F(Publish, KeepRemovesTheOldest) {  // PB-3
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(publish(adapter_, root_));
  const auto report = publish(adapter_, root_, {.keep = 2});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->removed, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_FALSE(fs::exists(root_ / "00000002"));
  EXPECT_TRUE(fs::exists(root_ / "00000003"));
}

TEST_F(Publish, ABadAdapterIsRefusedAndTheCurrentOneStays) {  // PB-1
  ASSERT_TRUE(publish(adapter_, root_));
  make_adapter(2, 7);
  const auto report = publish(adapter_, root_);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().rule, "AD-5");
  EXPECT_EQ(fs::read_symlink(root_ / "current"), "00000001");
  EXPECT_FALSE(fs::exists(root_ / "00000002"));
}

TEST_F(Publish, TensorsInMemoryArePublishedAndSharedOnesAreWrittenOnce) {
  const std::vector<float> values = {1, 2, 3, 4};
  const std::uint64_t row[] = {4};
  const std::uint64_t square[] = {2, 2};
  const auto bytes = std::as_bytes(std::span(values));
  const std::vector<float> equal = values;
  const std::vector<NamedTensor> tensors = {
      {"lm_head.weight", *TensorView::make(Dtype::kF32, row, bytes)},
      {"embed.weight", *TensorView::make(Dtype::kF32, row, bytes)},
      {"other_shape", *TensorView::make(Dtype::kF32, square, bytes)},
      {"half", *TensorView::make(Dtype::kF32, std::span(square).first(1), bytes.first(8))},
      {"equal", *TensorView::make(Dtype::kF32, row, std::as_bytes(std::span(equal)))},
      {"format", *TensorView::make(Dtype::kF32, row, bytes)}};
  const auto report = publish_tensors(tensors, root_, {{"format", "pt"}});
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->shared, 1U);
  const auto opened = Checkpoint::open(root_ / "current");
  ASSERT_TRUE(opened) << opened.error().to_string();
  EXPECT_EQ(opened->tensors().size(), 5U);
  EXPECT_EQ(opened->file_bytes(), report->bytes);
  ASSERT_EQ(opened->aliases().size(), 1U);
  EXPECT_EQ(opened->aliases()[0].removed, "lm_head.weight");
  EXPECT_EQ(opened->aliases()[0].kept, "embed.weight");
  for (const auto& tensor : tensors) {
    if (tensor.name == "lm_head.weight") continue;
    const auto found = opened->find(tensor.name);
    ASSERT_TRUE(found) << tensor.name;
    EXPECT_TRUE(std::equal(found->bytes().begin(), found->bytes().end(),
                           tensor.tensor.bytes().begin(), tensor.tensor.bytes().end()));
  }
  EXPECT_EQ(publish_tensors(tensors, root_, {}, {.keep = 1}).value().removed.size(), 1U);
}

TEST_F(Publish, ANameTwiceIsRefusedAlsoOverTheSameMemory) {
  const std::vector<float> values = {1, 2};
  const std::uint64_t shape[] = {2};
  const auto view = *TensorView::make(Dtype::kF32, shape, std::as_bytes(std::span(values)));
  const std::vector<NamedTensor> tensors = {{"a", view}, {"a", view}};
  EXPECT_FALSE(publish_tensors(tensors, root_, {}));
  EXPECT_FALSE(fs::exists(root_ / "current"));
}

TEST_F(Publish, AReaderNoticesANewGeneration) {
  ASSERT_FALSE(PublishedReader::open(root_));
  ASSERT_TRUE(publish(adapter_, root_));
  auto reader = PublishedReader::open(root_);
  ASSERT_TRUE(reader) << reader.error().to_string();
  EXPECT_FALSE(reader->changed());
  ASSERT_TRUE(publish(adapter_, root_));
  EXPECT_TRUE(reader->changed());
  const auto current = reader->current();
  ASSERT_TRUE(current);
  EXPECT_EQ(current->number, 2U);
  EXPECT_FALSE(reader->changed());
  EXPECT_TRUE(Adapter::open(current->directory));
}

TEST_F(Publish, ACurrentThatIsNoGenerationIsRefused) {  // PB-2
  ASSERT_TRUE(publish(adapter_, root_));
  auto reader = PublishedReader::open(root_);
  ASSERT_TRUE(reader);
  fs::remove(root_ / "current");
  fs::create_symlink("/elsewhere", root_ / "current");
  const auto current = reader->current();
  ASSERT_FALSE(current);
  EXPECT_EQ(current.error().rule, "PB-2");
}

TEST_F(Publish, ReadersNeverSeeHalf) {
  ASSERT_TRUE(publish(adapter_, root_));
  std::atomic<bool> done{false};
  std::atomic<int> bad{0};
  std::thread reading([&] {
    auto reader = PublishedReader::open(root_);
    while (!done) {
      const auto current = reader->current();
      if (!current || !Adapter::open(current->directory)) ++bad;
    }
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(publish(adapter_, root_, {.durability = Durability::kFast}));
  }
  done = true;
  reading.join();
  EXPECT_EQ(bad, 0);
}

TEST_F(Publish, PublishersWaitForEachOther) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 3; ++j) EXPECT_TRUE(publish(adapter_, root_));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(fs::read_symlink(root_ / "current"), "00000012");
}

}  // namespace
}  // namespace ferrule
