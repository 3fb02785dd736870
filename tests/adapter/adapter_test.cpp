// SPDX-License-Identifier: Apache-2.0
#include "ferrule/adapter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ferrule/checkpoint.hpp"
#include "ferrule/method_roles.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/torch_file.hpp"
#include "ferrule/torch_writer.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// Adapters that real PEFT wrote (tests/golden/README.md), one of each case.
std::vector<fs::path> adapters_of_peft() {
  std::vector<fs::path> found;
  for (const auto& one : fs::directory_iterator(fs::path(FERRULE_TEST_DATA) / "golden/cases")) {
    const auto folder = one.path() / "expected";
    if (fs::exists(folder / "adapter_model.safetensors") &&
        fs::exists(folder / "adapter_config.json")) {
      found.push_back(folder);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

AdapterConfig config_in(const fs::path& folder) { return AdapterConfig::open(folder).value(); }

std::string line(const Finding& finding) {
  return std::string(severity_name(finding.severity)) + " " + finding.rule + " " + finding.key +
         " " + finding.module + " " + finding.message;
}

/// Everything an engine reads of an adapter, as text.
std::vector<std::string> told_by(const Adapter& adapter) {
  std::vector<std::string> lines;
  for (const auto& module : adapter.modules()) {
    lines.push_back(std::string(module.path()) + " " + std::to_string(module.strength()));
    for (const auto& tensor : module.tensors()) {
      lines.push_back(std::string(tensor.role) + "|" + std::string(tensor.leaf));
    }
  }
  for (const auto& [key, view] : adapter.state_dict("x")) {
    const auto bytes = view.bytes();
    lines.push_back(key + " " + std::string(dtype_name(view.dtype())) + " " +
                    std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  for (const auto& finding : adapter.findings()) lines.push_back(line(finding));
  std::sort(lines.begin(), lines.end());  // A torch file has another order.
  return lines;
}

TEST(AdapterMake, FromMemoryAndFilesSaysWhatOpenSays) {
  const auto folders = adapters_of_peft();
  ASSERT_GT(folders.size(), 40U);
  const test::TempDir dir;
  for (const auto& folder : folders) {
    SCOPED_TRACE(folder.string());
    const auto opened = Adapter::open(folder);
    ASSERT_TRUE(opened) << opened.error().to_string();
    const auto expected = told_by(*opened);
    const auto weights = folder / "adapter_model.safetensors";
    const auto content = test::read_file(weights);

    auto in_memory = SafetensorsFile::from_bytes(std::as_bytes(std::span(content)));
    ASSERT_TRUE(in_memory);
    const auto a =
        Adapter::make(config_in(folder), std::make_unique<SafetensorsFile>(*std::move(in_memory)));
    ASSERT_TRUE(a) << a.error().to_string();
    EXPECT_EQ(told_by(*a), expected);

    auto state = std::make_unique<StateDict>();
    for (const auto& tensor : opened->tensors()) {
      ASSERT_TRUE(state->add(std::string(tensor.key), tensor.tensor.dtype(), tensor.tensor.shape(),
                             tensor.tensor.bytes()));
    }
    const auto b = Adapter::make(config_in(folder), std::move(state));
    ASSERT_TRUE(b) << b.error().to_string();
    EXPECT_EQ(told_by(*b), expected);

    auto checkpoint = Checkpoint::open(weights);
    ASSERT_TRUE(checkpoint);
    const auto c =
        Adapter::make(config_in(folder), std::make_unique<Checkpoint>(*std::move(checkpoint)));
    ASSERT_TRUE(c) << c.error().to_string();
    EXPECT_EQ(told_by(*c), expected);
  }
}

TEST(AdapterMake, FromATorchFile) {
  const auto folder = fs::path(FERRULE_TEST_DATA) / "golden/cases/ada/expected";
  const auto opened = Adapter::open(folder);
  ASSERT_TRUE(opened);
  const test::TempDir dir;
  std::vector<NamedTensor> tensors;
  for (const auto& tensor : opened->tensors()) tensors.push_back({tensor.key, tensor.tensor});
  ASSERT_TRUE(write_torch_file(dir / "w.bin", tensors));
  auto file = TorchFile::open(dir / "w.bin");
  ASSERT_TRUE(file);
  const auto made = Adapter::make(config_in(folder), std::make_unique<TorchFile>(*std::move(file)));
  ASSERT_TRUE(made);
  EXPECT_EQ(told_by(*made), told_by(*opened));
}

TEST(AdapterMake, NeedsASource) {
  const auto made = Adapter::make(AdapterConfig::make("LORA").value(), nullptr);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
}

/// A LoRA of rank 2 on q_proj and k_proj; k_proj has no B.
class Half : public testing::Test {
 protected:
  Half() {
    const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape) {
      EXPECT_TRUE(state_->add(name, Dtype::kF32, shape,
                              std::as_bytes(std::span(values_)).first(shape[0] * shape[1] * 4)));
    };
    add("base_model.model.q_proj.lora_A.weight", {2, 4});
    add("base_model.model.q_proj.lora_B.weight", {4, 2});
    add("base_model.model.q_proj.lora_B.bias", {4, 1});
    add("base_model.model.k_proj.lora_A.weight", {2, 4});
  }

  Adapter make(AdapterOrigin origin = {}) {
    const std::vector<Json::Member> fields = {
        {"r", Json(2)},
        {"lora_alpha", Json(4)},
        {"lora_bias", Json(true)},
        {"target_modules", Json(Json::Array{Json("q_proj"), Json("k_proj")})}};
    auto config = AdapterConfig::make("LORA", fields);
    EXPECT_TRUE(config);
    return Adapter::make(*std::move(config), std::move(state_), std::move(origin)).value();
  }

  std::vector<float> values_ = std::vector<float>(8, 1);
  std::unique_ptr<StateDict> state_ = std::make_unique<StateDict>();
};

TEST_F(Half, FindingsNameTheModuleAndTheOrigin) {
  const auto adapter = make({.directory = "here", .weights_file = "over/there", .metadata = {}});
  EXPECT_TRUE(adapter.has_errors());
  const auto found = std::find_if(adapter.findings().begin(), adapter.findings().end(),
                                  [](const Finding& finding) { return finding.rule == "AD-4"; });
  ASSERT_NE(found, adapter.findings().end());
  EXPECT_EQ(found->module, "k_proj");
  EXPECT_EQ(found->key, "base_model.model.k_proj.lora_A.weight");
  EXPECT_EQ(found->path, "over/there");
  EXPECT_EQ(adapter.weights_file(), "over/there");
}

TEST_F(Half, ATensorIsFoundByItsRole) {
  const auto adapter = make();
  ASSERT_EQ(adapter.modules().size(), 2U);
  const auto& module = adapter.modules()[1];
  ASSERT_EQ(module.path(), "q_proj");
  ASSERT_NE(module.find("lora_B"), nullptr);
  EXPECT_EQ(module.find("lora_B")->key, "base_model.model.q_proj.lora_B.weight");
  EXPECT_EQ(module.find("lora_B.bias")->key, "base_model.model.q_proj.lora_B.bias");
  EXPECT_EQ(module.find("lora_E"), nullptr);
  EXPECT_EQ(module.find("lora_A.bias"), nullptr);
  EXPECT_EQ(module.tensor("lora_A")->shape()[0], 2U);
}

TEST_F(Half, KeysAreFoundFromManyThreadsAtOnce) {
  const auto adapter = make();
  EXPECT_EQ(adapter.find("nothing"), nullptr);
  std::atomic<int> found = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (const auto& tensor : adapter.tensors()) {
        if (adapter.find(tensor.key) == &tensor && adapter.live_key(tensor.key)) ++found;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(found, 32);
  EXPECT_EQ(adapter.live_key("base_model.model.q_proj.lora_B.bias", "mine"),
            "base_model.model.q_proj.lora_B.mine.bias");
}

// Every role that a tensor of PEFT's own files has is one that the list names.
TEST(MethodRoles, NameTheTensorsOfPeftsFiles) {
  const std::vector<std::string_view> any = {"modules_to_save", "bias", "embedding",
                                             "trainable_tokens"};
  std::size_t tensors = 0;
  for (const auto& folder : adapters_of_peft()) {
    const auto adapter = Adapter::open(folder);
    ASSERT_TRUE(adapter);
    const auto roles = method_roles(adapter->config().peft_type());
    for (const auto& module : adapter->modules()) {
      for (const auto& tensor : module.tensors()) {
        if (tensor.role.empty() || std::find(any.begin(), any.end(), tensor.role) != any.end()) {
          continue;
        }
        ++tensors;
        const auto role = std::find_if(roles.begin(), roles.end(), [&](const MethodRole& one) {
          return one.role == tensor.role && one.is_of_model == module.path().empty();
        });
        EXPECT_NE(role, roles.end()) << folder << " " << tensor.key;
      }
    }
  }
  EXPECT_GT(tensors, 200U);
  EXPECT_TRUE(method_roles("NOTHING").empty());
}

TEST(AdapterRange, IsWhereTheWeightsFileHasTheTensor) {
  for (const auto& folder : adapters_of_peft()) {
    const auto adapter = Adapter::open(folder);
    ASSERT_TRUE(adapter) << folder;
    const auto content = test::read_file(adapter->weights_file());
    for (const auto& tensor : adapter->tensors()) {
      const auto range = adapter->range(tensor.key);
      ASSERT_TRUE(range) << tensor.key;
      EXPECT_EQ(range->path, adapter->weights_file());
      const auto bytes = tensor.tensor.bytes();
      EXPECT_EQ(content.substr(range->offset, range->length),
                std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
    EXPECT_EQ(adapter->range("no such key").error().code, ErrorCode::kNotFound);
  }
}

TEST(AdapterOpen, RefusesAnAdapterWithErrorsUnlessAskedForIt) {
  const test::TempDir dir;
  fs::copy(fs::path(FERRULE_TEST_DATA) / "golden/cases/lora/expected", dir / "a");
  auto config = test::read_file(dir / "a/adapter_config.json");
  const auto at = config.find("\"r\": ");
  ASSERT_NE(at, std::string::npos);
  config.replace(at, 6, "\"r\": 9");
  test::write_file(dir / "a/adapter_config.json", config);
  const auto refused = Adapter::open(dir / "a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  const auto shown = Adapter::open(dir / "a", {.allow_errors = true});
  ASSERT_TRUE(shown);
  EXPECT_TRUE(shown->has_errors());
  EXPECT_EQ(shown->first_error()->rule, refused.error().rule);
  EXPECT_EQ(refused.error().rule, shown->findings()[0].rule);
  EXPECT_EQ(refused.error().path, shown->findings()[0].path);
  EXPECT_TRUE(refused.error().message.starts_with(shown->findings()[0].message));
  EXPECT_FALSE(Adapter::open(fs::path(FERRULE_TEST_DATA) / "golden/cases/lora/expected")
                   .value()
                   .first_error());
}

}  // namespace
}  // namespace ferrule
