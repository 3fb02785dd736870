// SPDX-License-Identifier: Apache-2.0
#include "io/partial_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>
#include <vector>

#include "io/faults.hpp"
#include "temp_dir.hpp"

namespace ferrule::test {
namespace {

using io::Folder;
using io::PartialFile;

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class PartialFileTest : public testing::Test {
 protected:
  PartialFile open(const std::string& name = "a") {
    auto file = PartialFile::open(folder_, name);
    EXPECT_TRUE(file) << file.error().to_string();
    return std::move(file).value();
  }
  std::string content(const std::string& name = "a") const { return read_file(dir_ / name); }

  TempDir dir_;
  Folder folder_ = Folder::make(dir_.path()).value();
};

TEST_F(PartialFileTest, GrowsOverSeveralLives) {
  {
    auto file = open();
    EXPECT_EQ(file.size(), 0U);
    ASSERT_TRUE(file.append(bytes("one ")));
    ASSERT_TRUE(file.append({}));
  }
  auto file = open();
  EXPECT_EQ(file.size(), 4U);
  ASSERT_TRUE(file.append(bytes("two")));
  ASSERT_TRUE(file.flush());
  EXPECT_EQ(content(), "one two");
  ASSERT_TRUE(file.clear());
  EXPECT_EQ(file.size(), 0U);
  ASSERT_TRUE(file.append(bytes("new")));
  EXPECT_EQ(content(), "new");
}

TEST_F(PartialFileTest, TakesNothingButAFileOfItsOwn) {
  write_file(dir_ / "theirs", "theirs");
  std::filesystem::create_symlink("theirs", dir_ / "link");
  std::filesystem::create_directory(dir_ / "folder");
  ASSERT_EQ(::mkfifo((dir_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(PartialFile::open(folder_, "link").error().system_errno, ELOOP);
  EXPECT_FALSE(PartialFile::open(folder_, "folder"));
  EXPECT_EQ(PartialFile::open(folder_, "fifo").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(content("theirs"), "theirs");
}

ssize_t write_one(int fd, const void* data, std::size_t, off_t offset) {
  return ::pwrite(fd, data, 1, offset);
}
ssize_t write_none(int, const void*, std::size_t, off_t) { return 0; }

TEST_F(PartialFileTest, CarriesOnAfterShortWrites) {
  auto file = open();
  const auto real = io::sys().pwrite;
  io::sys().pwrite = write_one;
  const auto done = file.append(bytes("short"));
  io::sys().pwrite = write_none;
  const auto stuck = file.append(bytes("never"));
  io::sys().pwrite = real;
  ASSERT_TRUE(done);
  EXPECT_EQ(stuck.error().system_errno, EIO);
  EXPECT_EQ(content(), "short");
  EXPECT_EQ(file.size(), 5U);
}

TEST_F(PartialFileTest, FailuresAreToldAndSignalsAreNone) {
  const auto with = [](const char* failing, int number, auto act) {
    int left = number == EINTR ? 3 : 1'000'000;
    const Faults faults(
        [&](const Call& call) { return call.name == failing && left-- > 0 ? number : 0; });
    return act();
  };
  auto file = open();
  EXPECT_EQ(with("pwrite", ENOSPC, [&] { return file.append(bytes("x")); }).error().system_errno,
            ENOSPC);
  EXPECT_EQ(file.size(), 0U);
  EXPECT_TRUE(with("pwrite", EINTR, [&] { return file.append(bytes("x")); }));
  EXPECT_EQ(with("ftruncate", EIO, [&] { return file.clear(); }).error().system_errno, EIO);
  EXPECT_EQ(file.size(), 1U);
  EXPECT_EQ(with("fsync", EIO, [&] { return file.flush(); }).error().system_errno, EIO);
  EXPECT_TRUE(with("fsync", EINTR, [&] { return file.flush(); }));
  for (const auto* call : {"openat", "fstat"}) {
    const auto failed = with(call, EIO, [&] { return PartialFile::open(folder_, "a"); });
    ASSERT_FALSE(failed) << call;
    EXPECT_EQ(failed.error().path, (dir_ / "a").string());
  }
  EXPECT_EQ(content(), "x");
  EXPECT_EQ(
      with("writev", ENOSPC, [&] { return io::append_line(folder_, "l", "x\n"); }).error().path,
      (dir_ / "l").string());
  EXPECT_EQ(with("openat", EACCES, [&] { return io::append_line(folder_, "l", "x\n"); })
                .error()
                .system_errno,
            EACCES);
}

TEST_F(PartialFileTest, LinesOfSeveralThreadsAreNeverTorn) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      const std::string line(200, static_cast<char>('a' + i));
      for (int n = 0; n < 200; ++n) EXPECT_TRUE(io::append_line(folder_, "lines", line + "\n"));
    });
  }
  for (auto& thread : threads) thread.join();
  const auto text = content("lines");
  ASSERT_EQ(text.size(), 4U * 200 * 201);
  for (std::size_t at = 0; at < text.size(); at += 201) {
    ASSERT_EQ(text.substr(at, 201), std::string(200, text[at]) + "\n");
  }
}

TEST_F(PartialFileTest, ALineGetsTheModeAskedForAndFollowsNoLink) {
  const mode_t mask = ::umask(022);
  ASSERT_TRUE(io::append_line(folder_, "open", "x\n"));
  ASSERT_TRUE(io::append_line(folder_, "own", "x\n", 0600));
  ::umask(mask);
  EXPECT_EQ(std::filesystem::status(dir_ / "open").permissions(), std::filesystem::perms(0644));
  EXPECT_EQ(std::filesystem::status(dir_ / "own").permissions(), std::filesystem::perms(0600));
  std::filesystem::create_symlink("own", dir_ / "link");
  EXPECT_FALSE(io::append_line(folder_, "link", "planted\n"));
  EXPECT_EQ(content("own"), "x\n");
}

}  // namespace
}  // namespace ferrule::test
