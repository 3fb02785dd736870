// SPDX-License-Identifier: Apache-2.0
#include "format/torch/torch_storages.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace ferrule::format {
namespace {

/// Opcodes of a persistent id: ('storage', torch.`type`, '`key`', 'cpu', `count`), with the opcodes
/// `view` as its last item.
std::string id(const std::string& type, const std::string& key, const std::string& count,
               const std::string& view = "") {
  return "(U\x07storagectorch\n" + type + "\nU" + std::string(1, static_cast<char>(key.size())) +
         key + "U\3cpuI" + count + "\n" + view + "tQ";
}

/// (VIEW_KEY, FIRST, COUNT)
std::string view(const std::string& key, int first, int count) {
  return "(U" + std::string(1, static_cast<char>(key.size())) + key + "I" + std::to_string(first) +
         "\nI" + std::to_string(count) + "\nt";
}

std::string list_of(const std::vector<std::string>& values) {
  std::string out = "](";
  for (const auto& value : values) out += value;
  return out + "e.";
}

struct Storages {
  Result<std::vector<TorchStorage>> all = std::vector<TorchStorage>();
  std::vector<Result<StorageUse>> uses;
};

Storages read(const std::vector<std::string>& ids, TorchContainer container,
              bool only_some = false) {
  const auto text = list_of(ids);
  const auto pickle = Pickle::read(std::as_bytes(std::span(text)));
  Storages out;
  if (!pickle) {
    out.all = pickle.error();
    return out;
  }
  StorageReader reader(*pickle, container);
  out.all = reader.read(only_some);
  if (!out.all) return out;
  for (const auto& item : pickle->node(pickle->root()).items) {
    out.uses.push_back(reader.use_of(item));
  }
  return out;
}

Storages zip(const std::vector<std::string>& ids) { return read(ids, TorchContainer::kZip); }
Storages legacy(const std::vector<std::string>& ids) { return read(ids, TorchContainer::kLegacy); }

TEST(TorchStorages, AreListedOnceByTheirKey) {
  const auto found = zip(
      {id("FloatStorage", "7", "6"), id("HalfStorage", "a", "3"), id("FloatStorage", "7", "6")});
  ASSERT_TRUE(found.all) << found.all.error().to_string();
  ASSERT_EQ(found.all->size(), 2U);
  EXPECT_EQ(found.all.value()[0].key, "7");
  EXPECT_EQ(found.all.value()[0].dtype, Dtype::kF32);
  EXPECT_EQ(found.all.value()[0].elements, 6U);
  EXPECT_EQ(found.all.value()[0].bytes, 24U);
  EXPECT_EQ(found.all.value()[1].bytes, 6U);
  ASSERT_EQ(found.uses.size(), 3U);
  EXPECT_EQ(found.uses[0].value(), found.uses[2].value());
  EXPECT_EQ(found.uses[1]->storage, 1U);
}

TEST(TorchStorages, AViewIsAPartOfItsStorage) {
  const auto found = legacy({id("FloatStorage", "s", "6", view("v", 2, 3))});
  ASSERT_TRUE(found.all) << found.all.error().to_string();
  EXPECT_EQ(found.all->front().bytes, 24U);
  EXPECT_EQ(found.uses[0].value(), (StorageUse{.storage = 0, .offset = 8, .bytes = 12}));
}

TEST(TorchStorages, NoViewIsAllOfIt) {
  const auto found = legacy({id("FloatStorage", "s", "6", "N")});
  ASSERT_TRUE(found.all) << found.all.error().to_string();
  EXPECT_EQ(found.uses[0].value(), (StorageUse{.storage = 0, .offset = 0, .bytes = 24}));
}

TEST(TorchStorages, APartOfAZipDoesWithoutTheUnreadableOnes) {
  const std::vector<std::string> ids = {id("FloatStorage", "s", "6"), id("QInt8Storage", "q", "6")};
  const auto found = read(ids, TorchContainer::kZip, true);
  ASSERT_TRUE(found.all) << found.all.error().to_string();
  EXPECT_EQ(found.all->size(), 1U);
  EXPECT_TRUE(found.uses[0]);
  ASSERT_FALSE(found.uses[1]);
  EXPECT_EQ(found.uses[1].error().rule, "PK-16");
}

// What follows a storage in a legacy file is found by that storage's size.
TEST(TorchStorages, APartOfALegacyFileNeedsAllOfThem) {
  const auto found = read({id("QInt8Storage", "q", "6", "N")}, TorchContainer::kLegacy, true);
  ASSERT_FALSE(found.all);
  EXPECT_EQ(found.all.error().rule, "PK-16");
}

struct Row {
  const char* name;
  Storages found;
  const char* rule;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class RefusedStorages : public testing::TestWithParam<Row> {};

TEST_P(RefusedStorages, NameTheRule) {
  ASSERT_FALSE(GetParam().found.all);
  EXPECT_EQ(GetParam().found.all.error().rule, GetParam().rule);
}

INSTANTIATE_TEST_SUITE_P(
    Ids, RefusedStorages,
    testing::ValuesIn(std::vector<Row>{
        {"NotATuple", zip({"U\1aQ"}), "PK-9"},
        {"TooManyItems", zip({id("FloatStorage", "s", "6", "N")}), "PK-9"},
        {"TooFewItems", legacy({id("FloatStorage", "s", "6")}), "PK-9"},
        {"EmptyKey", zip({id("FloatStorage", "", "6")}), "PK-9"},
        {"KeyIsAPath", zip({id("FloatStorage", "a/b", "6")}), "PK-9"},
        {"NegativeCount", zip({id("FloatStorage", "s", "-1")}), "PK-9"},
        {"MoreThan64Bits", zip({id("DoubleStorage", "s", "4611686018427387904")}), "PK-9"},
        {"AQuantizedClass", zip({id("QInt8Storage", "s", "6")}), "PK-16"},
        {"TwoSizesOfOneKey", zip({id("FloatStorage", "s", "6"), id("FloatStorage", "s", "7")}),
         "PK-14"},
        {"ViewBeyondTheEnd", legacy({id("FloatStorage", "s", "6", view("v", 4, 3))}), "PK-9"},
        {"TwoViewsOfOneKey",
         legacy({id("FloatStorage", "s", "6", view("v", 0, 3)),
                 id("FloatStorage", "s", "6", view("v", 3, 3))}),
         "PK-14"},
    }),
    [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace ferrule::format
