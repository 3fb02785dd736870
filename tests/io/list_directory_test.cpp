// SPDX-License-Identifier: Apache-2.0
#include "io/list_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <string>

#include "io/faults.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

UniqueFd opened(const std::filesystem::path& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

TEST(ListDirectory, TellsNamesKindsAndInodes) {
  const test::TempDir dir;
  test::write_file(dir / "file", "x");
  test::write_file(dir / ".hidden", "x");
  test::write_file(dir / "new\nline\xff", "x");
  std::filesystem::create_directory(dir / "folder");
  std::filesystem::create_symlink("nowhere", dir / "link");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  const auto fd = opened(dir.path());
  const auto entries = list_directory(fd.get(), dir.path());
  ASSERT_TRUE(entries) << entries.error().to_string();
  std::map<std::string, unsigned> types;
  for (const auto& entry : *entries) {
    struct stat info {};
    ASSERT_EQ(::lstat((dir / entry.name).c_str(), &info), 0) << entry.name;
    EXPECT_EQ(entry.inode, info.st_ino) << entry.name;
    if (entry.type != DT_UNKNOWN) {
      EXPECT_EQ(entry.type, IFTODT(info.st_mode)) << entry.name;
    }
    types[entry.name] = entry.type;
  }
  EXPECT_EQ(types.size(), 6U);
  EXPECT_TRUE(types.contains("new\nline\xff"));
}

TEST(ListDirectory, ListsMoreThanOneCallGives) {
  const test::TempDir dir;
  for (int i = 0; i < 3000; ++i) test::write_file(dir / ("file-" + std::to_string(i)), "");
  const auto fd = opened(dir.path());
  EXPECT_EQ(list_directory(fd.get(), dir.path()).value().size(), 3000U);
}

TEST(ListDirectory, AnEmptyOneHasNoEntries) {
  const test::TempDir dir;
  const auto fd = opened(dir.path());
  EXPECT_TRUE(list_directory(fd.get(), dir.path()).value().empty());
}

TEST(ListDirectory, GoesOnFromWhereTheDescriptorIs) {
  const test::TempDir dir;
  test::write_file(dir / "a", "");
  const auto fd = opened(dir.path());
  EXPECT_EQ(list_directory(fd.get(), dir.path()).value().size(), 1U);
  EXPECT_TRUE(list_directory(fd.get(), dir.path()).value().empty());
}

TEST(ListDirectory, AFailureIsNoShortList) {
  const test::TempDir dir;
  const auto fd = opened(dir.path());
  const test::Faults faults(
      [](const test::Call& call) { return call.name == "getdents" ? EIO : 0; });
  const auto entries = list_directory(fd.get(), dir.path());
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().system_errno, EIO);
  EXPECT_EQ(entries.error().path, dir.path().string());
}

}  // namespace
}  // namespace ferrule::io
