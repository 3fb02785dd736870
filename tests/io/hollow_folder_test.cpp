// SPDX-License-Identifier: Apache-2.0
#include "io/hollow_folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>

#include "io/faults.hpp"
#include "temp_dir.hpp"

namespace ferrule::test {
namespace {

TEST(HollowFolder, HoldsFilesThatTakeNoRoom) {
  std::filesystem::path path;
  {
    const auto folder = io::HollowFolder::make();
    ASSERT_TRUE(folder) << folder.error().to_string();
    path = folder->path();
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
    ASSERT_TRUE(folder->write("weights", "head", std::uint64_t{1} << 40));
    ASSERT_EQ(::stat((path / "weights").c_str(), &info), 0);
    EXPECT_EQ(info.st_size, std::int64_t{1} << 40);
    EXPECT_LT(info.st_blocks, 64);
    const auto second = io::HollowFolder::make();
    ASSERT_TRUE(second);
    EXPECT_NE(second->path(), path);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(HollowFolder, NeverTakesWhatIsThere) {
  int refusals = 0;
  {
    const Faults faults(
        [&](const Call& call) { return call.name == "mkdirat" && ++refusals <= 3 ? EEXIST : 0; });
    ASSERT_TRUE(io::HollowFolder::make());
  }
  EXPECT_EQ(refusals, 4);
  const Faults faults([](const Call& call) { return call.name == "mkdirat" ? ENOSPC : 0; });
  EXPECT_EQ(io::HollowFolder::make().error().system_errno, ENOSPC);
}

TEST(HollowFolder, CopiesSmallFilesWhole) {
  const TempDir dir;
  write_file(dir / "config.json", "{}");
  const auto folder = io::HollowFolder::make();
  ASSERT_TRUE(folder);
  ASSERT_TRUE(folder->copy(dir / "config.json", "copy.json"));
  EXPECT_EQ(read_file(folder->path() / "copy.json"), "{}");
  EXPECT_EQ(folder->copy(dir / "none", "x").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ferrule::test
