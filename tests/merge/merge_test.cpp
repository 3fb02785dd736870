// SPDX-License-Identifier: Apache-2.0
// A merge is a transaction: whichever call fails, and whenever the process dies, the output is
// whole or not there, and the base is what it was.
#include "ferrule/merge.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>
#include <thread>
#include <vector>

#include "ferrule/safetensors_writer.hpp"
#include "io/faults.hpp"
#include "temp_dir.hpp"

namespace ferrule::test {
namespace {

namespace fs = std::filesystem;
using Contents = std::map<std::string, std::string>;

/// A tensor of counted values.
class Numbers {
 public:
  Numbers(std::string name, std::vector<std::uint64_t> shape, float first)
      : name_(std::move(name)), shape_(std::move(shape)) {
    values_.resize(static_cast<std::size_t>(element_count(shape_).value()));
    std::iota(values_.begin(), values_.end(), first);
  }
  NamedTensor tensor() const {
    return {name_,
            TensorView::make(Dtype::kF32, shape_, std::as_bytes(std::span(values_))).value()};
  }

 private:
  std::string name_;
  std::vector<std::uint64_t> shape_;
  std::vector<float> values_;
};

void write_tensors(const fs::path& path, const std::vector<Numbers>& numbers) {
  std::vector<NamedTensor> tensors;
  for (const auto& one : numbers) tensors.push_back(one.tensor());
  write_safetensors(path, tensors, {{"format", "pt"}}).value();
}

/// Three shards, of which an adapter on q and v changes two.
void write_base(const fs::path& folder) {
  fs::create_directories(folder);
  write_tensors(folder / "model-1.safetensors", {{"q.weight", {4, 6}, 1}});
  write_tensors(folder / "model-2.safetensors", {{"v.weight", {3, 6}, 30}});
  write_tensors(folder / "model-3.safetensors", {{"other.weight", {5}, 70}});
  std::ofstream(folder / "model.safetensors.index.json")
      << R"({"metadata": {"total_size": 188}, "weight_map": {"q.weight": "model-1.safetensors",)"
      << R"( "v.weight": "model-2.safetensors", "other.weight": "model-3.safetensors"}})";
  std::ofstream(folder / "config.json") << R"({"model_type": "toy"})";
}

void write_adapter(const fs::path& folder, float first) {
  fs::create_directories(folder);
  const std::string at = "base_model.model.";
  write_tensors(folder / "adapter_model.safetensors", {{at + "q.lora_A.weight", {2, 6}, first},
                                                       {at + "q.lora_B.weight", {4, 2}, first},
                                                       {at + "v.lora_A.weight", {2, 6}, first},
                                                       {at + "v.lora_B.weight", {3, 2}, first}});
  std::ofstream(folder / "adapter_config.json")
      << R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q", "v"]})";
}

/// All files; empty if there is no such folder.
Contents contents(const fs::path& folder) {
  Contents out;
  if (!fs::exists(folder)) return out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    out[entry.path().filename()] = {std::istreambuf_iterator<char>(file), {}};
  }
  return out;
}

bool has_hidden(const fs::path& folder) {
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator(), [](const auto& one) {
    return one.path().filename().string().starts_with('.');
  });
}

class Merges : public ::testing::Test {
 protected:
  void SetUp() override {
    write_base(base());
    write_adapter(adapter(), 1);
    before_ = contents(base());
    ASSERT_TRUE(run("whole"));
    want_ = contents(dir_ / "whole");
    fs::remove_all(dir_ / "whole");
    ASSERT_NE(want_, before_);
  }

  fs::path base() const { return dir_ / "base"; }
  fs::path adapter() const { return dir_ / "adapter"; }

  Result<MergeReport> run(const fs::path& output, MergeOptions options = {}) const {
    const MergeSource source{adapter(), 1};
    const auto from = options.place == MergePlace::kInPlace ? dir_.path() / output : base();
    return merge({&source, 1}, from, dir_.path() / output, options);
  }

  /// How many calls a merge makes that nothing disturbs.
  int count_calls(const fs::path& output, const MergeOptions& options = {}) const {
    int count = 0;
    const Faults faults([&](const Call&) { return ++count, 0; });
    EXPECT_TRUE(run(output, options));
    return count;
  }

  /// Runs a merge in another process, which dies before its call `last`.
  void die_at(int last, const fs::path& output, const MergeOptions& options) const {
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      int count = 0;
      const Faults faults([&](const Call&) {
        if (count++ == last) ::_exit(9);
        return 0;
      });
      ::_exit(run(output, options) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(WEXITSTATUS(status), 9);
  }

  TempDir dir_;
  Contents before_;
  Contents want_;
};

TEST_F(Merges, EveryCallMayFail) {
  const int calls = count_calls("counted");
  fs::remove_all(dir_ / "counted");
  ASSERT_GT(calls, 20);
  for (int failing = 0; failing < calls; ++failing) {
    std::string name;
    bool failed = false;
    {
      int count = 0;
      const Faults faults([&](const Call& call) {
        if (count++ != failing) return 0;
        name = call.name + " " + call.path;
        return EIO;
      });
      failed = !run("out");
    }
    const auto after = contents(dir_ / "out");
    EXPECT_TRUE(after == want_ || (failed && after.empty())) << failing << ": " << name;
    EXPECT_EQ(contents(base()), before_) << failing << ": " << name;
    fs::remove_all(dir_ / "out");
    const auto again = run("out", {.durability = Durability::kFast});
    ASSERT_TRUE(again) << failing << ": " << name << ": " << again.error().to_string();
    EXPECT_EQ(contents(dir_ / "out"), want_) << failing << ": " << name;
    EXPECT_FALSE(has_hidden(dir_.path())) << failing << ": " << name;
    fs::remove_all(dir_ / "out");
  }
}

TEST_F(Merges, ItCanBeKilledAtEveryCallAndResumed) {
  const int calls = count_calls("counted");
  fs::remove_all(dir_ / "counted");
  for (int last = 0; last < calls; ++last) {
    ASSERT_NO_FATAL_FAILURE(die_at(last, "out", {}));
    const auto after = contents(dir_ / "out");
    EXPECT_TRUE(after.empty() || after == want_) << last;
    EXPECT_EQ(contents(base()), before_) << last;
    if (after.empty()) {
      fs::remove(dir_ / "out");
      const auto resumed = run("out", {.start = MergeStart::kResume});
      ASSERT_TRUE(resumed) << last << ": " << resumed.error().to_string();
    }
    EXPECT_EQ(contents(dir_ / "out"), want_) << last;
    fs::remove_all(dir_ / "out");
    ASSERT_TRUE(run("next", {.durability = Durability::kFast})) << last;
    fs::remove_all(dir_ / "next");
  }
}

TEST_F(Merges, InPlaceTheBaseIsOldOrNew) {
  const MergeOptions options{.place = MergePlace::kInPlace, .start = MergeStart::kResume};
  write_base(dir_ / "counted");
  const int calls = count_calls("counted", options);
  for (int last = 0; last < calls; ++last) {
    write_base(dir_ / "here");
    ASSERT_NO_FATAL_FAILURE(die_at(last, "here", options));
    const auto after = contents(dir_ / "here");
    EXPECT_TRUE(after == before_ || after == want_) << last;
    if (after == before_) {
      const auto resumed = run("here", options);
      ASSERT_TRUE(resumed) << last << ": " << resumed.error().to_string();
    }
    EXPECT_EQ(contents(dir_ / "here"), want_) << last;
    fs::remove_all(dir_ / "here");
  }
}

TEST_F(Merges, TwoAtOnceDoNotMeet) {
  write_adapter(dir_ / "second", 5);
  const auto run_with = [&](const fs::path& folder) {
    const MergeSource source{folder, 1};
    return static_cast<bool>(merge({&source, 1}, base(), dir_ / "out"));
  };
  for (int round = 0; round < 20; ++round) {
    bool first = false, second = false;
    std::thread other([&] { second = run_with(dir_ / "second"); });
    first = run_with(adapter());
    other.join();
    EXPECT_NE(first, second) << round;  // Whoever comes second finds an output that exists.
    EXPECT_EQ(contents(dir_ / "out") == want_, first) << round;
    EXPECT_FALSE(has_hidden(dir_.path())) << round;
    fs::remove_all(dir_ / "out");
  }
}

TEST_F(Merges, ABaseThatChangesMeanwhileIsNoticed) {
  MergeOptions options;
  options.progress = [&](const MergeProgress& progress) {
    if (progress.bytes_done != 0) return;
    write_tensors(base() / "model-2.safetensors", {{"v.weight", {3, 6}, 31}});
  };
  const auto done = run("out", options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().rule, "MG-7");
  EXPECT_FALSE(fs::exists(dir_ / "out"));
  EXPECT_FALSE(has_hidden(dir_.path()));
}

}  // namespace
}  // namespace ferrule::test
