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

// The example of RFC 1321.
TEST(Md5Test, MatchesTheStandardsExample) {
  auto md5 = Md5::make();
  ASSERT_TRUE(md5);
  md5->update(bytes("message "));
  md5->update(bytes("digest"));
  EXPECT_EQ(to_hex(md5->finish()), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(to_hex(md5->finish()), "d41d8cd98f00b204e9800998ecf8427e");
}

}  // namespace
}  // namespace ferrule::io
