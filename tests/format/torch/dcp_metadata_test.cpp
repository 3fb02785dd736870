// SPDX-License-Identifier: Apache-2.0
// RS-2 and PK-22. The pickles are put together here in torch's form; tests/rescue reads torch's
// own.
#include "format/torch/dcp_metadata.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::format {
namespace {

using namespace std::string_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text(std::string_view value) {
  return "U" + std::string(1, static_cast<char>(value.size())) + std::string(value);
}

std::string object(std::string_view name, const std::string& attributes,
                   std::string_view module = "torch.distributed.checkpoint.metadata") {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n)\x81}(" + attributes + "ub";
}

std::string size(std::initializer_list<int> counts) {
  std::string out = "ctorch\nSize\n((";
  for (const int count : counts) out += "K" + std::string(1, static_cast<char>(count));
  return out + "ttR";
}

std::string chunk(std::initializer_list<int> offsets, std::initializer_list<int> sizes) {
  return object("ChunkStorageMetadata",
                text("offsets") + size(offsets) + text("sizes") + size(sizes));
}

std::string tensor(std::initializer_list<int> shape, const std::string& chunks) {
  return object("TensorStorageMetadata",
                text("properties") +
                    "ctorch.distributed.checkpoint.metadata\nTensorProperties\n)"
                    "\x81(ctorch\nfloat32\nNtb" +
                    text("size") + size(shape) + text("chunks") + "](" + chunks + "e");
}

std::string item(std::string_view name, std::initializer_list<int> offset, std::string_view file,
                 int at, int bytes) {
  return object("MetadataIndex", text("fqn") + text(name) + text("offset") + size(offset)) +
         object("_StorageInfo",
                text("relative_path") + text(file) + text("offset") + "K" +
                    std::string(1, static_cast<char>(at)) + text("length") + "K" +
                    std::string(1, static_cast<char>(bytes)),
                "torch.distributed.checkpoint.filesystem");
}

std::string metadata(const std::string& tensors, const std::string& items,
                     const std::string& more = {}) {
  return object("Metadata", text("state_dict_metadata") + "}(" + tensors + "u" +
                                text("planner_data") + "}" + text("w") + "(" + text("model") +
                                text("w") + "ts" + text("storage_data") + "}(" + items + "u" +
                                more) +
         ".";
}

const std::string kChunks = chunk({0, 0}, {2, 4}) + chunk({2, 0}, {1, 4}) + chunk({3, 0}, {0, 4});
const std::string kItems =
    item("w", {0, 0}, "__0_0.distcp", 0, 50) + item("w", {2, 0}, "__1_0.distcp", 7, 40);

TEST(DcpMetadata, ListsTensorsWithTheirPieces) {
  const auto bytes = metadata(
      text("w") + tensor({3, 4}, kChunks) + text("step") + object("BytesStorageMetadata", ""),
      kItems);
  const auto read = read_dcp_metadata(bytes_of(bytes));
  ASSERT_TRUE(read) << read.error().to_string();
  ASSERT_EQ(read->tensors.size(), 1U);
  const auto& found = read->tensors[0];
  EXPECT_EQ(found.name, "w");
  EXPECT_EQ(found.path, (std::vector<std::string>{"model", "w"}));
  EXPECT_EQ(found.dtype, Dtype::kF32);
  EXPECT_EQ(found.shape, (std::vector<std::uint64_t>{3, 4}));
  ASSERT_EQ(found.chunks.size(), 2U);  // The empty one of a rank without rows is left out.
  EXPECT_EQ(found.chunks[1].file, "__1_0.distcp");
  EXPECT_EQ(found.chunks[1].offset, 7U);
  EXPECT_EQ(found.chunks[1].bytes, 40U);
  EXPECT_EQ(read->others, 1U);
  EXPECT_EQ(read->files.at("__1_0.distcp"), 47U);
}

TEST(DcpMetadata, MegatronsPlansAreLeftOut) {  // PK-22
  const std::string planner = "torch.distributed.checkpoint.planner";
  const auto data = object("TensorWriteData", text("chunk") + chunk({0, 0}, {2, 4}), planner);
  const auto write =
      object("WriteItem",
             text("type") + "c" + planner + "\nWriteItemType\n(K\2tR" + text("tensor_data") + data +
                 text("bytes_io_data") + object("BytesIOWriteData", "", planner),
             planner);
  const auto plan = object("SavePlan", text("items") + "](" + write + "e", planner);
  const auto good = text("w") + tensor({3, 4}, kChunks);
  const auto plain = read_dcp_metadata(bytes_of(metadata(good, kItems)));
  const auto read = read_dcp_metadata(
      bytes_of(metadata(good, kItems, text("all_local_plans") + "](" + plan + "e")));
  ASSERT_TRUE(plain);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->tensors.size(), plain->tensors.size());
  EXPECT_EQ(read->files, plain->files);
}

TEST(DcpMetadata, RefusesWhatTorchDoesNotWrite) {
  const auto good = text("w") + tensor({3, 4}, kChunks);
  const struct {
    const char* name;
    std::string bytes;
    std::string rule;
  } rows[] = {
      {"not Metadata", "}.", "RS-2"},
      {"no storage_data", object("Metadata", text("state_dict_metadata") + "}") + ".", "RS-2"},
      {"outside of the shape", metadata(text("w") + tensor({2, 4}, chunk({0, 0}, {3, 4})), kItems),
       "RS-2"},
      {"a chunk without a file", metadata(good, item("w", {0, 0}, "a", 0, 1)), "RS-2"},
      {"two chunks in one place",
       metadata(text("w") + tensor({3, 4}, chunk({0, 0}, {2, 4}) + chunk({0, 0}, {2, 4})), kItems),
       "RS-2"},
      {"a path", metadata(good, item("w", {0, 0}, "a/b", 0, 1)), "RS-2"},
      {"a parent", metadata(good, item("w", {0, 0}, "..", 0, 1)), "RS-2"},
      {"an item twice", metadata(good, kItems + item("w", {0, 0}, "x", 0, 1)), "RS-2"},
      {"a tensor twice", metadata(good + good, kItems), "RS-2"},
      {"another global", "cmine\nx\n.", "PK-3"},
      {"more behind it", metadata(good, kItems) + "N.", "PK-1"},
      {"an end", metadata(good, kItems).substr(0, 100), "PK-4"},
  };
  for (const auto& row : rows) {
    const auto read = read_dcp_metadata(bytes_of(row.bytes));
    ASSERT_FALSE(read) << row.name;
    EXPECT_EQ(read.error().rule, row.rule) << row.name << ": " << read.error().to_string();
  }
}

TEST(DcpMetadata, EveryPrefixIsRefused) {
  const auto bytes = metadata(text("w") + tensor({3, 4}, kChunks), kItems);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(read_dcp_metadata(bytes_of(bytes).first(length))) << length;
  }
}

}  // namespace
}  // namespace ferrule::format
