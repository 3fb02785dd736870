// SPDX-License-Identifier: Apache-2.0
// Bytes laid out by hand from ggml's docs/gguf.md; tests/exchange compares with the gguf package.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "format/gguf/gguf_header.hpp"

namespace ferrule::format {
namespace {

using std::string_view_literals::operator""sv;

std::string text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(GgufEncode, AHeaderIsMagicVersionCountsAndKeys) {
  const std::vector<GgufKey> keys = {{"a.text", std::string("hi")}, {"b.real", 1.5}};
  auto got = text(encode_gguf(keys, {}));
  const auto want =
      "GGUF\x03\0\0\0"
      "\0\0\0\0\0\0\0\0"
      "\x02\0\0\0\0\0\0\0"
      "\x06\0\0\0\0\0\0\0a.text\x08\0\0\0\x02\0\0\0\0\0\0\0hi"
      "\x06\0\0\0\0\0\0\0b.real\x06\0\0\0\0\0\xc0\x3f"sv;
  ASSERT_GE(got.size(), want.size());
  EXPECT_EQ(got.substr(0, want.size()), want);
  EXPECT_EQ(got.size() % kGgufAlignment, 0U) << "the data begins aligned";
}

TEST(GgufEncode, TensorsGetAlignedPlacesInTheFile) {
  std::vector<GgufTensor> tensors(2);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].name = i == 0 ? "one" : "two";
    tensors[i].extents = {5};
    tensors[i].bytes = 20;
  }
  const auto header = encode_gguf({}, tensors);
  EXPECT_EQ(tensors[0].offset, header.size());
  EXPECT_EQ(tensors[1].offset, header.size() + kGgufAlignment);
}

}  // namespace
}  // namespace ferrule::format
