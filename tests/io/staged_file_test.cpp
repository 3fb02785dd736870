// SPDX-License-Identifier: Apache-2.0
#include "io/staged_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/faults.hpp"
#include "io/transaction/scene.hpp"

namespace ferrule::test {
namespace {

using io::DirectoryTransaction;

// TX-9, through a transaction.

TEST(Writing, CarriesOnAfterShortWrites) {
  TempDir dir;
  const io::Syscalls real = io::sys();
  io::sys().writev = [](int fd, const struct iovec* pieces, int) {
    return ::write(fd, pieces[0].iov_base, (pieces[0].iov_len + 2) / 3);
  };
  io::sys().pwrite = [](int fd, const void* bytes, std::size_t size, off_t at) {
    return ::pwrite(fd, bytes, (size + 2) / 3, at);
  };
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  auto* file = begun->create("a").value();
  const std::string texts[] = {"", "0123456789", "", "abcdefghij", ""};
  std::vector<std::span<const std::byte>> pieces;
  for (const auto& text : texts) pieces.push_back(std::as_bytes(std::span(text)));
  const auto wrote = file->write(pieces);
  const auto patched = file->write_at(2, std::as_bytes(std::span(texts[3])));
  io::sys() = real;
  ASSERT_TRUE(wrote);
  ASSERT_TRUE(patched);
  ASSERT_TRUE(begun->commit());
  EXPECT_EQ(read_file(dir / "out/a"), "01abcdefghijcdefghij");
}

TEST(Writing, TakesMorePiecesThanOneCallDoesAndMoreBytesThanOneBatch) {
  TempDir dir;
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  auto* file = begun->create("a").value();
  const std::string large((std::size_t{9} << 20) + 3, 'x');
  std::string expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(std::to_string(i));
  std::vector<std::span<const std::byte>> pieces;
  for (const auto& text : texts) {
    pieces.push_back(std::as_bytes(std::span(text)));
    expected += text;
  }
  pieces.push_back(std::as_bytes(std::span(large)));
  ASSERT_TRUE(file->reserve(expected.size() + large.size()));
  ASSERT_TRUE(file->write(pieces));
  ASSERT_TRUE(begun->commit());
  EXPECT_TRUE(read_file(dir / "out/a") == expected + large);
}

TEST(Writing, AWriteOfNothingIsAnErrorAndNoLoop) {
  TempDir dir;
  const io::Syscalls real = io::sys();
  io::sys().writev = [](int, const struct iovec*, int) -> ssize_t { return 0; };
  const auto done = put(dir / "out", "a", "x");
  io::sys() = real;
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kIo);
  EXPECT_EQ(names(dir.path()), Names{});
}

TEST(Writing, TheLimitOfTheProcessIsAnErrorAndNoSignal) {
  TempDir dir;
  struct rlimit limit {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const struct rlimit small { 1000, limit.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto done = put(dir / "out", "a", std::string(1001, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().system_errno, EFBIG);
  EXPECT_EQ(names(dir.path()), Names{});
}

/// A new file of that path.
io::StagedFile staged(const std::filesystem::path& path, Durability durability) {
  return {io::UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), path,
          durability};
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(StagedFiles, CountWhatBothWaysOfWritingTook) {
  const TempDir dir;
  auto file = staged(dir / "f", Durability::kFast);
  ASSERT_TRUE(file.reserve(10));
  ASSERT_TRUE(file.write(bytes_of("abcd")));
  ASSERT_TRUE(file.write_at(4, bytes_of("efg")));
  EXPECT_EQ(file.bytes_written(), 7U);
  ASSERT_TRUE(file.finish());
  EXPECT_EQ(read_file(dir / "f").substr(0, 7), "abcdefg");
}

// TX-3.
TEST(StagedFiles, AreFlushedUnlessTheyMayBeLost) {
  const TempDir dir;
  for (const auto durability : {Durability::kFast, Durability::kSafe, Durability::kFull}) {
    int flushes = 0;
    const Faults faults([&](const Call& call) {
      flushes += call.name == "fsync" ? 1 : 0;
      return 0;
    });
    auto file = staged(dir / "f", durability);
    ASSERT_TRUE(file.write(bytes_of("x")));
    ASSERT_TRUE(file.finish());
    EXPECT_EQ(flushes, durability == Durability::kFast ? 0 : 1);
  }
}

TEST(StagedFiles, FinishTwiceIsDoneOnce) {
  const TempDir dir;
  auto file = staged(dir / "f", Durability::kSafe);
  ASSERT_TRUE(file.finish());
  EXPECT_TRUE(file.finish());
}

TEST(StagedFiles, FailuresNameTheFileAndTheirNumber) {
  const TempDir dir;
  for (const std::string call_name : {"writev", "pwrite", "fsync", "close"}) {
    auto file = staged(dir / "f", Durability::kSafe);
    const Faults faults([&](const Call& call) { return call.name == call_name ? EIO : 0; });
    auto done = file.write(bytes_of("x"));
    if (done) done = file.write_at(0, bytes_of("y"));
    if (done) done = file.finish();
    ASSERT_FALSE(done) << call_name;
    EXPECT_EQ(done.error().system_errno, EIO) << call_name;
    EXPECT_EQ(done.error().path, (dir / "f").string()) << call_name;
  }
}

// A file system may lack fallocate; a full one says so before anything is written.
TEST(StagedFiles, ReservingIsAnErrorOnlyIfThereIsNoRoom) {
  const TempDir dir;
  for (const int number : {EOPNOTSUPP, ENOSYS, EINVAL, ENOSPC}) {
    auto file = staged(dir / "f", Durability::kFast);
    bool asked = false;
    const Faults faults([&](const Call& call) {
      if (call.name != "fallocate") return 0;
      asked = true;
      return number;
    });
    const auto reserved = file.reserve(10);
    EXPECT_EQ(reserved.has_value(), !asked || number != ENOSPC) << number;
  }
}

}  // namespace
}  // namespace ferrule::test
