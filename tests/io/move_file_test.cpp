// SPDX-License-Identifier: Apache-2.0
#include "io/move_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "io/faults.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

/// Two folders, with a file of mode 0604 in the first.
struct Folders {
  Folders() {
    std::filesystem::create_directory(dir / "to");
    test::write_file(dir / "from/f", std::string(100000, 'x'));
    ::chmod((dir / "from/f").c_str(), 0604);
    from = UniqueFd(::open((dir / "from").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    to = UniqueFd(::open((dir / "to").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  Result<void> move() const {
    return move_file(from.get(), "f", to.get(), "g", Durability::kSafe, dir / "to/g");
  }
  bool is_whole(const char* name) const {
    struct stat info {};
    return ::stat((dir / name).c_str(), &info) == 0 && (info.st_mode & 0777) == 0604 &&
           test::read_file(dir / name) == std::string(100000, 'x');
  }

  test::TempDir dir;
  UniqueFd from;
  UniqueFd to;
};

TEST(MoveFile, Renames) {
  const Folders folders;
  ASSERT_TRUE(folders.move());
  EXPECT_TRUE(folders.is_whole("to/g"));
  EXPECT_FALSE(std::filesystem::exists(folders.dir / "from/f"));
}

TEST(MoveFile, CopiesContentAndModeBetweenMounts) {
  for (const int number : {EXDEV, EPERM, EACCES}) {
    const Folders folders;
    const test::Faults faults(
        [&](const test::Call& call) { return call.name == "renameat2" ? number : 0; });
    ASSERT_TRUE(folders.move()) << number;
    EXPECT_TRUE(folders.is_whole("to/g")) << number;
    EXPECT_TRUE(folders.is_whole("from/f")) << number;
  }
}

TEST(MoveFile, ACopyNeverWritesIntoWhatIsThere) {
  const Folders folders;
  test::write_file(folders.dir / "to/g", "mine");
  const test::Faults faults(
      [](const test::Call& call) { return call.name == "renameat2" ? EXDEV : 0; });
  const auto moved = folders.move();
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().system_errno, EEXIST);
  EXPECT_EQ(test::read_file(folders.dir / "to/g"), "mine");
}

TEST(MoveFile, FailuresAreReported) {
  for (const std::string failing : {"renameat2", "fsync", "writev", "pread", "fchmod"}) {
    const Folders folders;
    const test::Faults faults([&](const test::Call& call) {
      if (call.name == failing) return EIO;
      return call.name == "renameat2" ? EXDEV : 0;
    });
    const auto moved = folders.move();
    ASSERT_FALSE(moved) << failing;
    EXPECT_EQ(moved.error().system_errno, EIO) << failing;
    EXPECT_EQ(moved.error().path, (folders.dir / "to/g").string()) << failing;
  }
}

}  // namespace
}  // namespace ferrule::io
