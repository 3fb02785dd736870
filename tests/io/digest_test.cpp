// SPDX-License-Identifier: Apache-2.0
#include "io/digest.hpp"

#include <gtest/gtest.h>

#include <span>
#include <string_view>

namespace ferrule::io {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// The examples of FIPS 180-4.
TEST(Sha256Test, MatchesTheStandardsExamples) {
  Sha256 sha;
  EXPECT_EQ(to_hex(sha.finish()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  sha.update(bytes("abc"));
  EXPECT_EQ(to_hex(sha.finish()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, PiecesSumAsTheWhole) {
  Sha256 sha;
  sha.update(bytes("a"));
  sha.update({});
  sha.update(bytes("bc"));
  EXPECT_EQ(to_hex(sha.finish()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace ferrule::io
