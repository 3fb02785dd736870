// SPDX-License-Identifier: Apache-2.0
#include "format/zip/crc32.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

std::uint32_t crc_of(std::string_view text, std::uint32_t before = 0) {
  return crc32(before, std::as_bytes(std::span(text)));
}

TEST(Crc32, HasTheCheckValueOfItsDefinition) {
  EXPECT_EQ(crc_of("123456789"), 0xcbf43926U);  // RevEng catalogue, CRC-32/ISO-HDLC.
}

TEST(Crc32, AgreesWithZlib) {
  EXPECT_EQ(crc_of(""), 0U);
  EXPECT_EQ(crc_of("a"), 0xe8b7be43U);
  EXPECT_EQ(crc_of(std::string(32, '\0')), 0x190a55adU);
  EXPECT_EQ(crc_of(std::string(32, '\xff')), 0xff6cab0bU);
  EXPECT_EQ(crc_of("The quick brown fox jumps over the lazy dog"), 0x414fa339U);
}

TEST(Crc32, OfPartsIsThatOfTheWhole) {
  constexpr std::string_view kText = "123456789";
  for (std::size_t cut = 0; cut <= kText.size(); ++cut) {
    EXPECT_EQ(crc_of(kText.substr(cut), crc_of(kText.substr(0, cut))), 0xcbf43926U) << cut;
  }
}

}  // namespace
}  // namespace ferrule::format
