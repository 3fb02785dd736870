// SPDX-License-Identifier: Apache-2.0
#include "format/gguf/gguf_header.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace ferrule::format {
namespace {

/// A good file: five keys and two tensors.
std::vector<std::byte> good_file() {
  const std::vector<GgufKey> keys = {{"general.architecture", std::string("llama")},
                                     {"adapter.lora.alpha", 16.0},
                                     {"count", std::int64_t{3}},
                                     {"flag", true},
                                     {"tokens", std::vector<std::int64_t>{4, 5}}};
  std::vector<GgufTensor> tensors(2);
  tensors[0] = {.name = "a", .extents = {3, 2}, .type = kGgufF32, .offset = 0, .bytes = 24};
  tensors[1] = {.name = "b", .extents = {32}, .type = kGgufQ8_0, .offset = 0, .bytes = 34};
  auto file = encode_gguf(keys, tensors);
  file.resize(tensors[1].offset + 34);
  return file;
}

/// The file with other bytes at the first place where `from` is.
std::vector<std::byte> changed(std::string_view from, std::string_view to) {
  auto file = good_file();
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const auto at = text.find(from);
  EXPECT_NE(at, std::string_view::npos);
  std::memcpy(file.data() + at, to.data(), to.size());
  return file;
}

std::string rule_of(std::span<const std::byte> file) {
  const auto parsed = parse_gguf(file);
  return parsed ? "" : parsed.error().rule;
}

TEST(GgufHeader, ReadsWhatItWrites) {
  const auto file = good_file();
  const auto header = parse_gguf(file).value();
  EXPECT_EQ(header.text("general.architecture"), "llama");
  EXPECT_EQ(header.number("adapter.lora.alpha"), 16.0);
  EXPECT_EQ(header.number("count"), 3.0);
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(*header.find("tokens")).size(), 2U);
  ASSERT_EQ(header.tensors.size(), 2U);
  EXPECT_EQ(header.tensors[0].offset % 32, 0U);
  EXPECT_EQ(header.tensors[1].offset, header.tensors[0].offset + 32);
}

TEST(GgufHeader, RefusesEveryShorterFile) {
  const auto file = good_file();
  for (std::size_t size = 0; size < file.size(); ++size) {
    ASSERT_FALSE(parse_gguf(std::span(file).first(size))) << size;
  }
}

TEST(GgufHeader, SurvivesEveryChangedByte) {
  const auto file = good_file();
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const int value : {0, 1, 0x7f, 0xff}) {
      auto bad = file;
      bad[at] = static_cast<std::byte>(value);
      (void)parse_gguf(bad);
    }
  }
}

TEST(GgufHeader, RefusesWhatTheRulesSay) {
  EXPECT_EQ(rule_of(changed("GGUF", "GGML")), "EX-13");
  EXPECT_EQ(
      rule_of(changed(std::string_view("GGUF\3\0\0\0", 8), std::string_view("GGUF\0\0\0\3", 8))),
      "EX-13");
  EXPECT_EQ(rule_of(changed(std::string_view("GGUF\3\0\0\0\2", 9),
                            std::string_view("GGUF\3\0\0\0\xff", 9))),
            "EX-13");
  EXPECT_EQ(rule_of(changed("count", "flag\x01")), "");
  EXPECT_EQ(rule_of(changed(std::string_view("count\4", 6), std::string_view("count\x0d", 6))),
            "EX-14");
  EXPECT_EQ(rule_of(changed(std::string_view("flag\7\0\0\0\1", 9),
                            std::string_view("flag\7\0\0\0\2", 9))),
            "EX-14");
  EXPECT_EQ(rule_of(changed(std::string_view("\1\0\0\0\0\0\0\0b", 9),
                            std::string_view("\1\0\0\0\0\0\0\0a", 9))),
            "EX-15");
  EXPECT_EQ(
      rule_of(changed(std::string_view("a\2\0\0\0\3", 6), std::string_view("a\5\0\0\0\3", 6))),
      "EX-15");
  EXPECT_EQ(
      rule_of(changed(std::string_view("b\1\0\0\0\x20", 6), std::string_view("b\1\0\0\0\x21", 6))),
      "EX-15");
}

}  // namespace
}  // namespace ferrule::format
