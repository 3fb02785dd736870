// SPDX-License-Identifier: Apache-2.0
#include "io/work_folder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// Completes a file of that content.
void complete(WorkFolder& work, const std::string& name, std::string_view content) {
  auto file = work.create(name);
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_TRUE((*file)->write(bytes(content)));
  ASSERT_TRUE(work.finish(name, **file, "sum-of-" + name));
}

TEST(WorkFolder, TheSameWorkGoesOnWithWhatIsComplete) {
  const test::TempDir folder;
  const auto target = folder.path() / "out";
  {
    auto work = WorkFolder::open(target, "merge a", false, Durability::kSafe);
    ASSERT_TRUE(work) << work.error().to_string();
    complete(*work, "one", "12345");
    ASSERT_TRUE(work->create("two"));  // Begun, never finished.
  }
  auto again = WorkFolder::open(target, "merge a", true, Durability::kSafe);
  ASSERT_TRUE(again) << again.error().to_string();
  const auto done = again->done("one");
  ASSERT_TRUE(done);
  EXPECT_EQ(done->bytes, 5U);
  EXPECT_EQ(done->sum, "sum-of-one");
  EXPECT_FALSE(again->done("two"));
  EXPECT_TRUE(again->look_at("one").value());
}

TEST(WorkFolder, AnotherWorkOrNoResumeBeginsWithNothing) {
  const test::TempDir folder;
  const auto target = folder.path() / "out";
  for (const bool resume : {true, false}) {
    {
      auto work = WorkFolder::open(target, "merge a", false, Durability::kSafe).value();
      complete(work, "one", "12345");
    }
    const auto other =
        WorkFolder::open(target, resume ? "merge b" : "merge a", resume, Durability::kSafe);
    ASSERT_TRUE(other) << other.error().to_string();
    EXPECT_FALSE(other->done("one"));
  }
}

TEST(WorkFolder, IsHiddenNextToTheDirectoryAndGoesWhole) {
  const test::TempDir folder;
  auto work = WorkFolder::open(folder.path() / "out", "merge", false, Durability::kSafe).value();
  complete(work, "one", "1");
  EXPECT_EQ(work.path().parent_path(), folder.path());
  EXPECT_EQ(work.path().filename().string().front(), '.');
  ASSERT_TRUE(work.remove());
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(WorkFolder, TheSystemTellsWhatIsFree) {
  const test::TempDir folder;
  const auto here = room_at(folder.path());
  ASSERT_TRUE(here);
  EXPECT_GT(here->free_bytes, 0U);
  const auto later = room_at(folder.path() / "not" / "there" / "yet");
  ASSERT_TRUE(later);
  EXPECT_EQ(later->device, here->device);
}

TEST(WorkFolder, AFileThatIsMadeAgainIsNotDone) {
  const test::TempDir folder;
  auto work = WorkFolder::open(folder.path() / "out", "merge", false, Durability::kSafe).value();
  complete(work, "one", "1");
  ASSERT_TRUE(work.create("one"));
  EXPECT_FALSE(work.done("one"));
}

}  // namespace
}  // namespace ferrule::io
