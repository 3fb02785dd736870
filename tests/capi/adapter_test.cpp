// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "capi/c_api.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using test::golden;
using test::OpenedAdapter;
using test::sized;
using test::view;

struct Seen {
  std::uint32_t dtype;
  std::vector<std::uint64_t> shape;
  std::string bytes;
  std::uint64_t offset;
};

Seen seen(const ferrule_tensor& tensor) {
  return {.dtype = tensor.dtype,
          .shape = {tensor.shape, tensor.shape + tensor.rank},
          .bytes = std::string(static_cast<const char*>(tensor.data), tensor.size),
          .offset = tensor.file_offset};
}

ferrule_adapter_info info_of(ferrule_adapter adapter) {
  auto info = sized<ferrule_adapter_info>();
  EXPECT_EQ(ferrule_adapter_describe(adapter, &info, nullptr), FERRULE_OK);
  return info;
}

/// What its modules have, by key.
std::map<std::string, Seen> by_module(ferrule_adapter adapter) {
  std::map<std::string, Seen> all;
  const auto info = info_of(adapter);
  for (std::uint64_t m = 0; m < info.module_count; ++m) {
    auto module = sized<ferrule_module>();
    EXPECT_EQ(ferrule_adapter_module(adapter, m, &module, nullptr), FERRULE_OK);
    for (std::uint64_t t = 0; t < module.tensor_count; ++t) {
      auto tensor = sized<ferrule_tensor>();
      EXPECT_EQ(ferrule_module_tensor(adapter, m, t, &tensor, nullptr), FERRULE_OK);
      all.emplace(view(tensor.key), seen(tensor));
    }
    std::uint64_t found = 0;
    EXPECT_EQ(ferrule_adapter_find_module(adapter, std::string(view(module.path)).c_str(), &found,
                                          nullptr),
              FERRULE_OK);
    EXPECT_EQ(found, m);
  }
  return all;
}

std::vector<fs::path> adapters() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(test::data() / "golden/cases")) {
    if (fs::exists(entry.path() / "expected/adapter_model.safetensors"))
      found.push_back(entry.path() / "expected");
  }
  return found;
}

TEST(CAdapter, FilesAndMemoryGiveTheSameTensorsAtTheirOffsets) {
  const auto all = adapters();
  ASSERT_GT(all.size(), 100U);
  for (const auto& folder : all) {
    SCOPED_TRACE(folder.string());
    const auto config = test::read_file(folder / "adapter_config.json");
    const auto weights = test::read_file(folder / "adapter_model.safetensors");
    const OpenedAdapter from_file(folder);
    ASSERT_EQ(from_file.status, FERRULE_OK) << from_file.error.message;
    const OpenedAdapter copied(config, std::string(weights), FERRULE_OPEN_COPY);
    ASSERT_EQ(copied.status, FERRULE_OK) << copied.error.message;
    const auto tensors = by_module(from_file.handle);
    EXPECT_EQ(tensors.size(), info_of(from_file.handle).tensor_count);
    const auto same = by_module(copied.handle);
    ASSERT_EQ(tensors.size(), same.size());
    for (const auto& [key, tensor] : tensors) {
      SCOPED_TRACE(key);
      if (tensor.bytes.empty()) continue;
      EXPECT_EQ(weights.substr(tensor.offset, tensor.bytes.size()), tensor.bytes);
      EXPECT_EQ(same.at(key).bytes, tensor.bytes);
      EXPECT_EQ(same.at(key).shape, tensor.shape);
      EXPECT_EQ(same.at(key).offset, tensor.offset);
      auto found = sized<ferrule_tensor>();
      ASSERT_EQ(ferrule_adapter_find_tensor(from_file.handle, key.c_str(), &found, nullptr),
                FERRULE_OK);
      EXPECT_EQ(seen(found).bytes, tensor.bytes);
    }
  }
}

TEST(CAdapter, TorchFilesOpenFromFilesAndFromMemory) {
  const test::TempDir dir;
  auto error = sized<ferrule_error>();
  ferrule_writer writer = {};
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8};
  const std::uint64_t shape[] = {2, 4};
  const std::uint64_t turned[] = {4, 2};
  const std::string config = R"({"peft_type": "LORA", "r": 2, "target_modules": ["q"]})";
  const std::string prefix = "base_model.model.q.";
  ASSERT_EQ(ferrule_writer_open(&writer, &error), FERRULE_OK);
  ASSERT_EQ(ferrule_writer_add_tensor(writer, (prefix + "lora_A.default.weight").c_str(),
                                      FERRULE_F32, shape, 2, values.data(), 32, &error),
            FERRULE_OK);
  ASSERT_EQ(ferrule_writer_add_tensor(writer, (prefix + "lora_B.default.weight").c_str(),
                                      FERRULE_F32, turned, 2, values.data(), 32, &error),
            FERRULE_OK);
  ASSERT_EQ(ferrule_writer_add_adapter(writer, "default", config.data(), config.size(), &error),
            FERRULE_OK);
  auto options = sized<ferrule_save_options>();
  options.flags = FERRULE_SAVE_BIN | FERRULE_SAVE_FAST;
  ASSERT_EQ(ferrule_writer_save(writer, (dir / "a").c_str(), &options, nullptr, &error), FERRULE_OK)
      << error.message;
  ferrule_writer_close(writer);
  const auto bin = test::read_file(dir / "a/adapter_model.bin");
  const OpenedAdapter opened(dir / "a");
  ASSERT_EQ(opened.status, FERRULE_OK) << opened.error.message;
  for (const auto& [key, tensor] : by_module(opened.handle)) {
    ASSERT_LE(tensor.offset, bin.size() - 32) << key;
    EXPECT_EQ(bin.substr(tensor.offset, 32), tensor.bytes) << key;
  }
  const OpenedAdapter in_memory(config, bin);
  ASSERT_EQ(in_memory.status, FERRULE_OK) << in_memory.error.message;
  const auto same = by_module(in_memory.handle);
  EXPECT_EQ(same.size(), 2U);
  for (const auto& [key, tensor] : by_module(opened.handle)) {
    EXPECT_EQ(same.at(key).offset, tensor.offset);
  }
}

// As torch writes a tensor that was transposed: it is put in order in memory.
TEST(CAdapter, ATensorThatIsNotInTheFileAsItIsHasNoOffset) {
  const auto file = fs::path(FERRULE_TEST_DATA) / "golden/torch/torch-2.13/layouts.pt";
  const OpenedAdapter opened(R"({"peft_type": "LORA", "r": 2, "target_modules": ["q"]})",
                             test::read_file(file), FERRULE_OPEN_ALLOW_ERRORS);
  ASSERT_EQ(opened.status, FERRULE_OK) << opened.error.message;
  auto tensor = sized<ferrule_tensor>();
  ASSERT_EQ(ferrule_adapter_find_tensor(opened.handle, "transposed", &tensor, nullptr), FERRULE_OK);
  EXPECT_EQ(tensor.file_offset, FERRULE_NO_OFFSET);
}

TEST(CAdapter, DescribesItself) {
  const auto folder = golden("lora") / "expected";
  const OpenedAdapter opened(folder);
  ASSERT_EQ(opened.status, FERRULE_OK);
  const auto info = info_of(opened.handle);
  EXPECT_EQ(view(info.peft_type), "LORA");
  EXPECT_EQ(view(info.directory), folder.string());
  EXPECT_EQ(view(info.weights_file), (folder / "adapter_model.safetensors").string());
  EXPECT_EQ(info.file_bytes, fs::file_size(folder / "adapter_model.safetensors"));
  EXPECT_EQ(info.has_errors, 0U);
  ferrule_text config = {};
  ASSERT_EQ(ferrule_adapter_config(opened.handle, &config, nullptr), FERRULE_OK);
  EXPECT_NE(view(config).find("\"lora_alpha\""), std::string_view::npos);
  ferrule_text again = {};
  ASSERT_EQ(ferrule_adapter_config(opened.handle, &again, nullptr), FERRULE_OK);
  EXPECT_EQ(again.data, config.data);
  ferrule_text findings = {};
  ASSERT_EQ(ferrule_adapter_findings(opened.handle, &findings, nullptr), FERRULE_OK);
  EXPECT_EQ(view(findings).front(), '[');
}

TEST(CAdapter, LiveKeysFitTheBufferOrSayWhatTheyNeed) {
  const OpenedAdapter opened(golden("lora") / "expected");
  auto error = sized<ferrule_error>();
  const auto* key = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
  const std::string live = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.mine.weight";
  std::size_t size = 0;
  EXPECT_EQ(ferrule_adapter_live_key(opened.handle, key, "mine", nullptr, 0, &size, &error),
            FERRULE_LIMIT_EXCEEDED);
  EXPECT_EQ(size, live.size());
  std::string buffer(size + 1, 'x');
  EXPECT_EQ(
      ferrule_adapter_live_key(opened.handle, key, "mine", buffer.data(), size, &size, &error),
      FERRULE_LIMIT_EXCEEDED);
  EXPECT_EQ(buffer, std::string(size + 1, 'x'));
  ASSERT_EQ(
      ferrule_adapter_live_key(opened.handle, key, "mine", buffer.data(), size + 1, &size, &error),
      FERRULE_OK);
  EXPECT_STREQ(buffer.c_str(), live.c_str());
  EXPECT_EQ(ferrule_adapter_live_key(opened.handle, "other", "mine", buffer.data(), buffer.size(),
                                     &size, &error),
            FERRULE_NOT_FOUND);
}

TEST(CAdapter, RolesOfAMethodAreCountedUp) {
  auto role = sized<ferrule_role>();
  std::set<std::string> names;
  std::uint64_t index = 0;
  while (ferrule_method_role("LORA", index, &role, nullptr) == FERRULE_OK) {
    names.emplace(view(role.name));
    ++index;
  }
  EXPECT_TRUE(names.contains("lora_A"));
  EXPECT_TRUE(names.contains("lora_embedding_B"));
  EXPECT_EQ(names.size(), index);
  EXPECT_EQ(ferrule_method_role("LORE", 0, &role, nullptr), FERRULE_NOT_FOUND);
}

TEST(CAdapter, AnAdapterWithErrorsIsRefusedUnlessAskedFor) {
  const test::TempDir dir;
  fs::copy(golden("lora") / "expected", dir / "a", fs::copy_options::recursive);
  auto config = test::read_file(dir / "a/adapter_config.json");
  const auto at = config.find("\"r\": ");
  ASSERT_NE(at, std::string::npos);
  config.replace(at, 6, "\"r\": 9");
  test::write_file(dir / "a/adapter_config.json", config);
  const OpenedAdapter refused(dir / "a");
  EXPECT_EQ(refused.status, FERRULE_CORRUPT);
  EXPECT_EQ(std::string_view(refused.error.rule).substr(0, 3), "AD-");
  EXPECT_EQ(refused.handle.id, 0U);
  const OpenedAdapter shown(dir / "a", FERRULE_OPEN_ALLOW_ERRORS);
  ASSERT_EQ(shown.status, FERRULE_OK);
  EXPECT_EQ(info_of(shown.handle).has_errors, 1U);
  auto finding = sized<ferrule_finding>();
  ASSERT_EQ(ferrule_adapter_finding(shown.handle, 0, &finding, nullptr), FERRULE_OK);
  EXPECT_EQ(finding.severity, static_cast<std::uint32_t>(FERRULE_ERROR));
  EXPECT_EQ(view(finding.rule), refused.error.rule);
}

TEST(CAdapter, ContentIdIsTheSameInMemory) {
  const auto folder = golden("lora") / "expected";
  const auto config = test::read_file(folder / "adapter_config.json");
  const auto weights = test::read_file(folder / "adapter_model.safetensors");
  char a[65];
  char b[65];
  const OpenedAdapter file(folder);
  const OpenedAdapter memory(config, weights);
  ASSERT_EQ(ferrule_adapter_content_id(file.handle, 1, a, nullptr), FERRULE_OK);
  ASSERT_EQ(ferrule_adapter_content_id(memory.handle, 2, b, nullptr), FERRULE_OK);
  EXPECT_EQ(std::string(a).size(), 64U);
  EXPECT_STREQ(a, b);
}

TEST(CAdapter, ManyThreadsReadOneAdapterAndOpenOthers) {
  const OpenedAdapter shared(golden("lora") / "expected");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const OpenedAdapter own(golden("lora") / "expected");
        ferrule_text a = {};
        ferrule_text b = {};
        EXPECT_EQ(ferrule_adapter_config(shared.handle, &a, nullptr), FERRULE_OK);
        EXPECT_EQ(ferrule_adapter_config(own.handle, &b, nullptr), FERRULE_OK);
        EXPECT_EQ(view(a), view(b));
        EXPECT_EQ(by_module(shared.handle).size(), 12U);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace ferrule
