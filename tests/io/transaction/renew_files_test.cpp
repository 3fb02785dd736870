// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/renew_files.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "io/faults.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

TEST(RenewFiles, GivesTheOldDirectoryWhatTheSaveWroteAndRemoved) {
  const test::TempDir dir;
  test::write_file(dir / "old/weights", "old");
  test::write_file(dir / "old/stale", "old");
  test::write_file(dir / "old/notes", "mine");
  test::write_file(dir / "new/weights", "new");
  test::write_file(dir / "new/sub/config", "new");
  const UniqueFd old(::open((dir / "old").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd current(::open((dir / "new").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Carried carried;
  carried.managed = {"weights", "stale", "sub/config", "none/there"};
  ASSERT_TRUE(renew_files(old.get(), current.get(), carried, Durability::kSafe, dir.path()));
  EXPECT_EQ(test::read_file(dir / "old/weights"), "new");
  EXPECT_EQ(test::read_file(dir / "old/sub/config"), "new");
  EXPECT_EQ(test::read_file(dir / "old/notes"), "mine");
  EXPECT_FALSE(fs::exists(dir / "old/stale"));
  EXPECT_TRUE(fs::equivalent(dir / "old/weights", dir / "new/weights"));
}

TEST(RenewFiles, FailuresAreReported) {
  for (const std::string failing : {"linkat", "renameat2", "fsync"}) {
    const test::TempDir dir;
    test::write_file(dir / "old/weights", "old");
    test::write_file(dir / "new/weights", "new");
    const UniqueFd old(::open((dir / "old").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd current(::open((dir / "new").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    Carried carried;
    carried.managed = {"weights"};
    const test::Faults faults(
        [&](const test::Call& call) { return call.name == failing ? EIO : 0; });
    EXPECT_EQ(renew_files(old.get(), current.get(), carried, Durability::kSafe, dir.path())
                  .error()
                  .system_errno,
              EIO)
        << failing;
  }
}

}  // namespace
}  // namespace ferrule::io
