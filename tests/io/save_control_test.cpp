// SPDX-License-Identifier: Apache-2.0
#include "io/save_control.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "io/transaction/directory_transaction.hpp"
#include "io/transaction/file_transaction.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

class SaveControl : public testing::Test {
 protected:
  ~SaveControl() override { cancel_saves(false); }

  /// Everything below the directory, hidden names included.
  std::size_t entries() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator(dir_.path()))
      ++count;
    return count;
  }

  const test::TempDir dir_;
  const std::string content_ = std::string(1000, 'x');
};

TEST_F(SaveControl, ATransactionIsInProgressUntilItEnds) {
  EXPECT_FALSE(save_in_progress());
  {
    auto save = DirectoryTransaction::begin(dir_ / "a", Durability::kFast);
    ASSERT_TRUE(save);
    EXPECT_TRUE(save_in_progress());
    const auto before = bytes_staged();
    ASSERT_TRUE(save->create("file", content_));
    EXPECT_EQ(bytes_staged(), before + content_.size());
    ASSERT_TRUE(save->commit());
  }
  EXPECT_FALSE(save_in_progress());
}

TEST_F(SaveControl, ACanceledSaveFailsAtItsNextWriteAndLeavesNothing) {
  {
    auto save = DirectoryTransaction::begin(dir_ / "a", Durability::kFast);
    ASSERT_TRUE(save);
    ASSERT_TRUE(save->create("file", content_));
    cancel_saves();
    const auto written = save->create("other", content_);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::kIo);
    EXPECT_EQ(written.error().system_errno, EINTR);
  }
  EXPECT_EQ(entries(), 0U);
}

TEST_F(SaveControl, ACanceledSaveIsNotCommitted) {
  test::write_file(dir_ / "a" / "file", "old");
  {
    auto save = DirectoryTransaction::begin(dir_ / "a", Durability::kFast);
    ASSERT_TRUE(save);
    ASSERT_TRUE(save->create("file", content_));
    cancel_saves();
    EXPECT_FALSE(save->commit());
  }
  EXPECT_EQ(entries(), 2U);
  EXPECT_EQ(fs::file_size(dir_ / "a" / "file"), 3U);
}

TEST_F(SaveControl, ACanceledFileIsNotPublished) {
  {
    auto file = FileTransaction::begin(dir_ / "file", Durability::kFast);
    ASSERT_TRUE(file);
    EXPECT_TRUE(save_in_progress());
    ASSERT_TRUE(file->file().write(std::as_bytes(std::span(content_))));
    cancel_saves();
    EXPECT_FALSE(file->commit());
  }
  EXPECT_FALSE(save_in_progress());
  EXPECT_EQ(entries(), 0U);
}

}  // namespace
}  // namespace ferrule::io
