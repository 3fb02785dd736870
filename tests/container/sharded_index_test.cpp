// SPDX-License-Identifier: Apache-2.0
#include "container/sharded_index.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/tensor_source.hpp"

namespace ferrule::container {
namespace {

TEST(ShardedIndex, GroupsTensorsByFile) {
  const auto index = parse_sharded_index(
      R"({"metadata": {"total_size": 8}, "weight_map":
          {"z": "b.safetensors", "c": "a.safetensors", "a": "b.safetensors"}})");
  ASSERT_TRUE(index) << index.error().to_string();
  ASSERT_EQ(index->shards.size(), 2U);
  EXPECT_EQ(index->shards[0].file, "a.safetensors");
  EXPECT_EQ(index->shards[0].tensors, (std::vector<std::string>{"c"}));
  EXPECT_EQ(index->shards[1].file, "b.safetensors");
  EXPECT_EQ(index->shards[1].tensors, (std::vector<std::string>{"a", "z"}));
}

TEST(ShardedIndex, MayBeEmpty) {
  EXPECT_TRUE(parse_sharded_index(R"({"weight_map": {}})").value().shards.empty());
}

struct Row {
  const char* name;
  std::string json;
  const char* rule;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class RefusedIndexes : public testing::TestWithParam<Row> {};

TEST_P(RefusedIndexes, NameTheRule) {
  const auto index = parse_sharded_index(GetParam().json);
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().rule, GetParam().rule) << index.error().message;
  EXPECT_EQ(index.error().code, ErrorCode::kCorrupt);
}

Row file(const char* name, const std::string& json_text) {
  return {name, R"({"weight_map": {"a": ")" + json_text + R"("}})", "ST-22"};
}

INSTANTIATE_TEST_SUITE_P(ShardedIndex, RefusedIndexes,
                         testing::ValuesIn(std::vector<Row>{
                             {"NotJson", "{", "ST-20"},
                             {"AList", "[]", "ST-20"},
                             {"NoMap", R"({"metadata": {}})", "ST-20"},
                             {"MapIsAList", R"({"weight_map": []})", "ST-20"},
                             {"TensorTwice", R"({"weight_map": {"a": "x", "a": "y"}})", "ST-20"},
                             {"FileIsANumber", R"({"weight_map": {"a": 1}})", "ST-21"},
                             {"FileIsNull", R"({"weight_map": {"a": null}})", "ST-21"},
                             file("Empty", ""),
                             file("Parent", ".."),
                             file("Self", "."),
                             file("Absolute", "/etc/passwd"),
                             file("Below", "a/b.safetensors"),
                             file("Upward", "../b.safetensors"),
                             file("Backslash", R"(..\\b.safetensors)"),
                             file("Drive", "C:b.safetensors"),
                             file("Stream", "b:c"),
                             file("Nul", R"(b\u0001c)"),
                             file("Newline", R"(b\nc)"),
                             file("TooLong", std::string(256, 'b')),
                         }),
                         [](const testing::TestParamInfo<Row>& row) {
                           return std::string(row.param.name);
                         });

TEST(ShardedIndex, AConfigInItsPlaceIsCalledOne) {
  const auto index = parse_sharded_index(R"({"peft_type": "LORA"})");
  ASSERT_FALSE(index);
  EXPECT_NE(index.error().message.find("config"), std::string::npos);
}

StateDict holding(const std::vector<std::string>& names) {
  static constexpr std::array<std::byte, 1> kByte = {};
  StateDict state;
  for (const auto& name : names) {
    EXPECT_TRUE(state.add(name, Dtype::kU8, std::vector<std::uint64_t>{1}, kByte));
  }
  return state;
}

TEST(Shards, HoldExactlyWhatTheIndexExpects) {
  const ShardedIndex::Shard shard{"s", {"a", "b"}};
  EXPECT_TRUE(check_shard(shard, holding({"b", "a"})));
  EXPECT_EQ(check_shard(shard, holding({"a"})).error().rule, "ST-23");
  EXPECT_EQ(check_shard(shard, holding({})).error().rule, "ST-23");
  EXPECT_EQ(check_shard(shard, holding({"a", "b", "c"})).error().rule, "ST-24");
}

/// `save_model` stored "kept" and left "dropped" out.
class Aliased final : public TensorSource {
 public:
  std::span<const NamedTensor> tensors() const& noexcept override { return state_.tensors(); }
  std::optional<TensorView> find(std::string_view name) const& noexcept override {
    return state_.find(name);
  }
  std::span<const TensorAlias> aliases() const& noexcept override { return aliases_; }

 private:
  StateDict state_ = holding({"kept"});
  std::vector<TensorAlias> aliases_ = {{"dropped", "kept"}};
};

TEST(Shards, ANameDroppedAsSharedCountsAsHeld) {
  EXPECT_TRUE(check_shard({"s", {"dropped", "kept"}}, Aliased()));
}

}  // namespace
}  // namespace ferrule::container
