// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/in_place.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "io/faults.hpp"
#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

UniqueFd opened(const fs::path& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// A directory with an old save, and a save that writes a file, a file in a new folder, and removes
/// one.
struct Save {
  Save() {
    test::write_file(dir / "out/weights", "old");
    test::write_file(dir / "out/stale", "old");
    test::write_file(dir / "out/notes", "mine");
    directory = opened(dir / "out");
  }

  Result<void> run() const {
    auto save = InPlace::begin(directory.get(), dir / "out");
    if (!save) return std::move(save).error();
    const std::vector<Change> changes = {
        {"weights", false}, {"sub/config", false}, {"stale", true}};
    const std::string contents[] = {"new", "new config"};
    for (std::size_t i = 0; i < 2; ++i) {
      const UniqueFd file(::openat(save->stage(), InPlace::staged_name(i).c_str(),
                                   O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
      EXPECT_EQ(::write(file.get(), contents[i].data(), contents[i].size()),
                static_cast<ssize_t>(contents[i].size()));
    }
    return save->publish(changes, Durability::kSafe);
  }

  bool is_new() const {
    return test::read_file(dir / "out/weights") == "new" &&
           test::read_file(dir / "out/sub/config") == "new config" &&
           !fs::exists(dir / "out/stale");
  }
  bool is_old() const {
    return test::read_file(dir / "out/weights") == "old" &&
           test::read_file(dir / "out/stale") == "old" && !fs::exists(dir / "out/sub/config");
  }
  bool is_clean() const {
    for (const auto& entry : fs::directory_iterator(dir / "out")) {
      if (entry.path().filename().string().starts_with(".ferrule-")) return false;
    }
    return test::read_file(dir / "out/notes") == "mine";
  }

  test::TempDir dir;
  UniqueFd directory;
};

TEST(InPlaceSaves, ChangeTheirFilesAndNothingElse) {
  const Save save;
  const auto done = save.run();
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_TRUE(save.is_new());
  EXPECT_TRUE(save.is_clean());
  EXPECT_FALSE(has_pending(save.directory.get(), save.dir.path()).value());
}

TEST(InPlaceSaves, AbandonedLeaveNothing) {
  const Save save;
  { ASSERT_TRUE(InPlace::begin(save.directory.get(), save.dir.path())); }
  EXPECT_TRUE(save.is_old());
  EXPECT_TRUE(save.is_clean());
}

// After a failure of any call the directory is old, or the next opening makes it new.
TEST(InPlaceSaves, AFailureOfAnyCallIsTakenBackOrFinishedLater) {
  int failing = 0;
  for (bool reached = true; reached; ++failing) {
    const Save save;
    int calls = 0;
    Result<void> done;
    {
      const test::Faults faults([&](const test::Call& call) {
        return calls++ == failing && call.name != "close" ? EIO : 0;
      });
      done = save.run();
    }
    reached = calls > failing;
    const auto recovered = recover_in_place(save.directory.get(), save.dir.path());
    ASSERT_TRUE(recovered) << failing << ": " << recovered.error().to_string();
    EXPECT_TRUE(save.is_clean()) << failing;
    EXPECT_TRUE(save.is_new() || save.is_old()) << failing;
    if (done) {
      EXPECT_TRUE(save.is_new()) << failing;
    }
  }
  EXPECT_GT(failing, 10);
}

TEST(InPlaceSaves, ADirectoryWithoutARecordHasNothingPending) {
  const test::TempDir dir;
  const auto fd = opened(dir.path());
  EXPECT_FALSE(has_pending(fd.get(), dir.path()).value());
  EXPECT_TRUE(recover_in_place(fd.get(), dir.path()));
  EXPECT_TRUE(settle_pending(fd.get(), dir.path()));
}

TEST(InPlaceSaves, StagedNamesAreDistinct) {
  EXPECT_NE(InPlace::staged_name(0), InPlace::staged_name(1));
  EXPECT_NE(InPlace::staged_name(1), InPlace::staged_name(11));
}

}  // namespace
}  // namespace ferrule::io
