// SPDX-License-Identifier: Apache-2.0
#include "ferrule/checkpoint.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "format/safetensors_bytes.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

using test::safetensors;
using test::TempDir;
using test::write_file;

template <typename T>
concept CanListTemporary = requires(T&& file) {
  std::forward<T>(file).tensors();
};
template <typename T>
concept CanFindInTemporary = requires(T&& file) {
  std::forward<T>(file).find("a");
};
static_assert(CanListTemporary<Checkpoint&> && CanFindInTemporary<Checkpoint&>);
static_assert(!CanListTemporary<Checkpoint> && !CanFindInTemporary<Checkpoint>);

/// A file with one U8 tensor of four bytes, `content` (or zeros).
std::string holding(std::string_view name, std::string_view content = "",
                    std::string_view metadata = "") {
  std::string file = safetensors("{" + std::string(metadata) + "\"" + std::string(name) +
                                     "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
                                 4);
  file.replace(file.size() - content.size(), content.size(), content);
  return file;
}

std::vector<std::string> names(const TensorSource& source) {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : source.tensors()) {
    list.emplace_back(name);
    EXPECT_TRUE(source.find(name).has_value()) << name;
  }
  return list;
}

using Names = std::vector<std::string>;

struct Layout {
  const char* name;
  std::vector<std::pair<std::string, std::string>> files;
  Names tensors;
};
void PrintTo(const Layout& row, std::ostream* out) { *out << row.name; }

class Directories : public testing::TestWithParam<Layout> {};

TEST_P(Directories, AreSearchedInOrder) {
  const TempDir dir;
  for (const auto& [name, content] : GetParam().files) write_file(dir / name, content);
  const auto checkpoint = Checkpoint::open(dir.path());
  ASSERT_TRUE(checkpoint.has_value()) << checkpoint.error().to_string();
  EXPECT_EQ(names(*checkpoint), GetParam().tensors);
}

const std::string kIndex =
    "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":"
    "\"model-2.safetensors\"}}";

INSTANTIATE_TEST_SUITE_P(
    Checkpoint, Directories,
    testing::ValuesIn(std::vector<Layout>{
        {"ModelBeforeItsIndex",
         {{"model.safetensors.index.json", kIndex},
          {"model-1.safetensors", holding("a")},
          {"model-2.safetensors", holding("b")},
          {"model.safetensors", holding("c")}},
         {"c"}},
        {"IndexBeforeOthers",
         {{"model.safetensors.index.json", kIndex},
          {"model-1.safetensors", holding("a")},
          {"model-2.safetensors", holding("b")},
          {"adapter_model.safetensors", holding("c")}},
         {"a", "b"}},
        {"ModelBeforeAdapter",
         {{"model.safetensors", holding("a")}, {"adapter_model.safetensors", holding("b")}},
         {"a"}},
        {"AdapterBeforeOthers",
         {{"adapter_model.safetensors", holding("b")}, {"x.safetensors", holding("c")}},
         {"b"}},
        {"AllOthersJoined",
         {{"y.safetensors", holding("b")},
          {"x.safetensors", holding("a")},
          {".hidden.safetensors", holding("c")},
          {"notes.txt", "text"}},
         {"a", "b"}},
        {"SafetensorsBeforeTorch",
         {{"x.safetensors", holding("a")}, {"pytorch_model.bin", "never opened"}},
         {"a"}},
        {"ContentDecidesNotTheName",
         {{"optimizer.bin", "never opened"}, {"weights.bin", holding("a")}},
         {"a"}},
    }),
    [](const testing::TestParamInfo<Layout>& row) { return std::string(row.param.name); });

TEST(Checkpoint, OpensOneFileByItsContent) {
  const TempDir dir;
  write_file(dir / "anything.bin", holding("a"));
  const auto checkpoint = Checkpoint::open(dir / "anything.bin");
  ASSERT_TRUE(checkpoint.has_value()) << checkpoint.error().to_string();
  EXPECT_EQ(names(*checkpoint), Names{"a"});
  ASSERT_EQ(checkpoint->files().size(), 1U);
  EXPECT_EQ(checkpoint->files()[0], dir / "anything.bin");
  EXPECT_EQ(checkpoint->file_bytes(), holding("a").size());
}

TEST(Checkpoint, OpensAnIndexThroughItsPath) {
  const TempDir dir;
  write_file(dir / "model.safetensors.index.json", kIndex);
  write_file(dir / "model-1.safetensors", holding("a"));
  write_file(dir / "model-2.safetensors", holding("b"));
  const auto checkpoint = Checkpoint::open(dir / "model.safetensors.index.json");
  ASSERT_TRUE(checkpoint.has_value()) << checkpoint.error().to_string();
  EXPECT_EQ(names(*checkpoint), (Names{"a", "b"}));
  EXPECT_EQ(checkpoint->files().size(), 2U);
}

TEST(Checkpoint, ALongMetadataDoesNotHideAnIndex) {
  const TempDir dir;
  write_file(dir / "index.json", "{\"metadata\":{\"note\":\"" + std::string(10000, 'x') +
                                     "\"},\"weight_map\":{\"a\":\"model-1.safetensors\"}}");
  write_file(dir / "model-1.safetensors", holding("a"));
  EXPECT_TRUE(Checkpoint::open(dir / "index.json").has_value());
}

TEST(Checkpoint, JoinsPathsAndSharesEqualTensors) {
  const TempDir dir;
  write_file(dir / "x", holding("a", "1234"));
  write_file(dir / "y", holding("b"));
  write_file(dir / "z", holding("a", "1234"));
  const std::vector<std::filesystem::path> paths = {dir / "y", dir / "x", dir / "z"};
  auto checkpoint = Checkpoint::open(paths);
  ASSERT_TRUE(checkpoint.has_value()) << checkpoint.error().to_string();
  const NamedTensor before = checkpoint->tensors()[1];
  const Checkpoint moved = std::move(*checkpoint);
  EXPECT_EQ(names(moved), (Names{"b", "a"}));
  EXPECT_EQ(moved.find("a")->bytes().data(), before.tensor.bytes().data());
  EXPECT_EQ(moved.files().size(), 3U);
  EXPECT_EQ(moved.file_bytes(), 3 * holding("a").size());
}

TEST(Checkpoint, RefusesTheSameNameWithOtherContent) {
  const TempDir dir;
  write_file(dir / "x", holding("a", "1234"));
  write_file(dir / "y", holding("a", "1235"));
  const std::vector<std::filesystem::path> paths = {dir / "x", dir / "y"};
  const auto checkpoint = Checkpoint::open(paths);
  ASSERT_FALSE(checkpoint.has_value());
  EXPECT_EQ(checkpoint.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(checkpoint.error().rule, "KY-1");
  EXPECT_EQ(checkpoint.error().path, (dir / "y").string());
}

TEST(Checkpoint, AnAliasHeldByAnotherFileIsNoAlias) {
  const TempDir dir;
  write_file(dir / "x", holding("a", "1234", "\"__metadata__\":{\"b\":\"a\",\"c\":\"a\"},"));
  write_file(dir / "y", holding("b"));
  const auto one = Checkpoint::open(dir / "x");
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(one->aliases().size(), 2U);
  const std::vector<std::filesystem::path> paths = {dir / "x", dir / "y"};
  const auto joined = Checkpoint::open(paths);
  ASSERT_TRUE(joined.has_value());
  ASSERT_EQ(joined->aliases().size(), 1U);
  EXPECT_EQ(joined->aliases()[0].removed, "c");
}

struct BadIndex {
  const char* name;
  std::string index;
  ErrorCode code;
  const char* rule;
};
void PrintTo(const BadIndex& row, std::ostream* out) { *out << row.name; }

class BadIndexes : public testing::TestWithParam<BadIndex> {};

TEST_P(BadIndexes, AreRefused) {
  const TempDir dir;
  write_file(dir / "in" / "x.index.json", GetParam().index);
  write_file(dir / "in" / "one.safetensors", holding("a"));
  write_file(dir / "out.safetensors", holding("a"));
  const auto checkpoint = Checkpoint::open(dir / "in" / "x.index.json");
  ASSERT_FALSE(checkpoint.has_value());
  EXPECT_EQ(checkpoint.error().code, GetParam().code);
  EXPECT_EQ(checkpoint.error().rule, GetParam().rule) << checkpoint.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoint, BadIndexes,
    testing::ValuesIn(std::vector<BadIndex>{
        {"NoJson", "{\"weight_map\":", ErrorCode::kCorrupt, "ST-20"},
        {"DuplicateKey", "{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"one.safetensors\"}}",
         ErrorCode::kCorrupt, "ST-20"},
        {"NoMap", "{\"weights\":{}}", ErrorCode::kCorrupt, "ST-20"},
        {"MapIsArray", "{\"weight_map\":[]}", ErrorCode::kCorrupt, "ST-20"},
        {"FileIsNumber", "{\"weight_map\":{\"a\":1}}", ErrorCode::kCorrupt, "ST-21"},
        {"ParentDirectory", "{\"weight_map\":{\"a\":\"../out.safetensors\"}}", ErrorCode::kCorrupt,
         "ST-22"},
        {"AbsolutePath", "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", ErrorCode::kCorrupt, "ST-22"},
        {"SubDirectory", "{\"weight_map\":{\"a\":\"x/one.safetensors\"}}", ErrorCode::kCorrupt,
         "ST-22"},
        {"DotDot", "{\"weight_map\":{\"a\":\"..\"}}", ErrorCode::kCorrupt, "ST-22"},
        {"EmptyName", "{\"weight_map\":{\"a\":\"\"}}", ErrorCode::kCorrupt, "ST-22"},
        {"NulInName", "{\"weight_map\":{\"a\":\"one.safetensors\\u0000\"}}", ErrorCode::kCorrupt,
         "ST-22"},
        {"MissingShard", "{\"weight_map\":{\"a\":\"two.safetensors\"}}", ErrorCode::kNotFound,
         "ST-23"},
        {"MissingTensor", "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"}}",
         ErrorCode::kCorrupt, "ST-23"},
        {"UnlistedTensor", "{\"weight_map\":{\"b\":\"one.safetensors\"}}", ErrorCode::kCorrupt,
         "ST-23"},
        {"IndexOfAnIndex", "{\"weight_map\":{\"b\":\"x.index.json\"}}", ErrorCode::kUnsupported,
         "ST-18"},
    }),
    [](const testing::TestParamInfo<BadIndex>& row) { return std::string(row.param.name); });

TEST(Checkpoint, RefusesAShardWithTensorsThatTheIndexLacks) {
  const TempDir dir;
  write_file(dir / "x.index.json", "{\"weight_map\":{\"a\":\"s.safetensors\"}}");
  write_file(dir / "s.safetensors",
             safetensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
                         "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}",
                         2));
  const auto checkpoint = Checkpoint::open(dir / "x.index.json");
  ASSERT_FALSE(checkpoint.has_value());
  EXPECT_EQ(checkpoint.error().rule, "ST-24");
}

TEST(Checkpoint, AnEmptyDirectoryIsNotFound) {
  const TempDir dir;
  write_file(dir / "README.md", "text");
  EXPECT_EQ(Checkpoint::open(dir.path()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Checkpoint::open(dir / "none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Checkpoint::open(std::span<const std::filesystem::path>()).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(Checkpoint, ARangeNamesTheFileThatHasTheTensor) {
  const TempDir dir;
  write_file(dir / "one.safetensors", holding("a", "aaaa"));
  write_file(dir / "two.safetensors", holding("b", "bbbb"));
  const auto both = Checkpoint::open(dir.path());
  ASSERT_TRUE(both) << both.error().to_string();
  for (const auto& [name, file] : {std::pair{"a", "one.safetensors"}, {"b", "two.safetensors"}}) {
    const auto range = both->range(name);
    ASSERT_TRUE(range);
    EXPECT_EQ(range->path, dir / file);
    EXPECT_EQ(test::read_file(range->path).substr(range->offset, range->length),
              std::string(4, name[0]));
  }
  EXPECT_EQ(both->range("c").error().code, ErrorCode::kNotFound);
}

TEST(Checkpoint, AWholeBinIsTakenInPlaceOfSafetensorsWithoutData) {
  const auto whole = std::filesystem::path(FERRULE_TEST_DATA) / "golden/torch/torch-2.13/tied.pt";
  // Without a byte, and without a tensor.
  for (const auto& empty : {std::string(), safetensors("{}", 0)}) {
    const TempDir dir;
    write_file(dir / "adapter_model.safetensors", empty);
    std::filesystem::copy_file(whole, dir / "adapter_model.bin");
    const auto opened = Checkpoint::open(dir.path());
    ASSERT_TRUE(opened) << opened.error().to_string();
    ASSERT_EQ(opened->files().size(), 1U);
    EXPECT_EQ(opened->files()[0], dir / "adapter_model.bin");
    EXPECT_FALSE(opened->tensors().empty());
    ASSERT_EQ(opened->beside().size(), 1U);
    EXPECT_EQ(opened->beside()[0], dir / "adapter_model.safetensors");
  }
}

}  // namespace
}  // namespace ferrule
