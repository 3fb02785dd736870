// SPDX-License-Identifier: Apache-2.0
#include "format/zip/inflate.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

using namespace std::string_view_literals;

// Made by zlib: 40 letters a in a fixed Huffman block; "hello" in a stored block (RFC 1951, 3.2.4).
constexpr std::string_view kLetters = "\x4b\x4c\x24\x0e\x00\x00"sv;
constexpr std::string_view kStored = "\x01\x05\x00\xfa\xffhello"sv;

Result<std::string> inflated(std::string_view packed, std::uint64_t bytes) {
  auto out = inflate(std::as_bytes(std::span(packed)), bytes);
  if (!out) return out.error();
  return std::string(reinterpret_cast<const char*>(out->data()), out->size());
}

TEST(Inflate, UnpacksWhatZlibPacked) {
  EXPECT_EQ(inflated(kLetters, 40).value(), std::string(40, 'a'));
  EXPECT_EQ(inflated(kStored, 5).value(), "hello");
  EXPECT_EQ(inflated("\x03\x00"sv, 0).value(), "");
}

struct Row {
  const char* what;
  std::string_view packed;
  std::uint64_t bytes;
};

TEST(Inflate, RefusesAnythingButTheAnnouncedSize) {
  const Row rows[] = {
      {"announced too short", kLetters, 39},
      {"announced too long", kLetters, 41},
      {"announced empty", kLetters, 0},
      {"nothing packed", "", 0},
      {"cut short", kLetters.substr(0, 4), 40},
      {"bytes after the end", "\x01\x05\x00\xfa\xffhello!"sv, 5},
      {"stored lengths disagree", "\x01\x05\x00\xfa\xfehello"sv, 5},
      {"reserved block type", "\x07"sv, 0},
      {"distance before the start", "\x4b\x04\x23\x00"sv, 4},
  };
  for (const auto& row : rows) {
    const auto result = inflated(row.packed, row.bytes);
    ASSERT_FALSE(result) << row.what;
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt) << row.what;
    EXPECT_EQ(result.error().rule, "TZ-7") << row.what;
  }
}

}  // namespace
}  // namespace ferrule::format
