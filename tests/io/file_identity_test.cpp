// SPDX-License-Identifier: Apache-2.0
#include "io/file_identity.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "io/faults.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

FileIdentity identity_at(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return identity_of(fd.get(), path).value();
}

TEST(FileIdentities, AreWhatTheSystemTells) {
  const test::TempDir dir;
  test::write_file(dir / "f", "abc");
  const struct timespec times[2] = {{5, 6}, {7, 8}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir / "f").c_str(), times, 0), 0);
  struct stat info {};
  ASSERT_EQ(::stat((dir / "f").c_str(), &info), 0);
  const auto identity = identity_at(dir / "f");
  EXPECT_EQ(identity.device, info.st_dev);
  EXPECT_EQ(identity.inode, info.st_ino);
  EXPECT_EQ(identity.size, 3U);
  EXPECT_EQ(identity.modified_ns, 7'000'000'008);
}

TEST(FileIdentities, DifferBetweenFilesAndSizes) {
  const test::TempDir dir;
  test::write_file(dir / "f", "abc");
  test::write_file(dir / "g", "abc");
  const auto before = identity_at(dir / "f");
  EXPECT_EQ(before, identity_at(dir / "f"));
  EXPECT_NE(before, identity_at(dir / "g"));
  test::write_file(dir / "f", "abcd");
  EXPECT_NE(before, identity_at(dir / "f"));
}

TEST(FileIdentities, FailuresNameThePath) {
  const test::TempDir dir;
  const test::Faults faults([](const test::Call& call) { return call.name == "fstat" ? EIO : 0; });
  const auto identity = identity_of(0, "some/file");
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().system_errno, EIO);
  EXPECT_EQ(identity.error().path, "some/file");
}

}  // namespace
}  // namespace ferrule::io
