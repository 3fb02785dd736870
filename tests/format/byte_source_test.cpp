// SPDX-License-Identifier: Apache-2.0
#include "format/byte_source.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

using namespace std::string_view_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(LoadLe, ReadsTheLowestByteFirstAtAnyOffset) {
  const auto bytes = bytes_of("\xff\x01\x02\x03\x04\x05\x06\x07\x88"sv);
  EXPECT_EQ(load_le<std::uint8_t>(bytes, 0), 0xff);
  EXPECT_EQ(load_le<std::uint16_t>(bytes, 1), 0x0201);
  EXPECT_EQ(load_le<std::uint32_t>(bytes, 1), 0x04030201U);
  EXPECT_EQ(load_le<std::uint64_t>(bytes, 1), 0x8807060504030201ULL);
  EXPECT_EQ(load_le<std::uint16_t>(bytes, 7), 0x8807);
}

TEST(AppendLe, WritesTheLowestByteFirst) {
  std::string out = "x";
  append_le<std::uint16_t>(out, 0x0201);
  append_le<std::uint32_t>(out, 0xfffefdfcU);
  append_le<std::uint64_t>(out, 0x8877665544332211ULL);
  EXPECT_EQ(out, "x\x01\x02\xfc\xfd\xfe\xff\x11\x22\x33\x44\x55\x66\x77\x88"sv);
}

TEST(MemorySources, ReadAnyPart) {
  const MemorySource source(bytes_of("abcdef"));
  EXPECT_EQ(source.size(), 6U);
  const auto middle = source.read(2, 3);
  ASSERT_TRUE(middle);
  EXPECT_EQ((*middle)[0], std::byte{'c'});
  EXPECT_EQ(middle->size(), 3U);
  EXPECT_TRUE(source.read(6, 0).value().empty());
}

TEST(MemorySources, MayBeEmpty) {
  const MemorySource source({});
  EXPECT_EQ(source.size(), 0U);
  EXPECT_TRUE(source.read(0, 0).value().empty());
}

/// A disk that fails.
class BrokenSource final : public ByteSource {
 public:
  std::uint64_t size() const noexcept override { return 100; }
  Result<void> read_at(std::uint64_t, std::span<std::byte>) const override {
    return Error{.code = ErrorCode::kIo, .message = "broken", .system_errno = 5};
  }
};

TEST(ByteSources, PassOnWhyAReadFailed) {
  const auto read = BrokenSource().read(0, 10);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kIo);
  EXPECT_EQ(read.error().system_errno, 5);
}

}  // namespace
}  // namespace ferrule::format
