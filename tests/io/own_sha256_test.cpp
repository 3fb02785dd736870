// SPDX-License-Identifier: Apache-2.0
#include "io/own_sha256.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "io/digest.hpp"

namespace ferrule::io {
namespace {

TEST(OwnSha256, IsOpenSslsAtEveryLength) {
  std::string text;
  OwnSha256 ours;
  Sha256 theirs;
  for (std::size_t size = 0; size < 300; ++size) {
    const auto bytes = std::as_bytes(std::span(text));
    ours.update(bytes);
    theirs.update(bytes);
    ASSERT_EQ(ours.finish(), theirs.finish()) << size;
    text += static_cast<char>(size * 7);
  }
}

TEST(OwnSha256, PiecesMakeTheSameSum) {
  const std::string text(1'000, 'x');
  const auto bytes = std::as_bytes(std::span(text));
  OwnSha256 whole;
  whole.update(bytes);
  for (const std::size_t step : {1U, 63U, 64U, 65U}) {
    OwnSha256 pieces;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      pieces.update(bytes.subspan(at, std::min(step, bytes.size() - at)));
    }
    OwnSha256 again = whole;
    EXPECT_EQ(pieces.finish(), again.finish()) << step;
  }
}

}  // namespace
}  // namespace ferrule::io
