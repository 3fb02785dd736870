// SPDX-License-Identifier: Apache-2.0
#include "io/open_regular.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "io/faults.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

Result<OpenedFile> opened(const std::filesystem::path& path) {
  return open_regular(AT_FDCWD, path.c_str(), path);
}

TEST(OpenRegular, TellsTheSize) {
  const test::TempDir dir;
  test::write_file(dir / "f", "abc");
  std::filesystem::create_symlink("f", dir / "link");
  EXPECT_EQ(opened(dir / "f").value().size, 3U);
  EXPECT_EQ(opened(dir / "link").value().size, 3U);
}

TEST(OpenRegular, RefusesEverythingElseWithoutWaiting) {
  const test::TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("nowhere", dir / "dangling");
  EXPECT_EQ(opened(dir / "fifo").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(opened("/dev/null").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(opened(dir.path()).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(opened(dir / "dangling").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(opened(dir / "none").error().code, ErrorCode::kNotFound);
}

TEST(ReadFully, CarriesOnAfterShortReads) {
  const test::TempDir dir;
  test::write_file(dir / "f", "0123456789");
  const auto file = opened(dir / "f");
  ASSERT_TRUE(file);
  const Syscalls real = sys();
  sys().pread = [](int fd, void* out, std::size_t size, off_t at) {
    return ::pread(fd, out, (size + 1) / 2, at);
  };
  const auto text = read_opened(*file, 10, "f");
  sys() = real;
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "0123456789");
}

TEST(ReadFully, AFileThatEndsEarlyIsCorrupt) {
  const test::TempDir dir;
  test::write_file(dir / "f", "abc");
  const auto file = opened(dir / "f");
  ASSERT_TRUE(file);
  std::array<std::byte, 4> out{};
  const auto read = read_fully(file->fd.get(), 0, out, dir / "f");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(read.error().path, (dir / "f").string());
  EXPECT_TRUE(read_fully(file->fd.get(), 3, {}, dir / "f"));
}

TEST(ReadFully, ADiskErrorIsIo) {
  const test::TempDir dir;
  test::write_file(dir / "f", "abc");
  const auto file = opened(dir / "f");
  const test::Faults faults([](const test::Call& call) { return call.name == "pread" ? EIO : 0; });
  std::array<std::byte, 3> out{};
  EXPECT_EQ(read_fully(file->fd.get(), 0, out, "f").error().system_errno, EIO);
}

TEST(ReadOpened, IsBounded) {
  const test::TempDir dir;
  test::write_file(dir / "f", "abc");
  const auto file = opened(dir / "f");
  EXPECT_EQ(read_opened(*file, 3, "f").value(), "abc");
  EXPECT_EQ(read_opened(*file, 2, "f").error().code, ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace ferrule::io
