// SPDX-License-Identifier: Apache-2.0
// save_shard() and assemble(), one process in place of several ranks. That torch reads the same
// files is tested in tests/rescue/save_shard_torch.py.
#include "ferrule/save_shard.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "ferrule/assemble.hpp"
#include "ferrule/safetensors_file.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr const char* kA = "base_model.model.q_proj.lora_A.default.weight";
constexpr const char* kB = "base_model.model.q_proj.lora_B.default.weight";

AdapterConfig lora() {
  auto config = AdapterConfig::parse(
      R"({"peft_type": "LORA", "r": 3, "lora_alpha": 3, "target_modules": ["q_proj"]})");
  EXPECT_TRUE(config);
  return *std::move(config);
}

/// lora_A [3, 4] and lora_B [5, 3], with values that say where they are.
struct Whole {
  std::vector<float> a = std::vector<float>(12);
  std::vector<float> b = std::vector<float>(15);
  Whole() {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = 100 + static_cast<float>(i);
  }
};

std::span<const std::byte> part(const std::vector<float>& values, std::size_t first,
                                std::size_t count) {
  return std::as_bytes(std::span(values)).subspan(first * 4, count * 4);
}

ShardTensor rows(const char* name, const std::vector<float>& values, std::uint64_t width,
                 std::uint64_t first, std::uint64_t count) {
  return {.name = name,
          .shape = {values.size() / width, width},
          .offset = {first, 0},
          .sizes = {count, count == 0 ? 0 : width},
          .bytes = part(values, first * width, count * width)};
}

ShardTensor run(const char* name, const std::vector<float>& values, std::uint64_t width,
                std::uint64_t first, std::uint64_t count) {
  return {.name = name,
          .shape = {values.size() / width, width},
          .kind = ShardKind::kFlat,
          .offset = {first},
          .sizes = {count},
          .bytes = part(values, first, count)};
}

class SaveShard : public testing::Test {
 protected:
  Result<SaveShardReport> save(std::vector<ShardTensor> tensors, std::uint64_t rank,
                               std::uint64_t world = 2, const std::string& id = "job-7",
                               std::optional<std::uint64_t> step = 10) {
    return save_shard(tensors, lora(), dir_.path() / "shards",
                      {.rank = rank, .world_size = world, .run_id = id, .step = step});
  }

  void save_rows(std::uint64_t rank, std::optional<std::uint64_t> step = 10) {
    const auto done =
        rank == 0
            ? save({rows(kA, whole_.a, 4, 0, 2), rows(kB, whole_.b, 3, 0, 3)}, 0, 2, "job-7", step)
            : save({rows(kA, whole_.a, 4, 2, 1), rows(kB, whole_.b, 3, 3, 2)}, 1, 2, "job-7", step);
    ASSERT_TRUE(done) << done.error().to_string();
  }

  Result<RescueReport> put_together() {
    return assemble(dir_.path() / "shards", dir_.path() / "out", {});
  }

  void expect_whole() {
    const auto report = put_together();
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->tensors, 2U);
    const auto file = SafetensorsFile::open(dir_.path() / "out/adapter_model.safetensors");
    ASSERT_TRUE(file);
    const auto a = file->find("base_model.model.q_proj.lora_A.weight");
    const auto b = file->find("base_model.model.q_proj.lora_B.weight");
    ASSERT_TRUE(a && b);
    EXPECT_TRUE(std::ranges::equal(a->bytes(), part(whole_.a, 0, 12)));
    EXPECT_TRUE(std::ranges::equal(b->bytes(), part(whole_.b, 0, 15)));
  }

  void expect_refused(const std::string& rule, const std::string& culprit) {
    const auto report = put_together();
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().rule, rule) << report.error().to_string();
    EXPECT_NE(report.error().to_string().find(culprit), std::string::npos)
        << report.error().to_string();
    EXPECT_FALSE(fs::exists(dir_.path() / "out"));
  }

  fs::path shard(int rank, const char* step = "step-00000010") {
    return dir_.path() / "shards" / step /
           ("shard-0000" + std::to_string(rank + 1) + "-model-00001-of-00001.safetensors");
  }

  test::TempDir dir_;
  Whole whole_;
};

TEST_F(SaveShard, BoxesComeBackWhole) {
  save_rows(1);
  save_rows(0);
  expect_whole();
}

TEST_F(SaveShard, RunsOfElementsComeBackWhole) {
  ASSERT_TRUE(save({run(kA, whole_.a, 4, 0, 7), run(kB, whole_.b, 3, 0, 0)}, 0));
  ASSERT_TRUE(save({run(kA, whole_.a, 4, 7, 5), run(kB, whole_.b, 3, 0, 15)}, 1));
  expect_whole();
}

TEST_F(SaveShard, ColumnsComeBackWhole) {
  std::vector<float> left;
  std::vector<float> right;
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t column = 0; column < 4; ++column) {
      (column < 1 ? left : right).push_back(whole_.a[row * 4 + column]);
    }
  }
  ShardTensor first{.name = kA, .shape = {3, 4}, .offset = {0, 0}, .sizes = {3, 1}};
  first.bytes = std::as_bytes(std::span(left));
  ShardTensor second{.name = kA, .shape = {3, 4}, .offset = {0, 1}, .sizes = {3, 3}};
  second.bytes = std::as_bytes(std::span(right));
  ASSERT_TRUE(save({first, rows(kB, whole_.b, 3, 0, 5)}, 0));
  ASSERT_TRUE(save({second, rows(kB, whole_.b, 3, 0, 5)}, 1));
  expect_whole();
}

TEST_F(SaveShard, ARankWithoutRowsWritesItsShardToo) {
  ASSERT_TRUE(save({rows(kA, whole_.a, 4, 0, 3), rows(kB, whole_.b, 3, 0, 5)}, 0));
  ASSERT_TRUE(save({rows(kA, whole_.a, 4, 3, 0), rows(kB, whole_.b, 3, 5, 0)}, 1));
  expect_whole();
}

TEST_F(SaveShard, TheSameContentHasTheSameBytes) {
  save_rows(0);
  const auto read = [&] {
    std::ifstream in(shard(0), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const auto before = read();
  save_rows(0);
  EXPECT_EQ(read(), before);
}

TEST_F(SaveShard, AMissingRankIsNamed) {
  save_rows(0);
  expect_refused("RS-5", "shard-00002");
}

TEST_F(SaveShard, UnequalCopiesAreRefusedWithTheFirstDifference) {
  ASSERT_TRUE(save({rows(kA, whole_.a, 4, 0, 3), rows(kB, whole_.b, 3, 0, 5)}, 0));
  auto other = whole_.b;
  other[7] += 1;
  ASSERT_TRUE(save({rows(kA, whole_.a, 4, 0, 3), rows(kB, other, 3, 0, 5)}, 1));
  expect_refused("RS-15", "element 7");
}

TEST_F(SaveShard, ChangedDataAreRefused) {
  save_rows(0);
  save_rows(1);
  std::fstream file(shard(1), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-5, std::ios::end);
  file.put('x');
  file.close();
  expect_refused("RS-14", "shard-00002");
}

TEST_F(SaveShard, ShardsOfTwoRunsOrStepsAreRefused) {
  save_rows(0);
  ASSERT_TRUE(save({rows(kA, whole_.a, 4, 2, 1), rows(kB, whole_.b, 3, 3, 2)}, 1, 2, "job-8"));
  expect_refused("RS-6", "job-8");
  save_rows(1, 11);
  fs::copy_file(shard(1, "step-00000011"), shard(1), fs::copy_options::overwrite_existing);
  fs::remove_all(dir_.path() / "shards/step-00000011");
  expect_refused("RS-6", "step 11");
}

TEST_F(SaveShard, TheNewestCompleteStepIsTaken) {
  save_rows(0);
  save_rows(1);
  save_rows(0, 20);
  const auto report = put_together();
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->step, 10);
  EXPECT_TRUE(std::any_of(report->findings.begin(), report->findings.end(),
                          [](const Finding& finding) { return finding.rule == "RS-18"; }));
}

TEST_F(SaveShard, GapsAndOverlapsAreRefused) {
  ASSERT_TRUE(save({rows(kA, whole_.a, 4, 0, 2), rows(kB, whole_.b, 3, 0, 3)}, 0));
  ASSERT_TRUE(save({rows(kA, whole_.a, 4, 1, 2), rows(kB, whole_.b, 3, 3, 2)}, 1));
  expect_refused("RS-4", "lora_A");
  ASSERT_TRUE(save({rows(kA, whole_.a, 4, 2, 1), rows(kB, whole_.b, 3, 4, 1)}, 1));
  expect_refused("RS-4", "lora_B");
}

TEST_F(SaveShard, RefusesWhatCannotBeRight) {
  const auto good = rows(kA, whole_.a, 4, 0, 3);
  const auto b = rows(kB, whole_.b, 3, 0, 5);
  auto outside = good;
  outside.offset = {1, 0};
  auto small = good;
  small.bytes = small.bytes.first(8);
  const struct {
    const char* name;
    Result<SaveShardReport> done;
    const char* rule;
  } rows_of[] = {
      {"outside", save({outside, b}, 0), "RS-4"},   {"too few bytes", save({small, b}, 0), "RS-4"},
      {"no such rank", save({good, b}, 2), "RS-5"}, {"no run", save({good, b}, 0, 2, ""), "RS-6"},
      {"A alone", save({good}, 0), "AD-4"},         {"no adapter", save({}, 0), "RS-10"},
  };
  for (const auto& row : rows_of) {
    ASSERT_FALSE(row.done) << row.name;
    EXPECT_EQ(row.done.error().rule, row.rule) << row.name << row.done.error().to_string();
  }
  EXPECT_FALSE(fs::exists(dir_.path() / "shards"));
}

TEST_F(SaveShard, KeysAreFoundByNamesAndShapesAlone) {
  auto a = rows(kA, whole_.a, 4, 0, 0);
  auto b = rows(kB, whole_.b, 3, 0, 0);
  ShardTensor base{.name = "base_model.model.q_proj.base_layer.weight", .shape = {5, 4}};
  const std::vector<ShardTensor> tensors = {base, a, b};
  const auto keys = adapter_keys(tensors, lora());
  ASSERT_TRUE(keys) << keys.error().to_string();
  ASSERT_EQ(keys->size(), 2U);
  EXPECT_EQ((*keys)[0].key, "base_model.model.q_proj.lora_A.weight");
  EXPECT_EQ((*keys)[0].index, 1U);
}

}  // namespace
}  // namespace ferrule
