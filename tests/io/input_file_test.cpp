// SPDX-License-Identifier: Apache-2.0
#include "io/input_file.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

using test::TempDir;
using test::write_file;

std::string text_of(const Error& error) { return error.to_string(); }

TEST(InputFile, ReadsAnyRange) {
  TempDir dir;
  write_file(dir / "a", "0123456789");
  auto file = InputFile::open(dir / "a");
  ASSERT_TRUE(file) << text_of(file.error());
  EXPECT_EQ(file->size(), 10U);
  std::string out(4, '\0');
  ASSERT_TRUE(file->read_at(3, std::as_writable_bytes(std::span(out))));
  EXPECT_EQ(out, "3456");
}

TEST(InputFile, FollowsALinkToARegularFile) {
  TempDir dir;
  write_file(dir / "blob", "x");
  std::filesystem::create_symlink("blob", dir / "link");
  auto file = InputFile::open(dir / "link");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->read_text(1).value(), "x");
}

TEST(InputFile, AbsentIsNotFound) {
  TempDir dir;
  auto file = InputFile::open(dir / "a");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(file.error().system_errno, ENOENT);
}

TEST(InputFile, ALoopOfLinksIsIo) {
  TempDir dir;
  std::filesystem::create_symlink("b", dir / "a");
  std::filesystem::create_symlink("a", dir / "b");
  auto file = InputFile::open(dir / "a");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kIo);
  EXPECT_EQ(file.error().system_errno, ELOOP);
}

TEST(InputFile, WhatIsNoRegularFileIsRefusedWithoutBlocking) {
  TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  std::filesystem::create_directory(dir / "folder");
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (dir / "socket").c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<struct sockaddr*>(&address), sizeof(address)), 0);
  for (const std::filesystem::path& path :
       {dir / "fifo", dir / "folder", dir / "socket", std::filesystem::path("/dev/zero")}) {
    auto file = InputFile::open(path);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().code, ErrorCode::kUnsupported) << text_of(file.error());
  }
  ::close(socket);
}

TEST(InputFile, AFileThatShrankIsCorrupt) {
  TempDir dir;
  write_file(dir / "a", "0123456789");
  auto file = InputFile::open(dir / "a");
  ASSERT_TRUE(file);
  std::filesystem::resize_file(dir / "a", 4);
  auto text = file->read_text(100);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ErrorCode::kCorrupt);
}

TEST(InputFile, TextBeyondTheLimitIsRefused) {
  TempDir dir;
  write_file(dir / "a", "0123456789");
  auto file = InputFile::open(dir / "a");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->read_text(9).error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(file->read_text(10).value().size(), 10U);
}

}  // namespace
}  // namespace ferrule::io
