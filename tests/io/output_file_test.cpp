// SPDX-License-Identifier: Apache-2.0
#include "io/output_file.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::io {
namespace {

class Recorder final : public OutputFile {
 public:
  using OutputFile::write;
  Result<void> write(std::span<const std::span<const std::byte>> pieces) override {
    ++calls;
    for (const auto& piece : pieces) {
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    if (text.size() > 5) return Error{.code = ErrorCode::kIo, .message = "full"};
    return {};
  }
  Result<void> reserve(std::uint64_t) override { return {}; }
  Result<void> write_at(std::uint64_t, std::span<const std::byte>) override { return {}; }
  std::uint64_t bytes_written() const noexcept override { return text.size(); }
  Result<FileIdentity> identity() const override { return FileIdentity{}; }

  int calls = 0;
  std::string text;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(OutputFiles, TakeOnePieceAsAListOfOne) {
  Recorder file;
  ASSERT_TRUE(file.write(bytes_of("abc")));
  ASSERT_TRUE(file.write(bytes_of("")));
  EXPECT_EQ(file.text, "abc");
  EXPECT_EQ(file.calls, 2);
}

TEST(OutputFiles, PassOnTheFailure) {
  Recorder file;
  EXPECT_EQ(file.write(bytes_of("abcdef")).error().message, "full");
}

}  // namespace
}  // namespace ferrule::io
