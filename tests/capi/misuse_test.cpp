// SPDX-License-Identifier: Apache-2.0
// Wrong calls: null, closed and foreign handles, indexes and numbers out of range.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "capi/c_api.hpp"

namespace ferrule {
namespace {

using test::golden;
using test::OpenedAdapter;
using test::sized;

constexpr auto kInvalid = FERRULE_INVALID_ARGUMENT;

TEST(CMisuse, NullIsRefusedEverywhere) {
  const OpenedAdapter opened(golden("lora") / "expected");
  const auto adapter = opened.handle;
  ferrule_writer writer = {};
  ASSERT_EQ(ferrule_writer_open(&writer, nullptr), FERRULE_OK);
  ferrule_adapter made = {};
  ferrule_base base = {};
  ferrule_report report = {};
  auto tensor = sized<ferrule_tensor>();
  std::uint64_t index = 0;
  std::size_t size = 0;
  char text[4];
  EXPECT_EQ(ferrule_adapter_open(nullptr, nullptr, &made, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_open(".", nullptr, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_open_memory(nullptr, 1, text, 1, nullptr, &made, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_open_memory(text, 1, nullptr, 1, nullptr, &made, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_open_memory(text, 1, text, 1, nullptr, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_describe(adapter, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_config(adapter, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_findings(adapter, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_finding(adapter, 0, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_content_id(adapter, 1, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_live_key(adapter, nullptr, "a", text, 4, &size, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_live_key(adapter, "a", nullptr, text, 4, &size, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_live_key(adapter, "a", "a", nullptr, 4, &size, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_live_key(adapter, "a", "a", text, 4, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_tensor(adapter, 0, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_find_tensor(adapter, nullptr, &tensor, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_module(adapter, 0, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_find_module(adapter, nullptr, &index, nullptr), kInvalid);
  EXPECT_EQ(ferrule_adapter_find_module(adapter, "a", nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_module_tensor(adapter, 0, 0, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_module_find_tensor(adapter, 0, nullptr, &tensor, nullptr), kInvalid);
  EXPECT_EQ(ferrule_method_role(nullptr, 0, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_method_role("LORA", 0, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_base_open(nullptr, nullptr, &base, nullptr), kInvalid);
  EXPECT_EQ(ferrule_base_open(".", nullptr, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_verify(nullptr, nullptr, &report, nullptr), kInvalid);
  EXPECT_EQ(ferrule_verify(".", nullptr, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_check(adapter, base, nullptr, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_check(adapter, base, nullptr, &report, nullptr), kInvalid);
  EXPECT_EQ(ferrule_writer_open(nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_writer_add_tensor(writer, nullptr, 18, &index, 1, text, 4, nullptr), kInvalid);
  EXPECT_EQ(ferrule_writer_add_tensor(writer, "a", 18, nullptr, 1, text, 4, nullptr), kInvalid);
  EXPECT_EQ(ferrule_writer_add_tensor(writer, "a", 18, &index, 1, nullptr, 4, nullptr), kInvalid);
  EXPECT_EQ(ferrule_writer_add_adapter(writer, nullptr, "{}", 2, nullptr), kInvalid);
  EXPECT_EQ(ferrule_writer_add_adapter(writer, "a", nullptr, 2, nullptr), kInvalid);
  EXPECT_EQ(ferrule_writer_save(writer, nullptr, nullptr, nullptr, nullptr), kInvalid);
  EXPECT_EQ(ferrule_writer_close(writer), FERRULE_OK);
}

TEST(CMisuse, ClosedAndForeignHandlesAreRefused) {
  auto info = sized<ferrule_adapter_info>();
  auto error = sized<ferrule_error>();
  ferrule_adapter adapter = {};
  ASSERT_EQ(ferrule_adapter_open((golden("lora") / "expected").c_str(), nullptr, &adapter, nullptr),
            FERRULE_OK);
  EXPECT_EQ(ferrule_report_close({adapter.id}), kInvalid);
  EXPECT_EQ(ferrule_writer_close({adapter.id}), kInvalid);
  EXPECT_EQ(ferrule_base_close({adapter.id}), kInvalid);
  EXPECT_EQ(ferrule_adapter_close(adapter), FERRULE_OK);
  EXPECT_EQ(ferrule_adapter_close(adapter), kInvalid);
  EXPECT_EQ(ferrule_adapter_describe(adapter, &info, &error), kInvalid);
  EXPECT_EQ(error.status, static_cast<std::uint32_t>(kInvalid));
  EXPECT_NE(std::string(error.message).find("closed"), std::string::npos);

  // Another one takes its place, not its name.
  const OpenedAdapter next(golden("ia3") / "expected");
  EXPECT_NE(next.handle.id, adapter.id);
  EXPECT_EQ(ferrule_adapter_describe(adapter, &info, &error), kInvalid);

  for (const std::uint64_t id : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0},
                                 next.handle.id + 1, next.handle.id ^ (std::uint64_t{1} << 40)}) {
    EXPECT_EQ(ferrule_adapter_describe({id}, &info, &error), kInvalid) << id;
    EXPECT_EQ(ferrule_adapter_close({id}), kInvalid) << id;
  }
}

TEST(CMisuse, OneOfTwoThreadsClosesAHandle) {
  for (int round = 0; round < 50; ++round) {
    ferrule_writer writer = {};
    ASSERT_EQ(ferrule_writer_open(&writer, nullptr), FERRULE_OK);
    std::atomic<int> closed = 0;
    const auto close = [&] { closed += ferrule_writer_close(writer) == FERRULE_OK ? 1 : 0; };
    std::thread other(close);
    close();
    other.join();
    EXPECT_EQ(closed, 1);
  }
}

TEST(CMisuse, ManyHandlesAreDistinct) {
  std::vector<ferrule_writer> writers(3000);
  std::set<std::uint64_t> ids;
  for (auto& writer : writers) {
    ASSERT_EQ(ferrule_writer_open(&writer, nullptr), FERRULE_OK);
    ids.insert(writer.id);
  }
  EXPECT_EQ(ids.size(), writers.size());
  for (const auto writer : writers) EXPECT_EQ(ferrule_writer_close(writer), FERRULE_OK);
  for (auto& writer : writers) {
    ASSERT_EQ(ferrule_writer_open(&writer, nullptr), FERRULE_OK);
    EXPECT_TRUE(ids.insert(writer.id).second);
  }
  for (const auto writer : writers) EXPECT_EQ(ferrule_writer_close(writer), FERRULE_OK);
}

TEST(CMisuse, IndexesAndNamesOutOfRange) {
  const OpenedAdapter opened(golden("lora") / "expected");
  auto error = sized<ferrule_error>();
  auto tensor = sized<ferrule_tensor>();
  auto module = sized<ferrule_module>();
  auto finding = sized<ferrule_finding>();
  std::uint64_t index = 7;
  for (const std::uint64_t far : {std::uint64_t{12}, ~std::uint64_t{0}}) {
    EXPECT_EQ(ferrule_adapter_tensor(opened.handle, far, &tensor, &error), kInvalid);
    EXPECT_EQ(ferrule_adapter_module(opened.handle, far, &module, &error), kInvalid);
    EXPECT_EQ(ferrule_module_tensor(opened.handle, far, 0, &tensor, &error), kInvalid);
    EXPECT_EQ(ferrule_module_tensor(opened.handle, 0, far, &tensor, &error), kInvalid);
    EXPECT_EQ(ferrule_module_find_tensor(opened.handle, far, "lora_A", &tensor, &error), kInvalid);
    EXPECT_EQ(ferrule_adapter_finding(opened.handle, far, &finding, &error), kInvalid);
  }
  EXPECT_EQ(ferrule_module_find_tensor(opened.handle, 0, "lora_C", &tensor, &error),
            FERRULE_NOT_FOUND);
  EXPECT_EQ(ferrule_adapter_find_tensor(opened.handle, "", &tensor, &error), FERRULE_NOT_FOUND);
  EXPECT_EQ(ferrule_adapter_find_module(opened.handle, "q_proj", &index, &error),
            FERRULE_NOT_FOUND);
  EXPECT_EQ(index, 7U);
}

TEST(CMisuse, NumbersWithoutAMeaning) {
  const float value = 1;
  const std::uint64_t shape[] = {1};
  auto error = sized<ferrule_error>();
  ferrule_writer writer = {};
  ASSERT_EQ(ferrule_writer_open(&writer, nullptr), FERRULE_OK);
  for (const std::uint32_t dtype : {0U, 23U, ~0U}) {
    EXPECT_EQ(ferrule_writer_add_tensor(writer, "a", dtype, shape, 1, &value, 4, &error), kInvalid);
    EXPECT_EQ(ferrule_dtype_name(dtype), nullptr);
    EXPECT_EQ(ferrule_dtype_bits(dtype), 0U);
  }
  EXPECT_EQ(ferrule_writer_add_tensor(writer, "a", FERRULE_F32, shape, ~std::uint64_t{0}, &value, 4,
                                      &error),
            kInvalid);
  EXPECT_EQ(ferrule_writer_add_tensor(writer, "a", FERRULE_F32, shape, 1, &value, 8, &error),
            kInvalid);
  const std::uint64_t huge[] = {~std::uint64_t{0}, ~std::uint64_t{0}};
  EXPECT_EQ(ferrule_writer_add_tensor(writer, "a", FERRULE_F32, huge, 2, &value, 4, &error),
            kInvalid);
  auto saving = sized<ferrule_save_options>();
  saving.flags = FERRULE_SAVE_FAST | FERRULE_SAVE_FULL;
  EXPECT_EQ(ferrule_writer_save(writer, "/tmp/never", &saving, nullptr, &error), kInvalid);
  saving.flags = 64;
  EXPECT_EQ(ferrule_writer_save(writer, "/tmp/never", &saving, nullptr, &error), kInvalid);
  saving.flags = 0;
  saving.dtype = FERRULE_I8;
  EXPECT_EQ(ferrule_writer_save(writer, "/tmp/never", &saving, nullptr, &error), kInvalid);
  auto opening = sized<ferrule_open_options>();
  opening.flags = 4;
  ferrule_adapter adapter = {};
  EXPECT_EQ(ferrule_adapter_open(".", &opening, &adapter, &error), kInvalid);
  EXPECT_STREQ(ferrule_status_name(99), "unknown");
  ferrule_writer_close(writer);
}

}  // namespace
}  // namespace ferrule
