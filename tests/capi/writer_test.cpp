// SPDX-License-Identifier: Apache-2.0
// Saving and checking through the C interface: PEFT's own files, to the bit.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "capi/c_api.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using test::golden;
using test::OpenedAdapter;
using test::sized;
using test::view;

/// The adapter's tensors under their live keys, in a writer.
class Rewritten {
 public:
  explicit Rewritten(const OpenedAdapter& from) {
    EXPECT_EQ(ferrule_writer_open(&writer, &error), FERRULE_OK);
    auto info = sized<ferrule_adapter_info>();
    EXPECT_EQ(ferrule_adapter_describe(from.handle, &info, &error), FERRULE_OK);
    for (std::uint64_t i = 0; i < info.tensor_count; ++i) {
      auto tensor = sized<ferrule_tensor>();
      EXPECT_EQ(ferrule_adapter_tensor(from.handle, i, &tensor, &error), FERRULE_OK);
      char key[512];
      std::size_t size = 0;
      EXPECT_EQ(ferrule_adapter_live_key(from.handle, std::string(view(tensor.key)).c_str(),
                                         "default", key, sizeof key, &size, &error),
                FERRULE_OK);
      EXPECT_EQ(ferrule_writer_add_tensor(writer, key, tensor.dtype, tensor.shape, tensor.rank,
                                          tensor.data, tensor.size, &error),
                FERRULE_OK)
          << error.message;
    }
    ferrule_text config = {};
    EXPECT_EQ(ferrule_adapter_config(from.handle, &config, &error), FERRULE_OK);
    EXPECT_EQ(ferrule_writer_add_adapter(writer, "default", config.data, config.size, &error),
              FERRULE_OK);
  }
  Rewritten(const Rewritten&) = delete;
  Rewritten& operator=(const Rewritten&) = delete;
  ~Rewritten() { ferrule_writer_close(writer); }

  ferrule_writer writer = {};
  ferrule_error error = sized<ferrule_error>();
};

TEST(CWriter, WritesPeftsOwnFiles) {
  for (const auto* name : {"lora", "ia3", "loha", "lokr", "ada", "bf16"}) {
    SCOPED_TRACE(name);
    const test::TempDir dir;
    const auto folder = golden(name) / "expected";
    const OpenedAdapter opened(folder);
    ASSERT_EQ(opened.status, FERRULE_OK) << opened.error.message;
    Rewritten rewritten(opened);
    auto options = sized<ferrule_save_options>();
    options.flags = FERRULE_SAVE_FAST;
    ferrule_report report = {};
    ASSERT_EQ(ferrule_writer_save(rewritten.writer, (dir / "a").c_str(), &options, &report,
                                  &rewritten.error),
              FERRULE_OK)
        << rewritten.error.message;
    EXPECT_EQ(test::read_file(dir / "a/adapter_model.safetensors"),
              test::read_file(folder / "adapter_model.safetensors"));
    EXPECT_TRUE(fs::exists(dir / "a/README.md"));
    ferrule_text json = {};
    ASSERT_EQ(ferrule_report_json(report, &json, nullptr), FERRULE_OK);
    EXPECT_NE(view(json).find("\"adapters\""), std::string_view::npos);
    EXPECT_EQ(ferrule_report_close(report), FERRULE_OK);
  }
}

TEST(CWriter, OptionsDecideFormatDtypeAndCard) {
  const test::TempDir dir;
  const OpenedAdapter opened(golden("lora") / "expected");
  Rewritten rewritten(opened);
  auto options = sized<ferrule_save_options>();
  options.flags = FERRULE_SAVE_BIN | FERRULE_SAVE_NO_CARD | FERRULE_SAVE_FAST;
  options.dtype = FERRULE_BF16;
  ASSERT_EQ(ferrule_writer_save(rewritten.writer, (dir / "a").c_str(), &options, nullptr,
                                &rewritten.error),
            FERRULE_OK);
  EXPECT_TRUE(fs::exists(dir / "a/adapter_model.bin"));
  EXPECT_FALSE(fs::exists(dir / "a/README.md"));
  const OpenedAdapter half(dir / "a");
  ASSERT_EQ(half.status, FERRULE_OK);
  auto tensor = sized<ferrule_tensor>();
  ASSERT_EQ(ferrule_adapter_tensor(half.handle, 0, &tensor, nullptr), FERRULE_OK);
  EXPECT_STREQ(ferrule_dtype_name(tensor.dtype), "BF16");
  EXPECT_EQ(ferrule_dtype_bits(tensor.dtype), 16U);
}

TEST(CWriter, ABadAdapterIsRefusedAndNothingIsWritten) {
  const test::TempDir dir;
  auto error = sized<ferrule_error>();
  ferrule_writer writer = {};
  ASSERT_EQ(ferrule_writer_open(&writer, &error), FERRULE_OK);
  const std::vector<float> values(8);
  const std::uint64_t shape[] = {2, 4};
  ASSERT_EQ(ferrule_writer_add_tensor(writer, "base_model.model.q.lora_A.default.weight",
                                      FERRULE_F32, shape, 2, values.data(), 32, &error),
            FERRULE_OK);
  EXPECT_EQ(ferrule_writer_add_tensor(writer, "base_model.model.q.lora_A.default.weight",
                                      FERRULE_F32, shape, 2, values.data(), 32, &error),
            FERRULE_INVALID_ARGUMENT);
  const std::string config = R"({"peft_type": "LORA", "r": 2, "target_modules": ["q"]})";
  ASSERT_EQ(ferrule_writer_add_adapter(writer, "default", config.data(), config.size(), &error),
            FERRULE_OK);
  EXPECT_EQ(ferrule_writer_add_adapter(writer, "default", config.data(), config.size(), &error),
            FERRULE_INVALID_ARGUMENT);
  ferrule_report report = {};
  EXPECT_EQ(ferrule_writer_save(writer, (dir / "a").c_str(), nullptr, &report, &error),
            FERRULE_CORRUPT);
  EXPECT_STREQ(error.rule, "AD-4");
  EXPECT_EQ(report.id, 0U);
  EXPECT_FALSE(fs::exists(dir / "a"));
  ferrule_writer_close(writer);
}

TEST(CCheck, SaysWhetherTheBaseHasTheModules) {
  const test::TempDir dir;
  test::write_file(dir / "config.json", R"({"architectures": ["LlamaForCausalLM"]})");
  auto error = sized<ferrule_error>();
  ferrule_base base = {};
  ASSERT_EQ(ferrule_base_open(dir.path().c_str(), nullptr, &base, &error), FERRULE_OK)
      << error.message;
  auto described = sized<ferrule_base_info>();
  ASSERT_EQ(ferrule_base_describe(base, &described, &error), FERRULE_OK);
  EXPECT_EQ(described.has_tensors, 0U);
  EXPECT_EQ(view(described.class_name), "LlamaForCausalLM");
  const OpenedAdapter opened(golden("lora") / "expected");
  ferrule_report report = {};
  ASSERT_EQ(ferrule_check(opened.handle, base, nullptr, &report, &error), FERRULE_OK);
  auto info = sized<ferrule_report_info>();
  ASSERT_EQ(ferrule_report_describe(report, &info, &error), FERRULE_OK);
  EXPECT_EQ(view(info.verdict), "unknown");
  EXPECT_EQ(info.good, 0U);
  EXPECT_EQ(info.total, 6U);
  EXPECT_EQ(ferrule_report_close(report), FERRULE_OK);
  auto options = sized<ferrule_check_options>();
  options.engines = "vllm,nothing";
  EXPECT_EQ(ferrule_check(opened.handle, base, &options, &report, &error),
            FERRULE_INVALID_ARGUMENT);
  EXPECT_EQ(ferrule_base_close(base), FERRULE_OK);
}

TEST(CVerify, ReportsWhatIsWrongAndFailsOnlyIfNothingCouldBeRead) {
  const test::TempDir dir;
  auto error = sized<ferrule_error>();
  ferrule_report report = {};
  EXPECT_EQ(ferrule_verify((dir / "none").c_str(), nullptr, &report, &error), FERRULE_NOT_FOUND);
  fs::copy(golden("lora") / "expected", dir / "a", fs::copy_options::recursive);
  fs::resize_file(dir / "a/adapter_model.safetensors", 100);
  ASSERT_EQ(ferrule_verify((dir / "a").c_str(), nullptr, &report, &error), FERRULE_OK);
  auto info = sized<ferrule_report_info>();
  ASSERT_EQ(ferrule_report_describe(report, &info, &error), FERRULE_OK);
  EXPECT_EQ(view(info.verdict), "bad");
  ASSERT_GE(info.finding_count, 1U);
  auto finding = sized<ferrule_finding>();
  ASSERT_EQ(ferrule_report_finding(report, 0, &finding, &error), FERRULE_OK);
  EXPECT_EQ(view(finding.rule).substr(0, 3), "ST-");
  EXPECT_EQ(ferrule_report_close(report), FERRULE_OK);
  auto options = sized<ferrule_verify_options>();
  const std::string id(64, '0');
  options.id = id.c_str();
  ASSERT_EQ(ferrule_verify((golden("lora") / "expected").c_str(), &options, &report, &error),
            FERRULE_OK);
  ASSERT_EQ(ferrule_report_finding(report, 0, &finding, &error), FERRULE_OK);
  EXPECT_EQ(view(finding.rule), "AD-30");
  EXPECT_EQ(ferrule_report_close(report), FERRULE_OK);
}

}  // namespace
}  // namespace ferrule
