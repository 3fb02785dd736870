// SPDX-License-Identifier: Apache-2.0
#include "adapter/folder_memo.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/zip/crc32.hpp"

namespace ferrule::adapter {
namespace {

const SummaryTemplate& shared_summary() {
  static const SummaryTemplate made = [] {
    SummaryTemplate shared;
    shared.summary.peft_type = "LORA";
    shared.summary.task_type = "CAUSAL_LM";
    shared.summary.base_model = "base";
    shared.summary.rank = 8;
    shared.summary.alpha = 0.5;
    shared.summary.weights_file = "adapter_model.safetensors";
    shared.summary.totals.dtypes[Dtype::kBF16] = 4;
    shared.summary.findings.push_back(
        {Severity::kNote, "CF-4", {}, "key", "message", "advice", "module"});
    shared.places.push_back(FindingPlace::kConfig);
    return shared;
  }();
  return made;
}

std::vector<RememberedAdapter> two_adapters() {
  const auto* const summary = &shared_summary();
  return {{"a/b", std::nullopt, {1, 2, 3, -4, 5}, {6, 7, 8, 9, 10}, {}, summary},
          {"c", "another base", {}, {}, {11, 12, 13, 14, 15}, summary}};
}

TEST(FolderMemoFormat, GivesBackWhatWasWritten) {
  const auto text = encode_memo(two_adapters(), "stamp");
  const auto read = decode_memo(text, "stamp");
  ASSERT_TRUE(read);
  const auto& adapters = read->adapters;
  EXPECT_EQ(encode_memo(adapters, "stamp"), text);
  EXPECT_EQ(read->summaries.size(), 1U);
  EXPECT_EQ(adapters[0].path, "a/b");
  EXPECT_EQ(adapters[0].directory, (io::FileIdentity{1, 2, 3, -4, 5}));
  const auto summary = adapters[1].summary->in("/x", adapters[1].base_model);
  EXPECT_EQ(summary.base_model, "another base");
  EXPECT_EQ(adapters[0].summary->in("/x", adapters[0].base_model).base_model, "base");
  EXPECT_EQ(summary.alpha, 0.5);
  EXPECT_EQ(summary.findings.at(0).path, "/x/adapter_config.json");
  EXPECT_EQ(summary.findings.at(0).module, "module");
  EXPECT_FALSE(decode_memo(text, "another"));
}

TEST(FolderMemoFormat, PathsAreInOrderAndDiffer) {
  auto adapters = two_adapters();
  adapters[1].path = adapters[0].path;
  EXPECT_FALSE(decode_memo(encode_memo(adapters, "stamp"), "stamp"));
  adapters[1].path = "a/a";
  EXPECT_FALSE(decode_memo(encode_memo(adapters, "stamp"), "stamp"));
}

/// With the checksum that fits, so that the rest is looked at.
std::string with_sum(std::string text) {
  const std::uint64_t sum = format::crc32(0, std::as_bytes(std::span(text.data(), text.size())));
  return text.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
}

TEST(FolderMemoFormat, DamageAnywhereIsNoticed) {
  const auto text = encode_memo(two_adapters(), "stamp");
  const auto body = text.substr(0, text.size() - 8);
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto bad = text;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    EXPECT_FALSE(decode_memo(bad, "stamp")) << i;
    EXPECT_FALSE(decode_memo(text.substr(0, i), "stamp")) << i;
  }
  for (std::size_t i = 0; i < body.size(); ++i) {
    EXPECT_FALSE(decode_memo(with_sum(body.substr(0, i)), "stamp")) << i;
    for (const char value : {'\0', '\x7f', '\xff'}) {
      auto bad = body;
      bad[i] = value;
      // It may still be a memo, of something else: it must not do harm.
      if (const auto read = decode_memo(with_sum(bad), "stamp")) {
        EXPECT_LE(read->adapters.size(), 2U);
      }
    }
  }
  EXPECT_FALSE(decode_memo(with_sum(body + "x"), "stamp"));
}

}  // namespace
}  // namespace ferrule::adapter
