// SPDX-License-Identifier: Apache-2.0
#include "io/mapping.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

using test::read_file;
using test::TempDir;
using test::write_file;

/// Every byte depends on its place, so that parts read to the wrong place show.
std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 2654435761U) >> 13);
  return text;
}

bool same(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() == text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

class MappingOf : public testing::TestWithParam<Backing> {};

TEST_P(MappingOf, HoldsTheFile) {
  TempDir dir;
  for (const std::size_t size : {1U, 4095U, 4096U, (2U << 20) + 1, (41U << 20) + 77}) {
    const std::string text = pattern(size);
    write_file(dir / "a", text);
    auto mapping = Mapping::of(InputFile::open(dir / "a").value(), GetParam());
    ASSERT_TRUE(mapping) << mapping.error().to_string();
    EXPECT_TRUE(same(mapping->bytes(), text)) << size;
  }
}

TEST_P(MappingOf, AnEmptyFileIsNoBytes) {
  TempDir dir;
  write_file(dir / "a", "");
  auto mapping = Mapping::of(InputFile::open(dir / "a").value(), GetParam());
  ASSERT_TRUE(mapping);
  EXPECT_TRUE(mapping->bytes().empty());
}

TEST_P(MappingOf, WritesDoNotReachTheFile) {
  TempDir dir;
  write_file(dir / "a", "abc");
  auto mapping = Mapping::of(InputFile::open(dir / "a").value(), GetParam());
  ASSERT_TRUE(mapping);
  ASSERT_TRUE(make_writable(mapping->bytes().first(1)));
  ASSERT_TRUE(make_writable(mapping->bytes()));
  *const_cast<std::byte*>(mapping->bytes().data()) = std::byte{'X'};
  EXPECT_TRUE(same(mapping->bytes(), "Xbc"));
  EXPECT_EQ(read_file(dir / "a"), "abc");
}

TEST_P(MappingOf, TheBytesStayWhereTheyAreWhenItMoves) {
  TempDir dir;
  write_file(dir / "a", "abc");
  auto mapping = Mapping::of(InputFile::open(dir / "a").value(), GetParam());
  ASSERT_TRUE(mapping);
  const std::byte* data = mapping->bytes().data();
  Mapping moved = std::move(*mapping);
  Mapping again;
  again = std::move(moved);
  EXPECT_EQ(again.bytes().data(), data);
  EXPECT_TRUE(same(again.bytes(), "abc"));
}

INSTANTIATE_TEST_SUITE_P(Backings, MappingOf, testing::Values(Backing::kMap, Backing::kCopy));

TEST(Mapping, ACopyOfAFileThatShrankIsCorrupt) {
  TempDir dir;
  for (const std::size_t size : {10U, 41U << 20}) {
    write_file(dir / "a", std::string(size, 'x'));
    auto file = InputFile::open(dir / "a");
    ASSERT_TRUE(file);
    std::filesystem::resize_file(dir / "a", size / 2);
    EXPECT_EQ(Mapping::of(*file, Backing::kCopy).error().code, ErrorCode::kCorrupt);
  }
}

TEST(Mapping, ACopyDoesNotSeeWhatHappensToTheFileLater) {
  TempDir dir;
  write_file(dir / "a", "abc");
  auto mapping = Mapping::of(InputFile::open(dir / "a").value(), Backing::kCopy);
  ASSERT_TRUE(mapping);
  write_file(dir / "a", "xyz");
  EXPECT_TRUE(same(mapping->bytes(), "abc"));
}

/// What `body` returns in a process of its own that may have 192 MiB of data.
template <typename Body>
int with_little_data(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr rlim_t kLimit = rlim_t{192} << 20;
    const rlimit limit = {kLimit, kLimit};
    ::_exit(::setrlimit(RLIMIT_DATA, &limit) == 0 ? body() : 100);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Mapping, CountsAsDataOnlyIfItIsMadeWritable) {
  TempDir dir;
  write_file(dir / "a", "abc");
  std::filesystem::resize_file(dir / "a", std::uintmax_t{1} << 30);  // Sparse.
  const auto file = InputFile::open(dir / "a");
  ASSERT_TRUE(file);
  EXPECT_EQ(with_little_data([&] {
              const auto mapping = Mapping::of(*file, Backing::kMap);
              if (!mapping) return 1;
              if (!same(mapping->bytes().first(3), "abc")) return 2;
              const auto writable = make_writable(mapping->bytes().first(3));
              if (writable || writable.error().code != ErrorCode::kLimitExceeded) return 3;
              return same(mapping->bytes().first(3), "abc") ? 0 : 4;
            }),
            0);
  EXPECT_EQ(with_little_data([&] {
              const auto copy = Mapping::of(*file, Backing::kCopy);
              return !copy && copy.error().code == ErrorCode::kLimitExceeded ? 0 : 1;
            }),
            0);
}

TEST(Mapping, MemoryOfOthersIsLeftAsItIs) {
  const std::string text = "abc";
  EXPECT_TRUE(make_writable(std::as_bytes(std::span(text))));
  EXPECT_TRUE(make_writable({}));
}

/// KiB of the mapping at that place which are in memory.
long resident_kib(const std::byte* place) {
  std::ifstream maps("/proc/self/smaps");
  bool mine = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    long rss = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<std::uintptr_t>(place);
      mine = at >= begin && at < end;
    } else if (mine && std::sscanf(line.c_str(), "Rss: %ld kB", &rss) == 1) {
      return rss;
    }
  }
  return -1;
}

TEST(ReleasePages, WhatWasReadOnceTakesNoMemory) {
  TempDir dir;
  const std::string text = pattern(std::size_t{48} << 20);
  write_file(dir / "a", text);
  auto mapping = Mapping::of(InputFile::open(dir / "a").value(), Backing::kMap);
  ASSERT_TRUE(mapping);
  const auto bytes = mapping->bytes();
  constexpr std::size_t kPiece = 100000;
  long most = 0;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    const auto piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
    ASSERT_TRUE(same(piece, std::string_view(text).substr(at, piece.size()))) << at;
    release_pages(piece);
    if (at % (kPiece * 20) == 0) most = std::max(most, resident_kib(bytes.data()));
  }
  EXPECT_GE(most, 0);
  EXPECT_LT(most, 12 * 1024);
  EXPECT_TRUE(same(bytes, text));
}

TEST(PopulatePages, AreInMemoryBeforeTheyAreRead) {
  TempDir dir;
  const std::string text = pattern(std::size_t{1} << 20);
  write_file(dir / "a", text);
  auto mapping = Mapping::of(InputFile::open(dir / "a").value(), Backing::kMap);
  ASSERT_TRUE(mapping);
  const auto bytes = mapping->bytes();
  populate_pages(bytes.subspan(5000, 900000));
  // Older systems know no such advice: what matters is that nothing else changes.
  EXPECT_LE(resident_kib(bytes.data()), 1024);
  EXPECT_TRUE(same(bytes, text));
  populate_pages({});
  const std::string other = "abc";
  populate_pages(std::as_bytes(std::span(other)));
  EXPECT_EQ(other, "abc");
}

}  // namespace
}  // namespace ferrule::io
