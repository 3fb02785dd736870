// SPDX-License-Identifier: Apache-2.0
#include "io/digesting_file.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::io {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// Keeps what it is given; fails on request.
class MemoryFile final : public OutputFile {
 public:
  Result<void> write(std::span<const std::span<const std::byte>> pieces) override {
    if (fails) return Error{.code = ErrorCode::kIo, .message = "full"};
    for (const auto& piece : pieces) {
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    return {};
  }
  Result<void> reserve(std::uint64_t bytes) override {
    reserved = bytes;
    return {};
  }
  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> piece) override {
    text.replace(offset, piece.size(), reinterpret_cast<const char*>(piece.data()), piece.size());
    return {};
  }
  std::uint64_t bytes_written() const noexcept override { return text.size(); }
  Result<FileIdentity> identity() const override { return FileIdentity{}; }

  std::string text;
  std::uint64_t reserved = 0;
  bool fails = false;
};

// FIPS 180-2, appendix B.1.
constexpr std::string_view kAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(DigestingFiles, SumUpWhatTheyPassOn) {
  MemoryFile memory;
  DigestingFile file(memory);
  const std::vector<std::span<const std::byte>> pieces = {bytes_of("a"), bytes_of(""),
                                                          bytes_of("b")};
  OutputFile& output = file;
  ASSERT_TRUE(output.reserve(3));
  ASSERT_TRUE(output.write(pieces));
  ASSERT_TRUE(output.write(bytes_of("c")));
  EXPECT_EQ(memory.text, "abc");
  EXPECT_EQ(memory.reserved, 3U);
  EXPECT_EQ(file.bytes_written(), 3U);
  EXPECT_EQ(file.sha256(), kAbc);
}

TEST(DigestingFiles, OfNothingHaveTheSumOfNothing) {
  MemoryFile memory;
  EXPECT_EQ(DigestingFile(memory).sha256(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(DigestingFiles, HaveNoSumIfSomethingWasOverwritten) {
  MemoryFile memory;
  DigestingFile file(memory);
  ASSERT_TRUE(file.write(bytes_of("abc")));
  ASSERT_TRUE(file.write_at(1, bytes_of("x")));
  EXPECT_EQ(memory.text, "axc");
  EXPECT_FALSE(file.sha256());
}

TEST(DigestingFiles, PassOnFailures) {
  MemoryFile memory;
  memory.fails = true;
  DigestingFile file(memory);
  EXPECT_EQ(file.write(bytes_of("abc")).error().message, "full");
}

}  // namespace
}  // namespace ferrule::io
