// SPDX-License-Identifier: Apache-2.0
// Bad files through the C interface: each is refused with its rule, or opened with findings;
// whatever was opened can be read to the last byte.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "capi/c_api.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using test::OpenedAdapter;
using test::sized;
using test::view;

/// Reads everything that the handle offers.
std::uint64_t read_all(ferrule_adapter adapter) {
  std::uint64_t sum = 0;
  auto info = sized<ferrule_adapter_info>();
  EXPECT_EQ(ferrule_adapter_describe(adapter, &info, nullptr), FERRULE_OK);
  for (std::uint64_t i = 0; i < info.tensor_count; ++i) {
    auto tensor = sized<ferrule_tensor>();
    EXPECT_EQ(ferrule_adapter_tensor(adapter, i, &tensor, nullptr), FERRULE_OK);
    const auto* bytes = static_cast<const unsigned char*>(tensor.data);
    for (std::uint64_t b = 0; b < tensor.size; ++b) sum += bytes[b];
    for (const char c : view(tensor.key)) sum += static_cast<unsigned char>(c);
  }
  ferrule_text json = {};
  EXPECT_EQ(ferrule_adapter_config(adapter, &json, nullptr), FERRULE_OK);
  EXPECT_EQ(ferrule_adapter_findings(adapter, &json, nullptr), FERRULE_OK);
  return sum + json.size;
}

/// A status and an explanation, or an adapter.
void expect_survived(const OpenedAdapter& opened) {
  if (opened.status == FERRULE_OK) {
    EXPECT_NE(opened.handle.id, 0U);
    read_all(opened.handle);
    return;
  }
  EXPECT_NE(opened.status, FERRULE_INTERNAL);
  EXPECT_NE(opened.status, FERRULE_INVALID_ARGUMENT);
  EXPECT_EQ(opened.error.status, static_cast<std::uint32_t>(opened.status));
  EXPECT_NE(opened.error.message[0], '\0');
  EXPECT_EQ(opened.handle.id, 0U);
}

std::vector<fs::path> corpus(const std::vector<std::string>& extensions) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(test::data() / "malformed")) {
    for (const auto& extension : extensions) {
      if (entry.path().extension() == extension) files.push_back(entry.path());
    }
  }
  return files;
}

class CCorpus : public testing::Test {
 protected:
  const fs::path folder_ = test::golden("lora") / "expected";
  const std::string config_ = test::read_file(folder_ / "adapter_config.json");
  const std::string weights_ = test::read_file(folder_ / "adapter_model.safetensors");
};

TEST_F(CCorpus, WeightsInMemory) {
  const auto files = corpus({".safetensors", ".bin", ".json"});
  ASSERT_GT(files.size(), 200U);
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    const auto bytes = test::read_file(file);
    for (const std::uint32_t flags :
         {0U, FERRULE_OPEN_COPY, FERRULE_OPEN_COPY | FERRULE_OPEN_ALLOW_ERRORS}) {
      expect_survived(OpenedAdapter(config_, bytes, flags));
    }
  }
}

TEST_F(CCorpus, WeightsInADirectoryWithTheRuleOfTheirName) {
  const test::TempDir dir;
  test::write_file(dir / "adapter_config.json", config_);
  const auto weights = dir / "adapter_model.safetensors";
  for (const auto& file : corpus({".safetensors"})) {
    SCOPED_TRACE(file.string());
    fs::copy_file(file, weights, fs::copy_options::overwrite_existing);
    const OpenedAdapter opened(dir.path());
    expect_survived(opened);
    const auto name = file.filename().string();
    if (opened.status == FERRULE_CORRUPT && std::string_view(opened.error.rule).starts_with("ST")) {
      // "ST-04-..." breaks rule ST-4.
      EXPECT_EQ("ST-" + std::to_string(std::stoi(name.substr(3, 2))), opened.error.rule);
      EXPECT_EQ(fs::path(opened.error.path), weights);
    }
    ferrule_report report = {};
    ASSERT_EQ(ferrule_verify(dir.path().c_str(), nullptr, &report, nullptr), FERRULE_OK);
    auto info = sized<ferrule_report_info>();
    ASSERT_EQ(ferrule_report_describe(report, &info, nullptr), FERRULE_OK);
    EXPECT_EQ(info.good != 0, opened.status == FERRULE_OK);
    EXPECT_EQ(ferrule_report_close(report), FERRULE_OK);
  }
}

TEST_F(CCorpus, Configs) {
  for (const auto& file : corpus({".json"})) {
    SCOPED_TRACE(file.string());
    const auto config = test::read_file(file);
    for (const std::uint32_t flags : {0U, FERRULE_OPEN_ALLOW_ERRORS}) {
      expect_survived(OpenedAdapter(config, weights_, flags));
    }
    ferrule_writer writer = {};
    ASSERT_EQ(ferrule_writer_open(&writer, nullptr), FERRULE_OK);
    const auto added =
        ferrule_writer_add_adapter(writer, "default", config.data(), config.size(), nullptr);
    EXPECT_NE(added, FERRULE_INTERNAL);
    ferrule_writer_close(writer);
  }
}

TEST_F(CCorpus, EveryPrefixAndEveryFlippedHeaderByte) {
  std::string bytes = weights_;
  const auto header = 8 + static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) +
                      256 * static_cast<std::size_t>(static_cast<unsigned char>(bytes[1]));
  for (std::size_t size = 0; size < header + 64; size += 7) {
    expect_survived(OpenedAdapter(config_, std::string_view(bytes).substr(0, size)));
  }
  for (std::size_t i = 0; i < header; ++i) {
    const char before = bytes[i];
    bytes[i] = static_cast<char>(before ^ '\x80');
    expect_survived(OpenedAdapter(config_, bytes, FERRULE_OPEN_ALLOW_ERRORS));
    bytes[i] = before;
  }
}

TEST_F(CCorpus, FoldersAndFilesAsBases) {
  auto error = sized<ferrule_error>();
  for (const auto& entry : fs::directory_iterator(test::data() / "malformed")) {
    SCOPED_TRACE(entry.path().string());
    ferrule_base base = {};
    const auto status = ferrule_base_open(entry.path().c_str(), nullptr, &base, &error);
    EXPECT_NE(status, FERRULE_INTERNAL);
    EXPECT_EQ(ferrule_base_close(base),
              status == FERRULE_OK ? FERRULE_OK : FERRULE_INVALID_ARGUMENT);
  }
}

}  // namespace
}  // namespace ferrule
