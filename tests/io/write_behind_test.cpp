// SPDX-License-Identifier: Apache-2.0
#include "io/write_behind.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ferrule::io {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

class Memory : public OutputFile {
 public:
  Result<void> write(std::span<const std::span<const std::byte>> pieces) override {
    for (const auto& piece : pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
    ++writes;
    if (std::this_thread::get_id() != caller) ++writes_elsewhere;
    if (writes == throws_at) throw std::runtime_error("thrown");
    if (writes == fails_at) return Error{.code = ErrorCode::kIo, .message = "the disk is full"};
    return {};
  }
  using OutputFile::write;
  Result<void> reserve(std::uint64_t) override { return {}; }
  Result<void> write_at(std::uint64_t, std::span<const std::byte>) override { return {}; }
  Result<FileIdentity> identity() const override { return FileIdentity{}; }

  std::thread::id caller = std::this_thread::get_id();
  std::vector<std::byte> bytes;
  int writes = 0;
  int writes_elsewhere = 0;
  int fails_at = 0;
  int throws_at = 0;
};

std::vector<std::byte> numbered(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::uint32_t state = 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24U);
  }
  return bytes;
}

TEST(WriteBehind, WritesPiecesOfAllSizesInOrder) {
  const auto content = numbered(11 * kMiB + 12345);
  Memory memory;
  WriteBehind behind(memory);
  const std::span<const std::byte> all(content);
  for (std::size_t at = 0, size = 1; at < all.size(); size = size * 3 % (5 * kMiB) + 1) {
    const auto piece = all.subspan(at, std::min(size, all.size() - at));
    ASSERT_TRUE(behind.append(piece));
    at += piece.size();
  }
  ASSERT_TRUE(behind.finish());
  EXPECT_EQ(memory.bytes, content);
  EXPECT_GT(memory.writes_elsewhere, 3);
}

TEST(WriteBehind, TakesMoreAfterFinish) {
  const auto content = numbered(6 * kMiB);
  Memory memory;
  WriteBehind behind(memory);
  ASSERT_TRUE(behind.append(std::span(content).first(5 * kMiB)));
  ASSERT_TRUE(behind.finish());
  ASSERT_EQ(memory.bytes.size(), 5 * kMiB);
  ASSERT_TRUE(behind.append(std::span(content).subspan(5 * kMiB)));
  ASSERT_TRUE(behind.finish());
  EXPECT_EQ(memory.bytes, content);
}

TEST(WriteBehind, WritesLittleWithoutAThread) {
  const auto content = numbered(kMiB);
  Memory memory;
  WriteBehind behind(memory);
  ASSERT_TRUE(behind.append(content));
  EXPECT_EQ(memory.writes, 0);
  ASSERT_TRUE(behind.finish());
  EXPECT_EQ(memory.writes, 1);
  EXPECT_EQ(memory.writes_elsewhere, 0);
}

TEST(WriteBehind, HandsBackWhatTheOutputSaid) {
  const auto content = numbered(16 * kMiB);
  for (const int when : {1, 2, 3}) {
    Memory memory;
    memory.fails_at = when;
    WriteBehind behind(memory);
    auto done = behind.append(content);
    if (done) done = behind.finish();
    ASSERT_FALSE(done) << when;
    EXPECT_EQ(done.error().message, "the disk is full");
    EXPECT_FALSE(behind.finish()) << "the rest must not follow the gap";
    EXPECT_LE(memory.writes, when + 1);
  }
}

TEST(WriteBehind, HandsBackWhatTheOutputThrew) {
  const auto content = numbered(16 * kMiB);
  Memory memory;
  memory.throws_at = 2;
  WriteBehind behind(memory);
  EXPECT_THROW((void)behind.append(content), std::runtime_error);
}

TEST(WriteBehind, EndsWithoutFinish) {
  const auto content = numbered(7 * kMiB);
  Memory memory;
  {
    WriteBehind behind(memory);
    ASSERT_TRUE(behind.append(content));
  }
  ASSERT_LE(memory.bytes.size(), content.size());
  EXPECT_TRUE(std::equal(memory.bytes.begin(), memory.bytes.end(), content.begin()));
}

}  // namespace
}  // namespace ferrule::io
