// SPDX-License-Identifier: Apache-2.0
#include "base/ascii.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace ferrule::base {
namespace {

TEST(Ascii, TenOfAllBytesAreDigits) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    EXPECT_EQ(is_digit(c), std::string_view("0123456789").find(c) != std::string_view::npos)
        << byte;
  }
}

TEST(Ascii, ANumberIsDigitsAlone) {
  EXPECT_TRUE(is_number("0"));
  EXPECT_TRUE(is_number("0123456789"));
  for (const auto* text : {"", "-1", "1.", " 1", "1a", "\xd9\xa1"})
    EXPECT_FALSE(is_number(text)) << text;
}

}  // namespace
}  // namespace ferrule::base
