// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/upload_journal.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

namespace fs = std::filesystem;

std::int64_t now() {
  return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
}

Parts two_parts(std::int64_t expires) {
  Parts parts;
  parts.chunk = 100;
  parts.complete = "https://hub/complete";
  parts.addresses = {{1, "https://s3/1"}, {2, "https://s3/2"}};
  parts.expires = expires;
  return parts;
}

fs::path only_file(const fs::path& home) {
  return fs::directory_iterator(home / "ferrule/uploads")->path();
}

TEST(HubUploadJournal, AnotherProcessGoesOnWithTheParts) {
  const test::TempDir home;
  UploadJournal journal(home.path(), "ann/a weights");
  EXPECT_FALSE(journal.find(100));
  journal.begin(two_parts(now() + 1000));
  journal.note(2, "\"etag-2\"");
  const auto found = UploadJournal(home.path(), "ann/a weights").find(100);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->addresses, two_parts(0).addresses);
  EXPECT_EQ(found->complete, "https://hub/complete");
  ASSERT_EQ(found->etags.size(), 1U);
  EXPECT_EQ(found->etags.at(2), "\"etag-2\"");
  EXPECT_FALSE(UploadJournal(home.path(), "ann/b weights").find(100));
  EXPECT_FALSE(journal.find(101));  // Other parts than the Hub asks for now.
  journal.forget();
  EXPECT_FALSE(journal.find(100));
}

TEST(HubUploadJournal, AnAddressIsAPermissionForItsOwnerAlone) {
  const test::TempDir home;
  UploadJournal(home.path(), "a").begin(two_parts(0));
  const auto mode = fs::status(only_file(home.path())).permissions();
  EXPECT_EQ(mode & (fs::perms::group_all | fs::perms::others_all), fs::perms::none);
}

TEST(HubUploadJournal, ExpiredAddressesAreNotUsed) {
  const test::TempDir home;
  UploadJournal journal(home.path(), "a");
  journal.begin(two_parts(now() - 1));
  EXPECT_FALSE(journal.find(100));
  journal.begin(two_parts(0));  // The Hub named no end.
  EXPECT_TRUE(journal.find(100));
}

TEST(HubUploadJournal, BeginningAgainForgetsTheOldParts) {
  const test::TempDir home;
  UploadJournal journal(home.path(), "a");
  journal.begin(two_parts(0));
  journal.note(1, "old");
  journal.begin(two_parts(0));
  ASSERT_TRUE(journal.find(100));
  EXPECT_TRUE(journal.find(100)->etags.empty());
}

TEST(HubUploadJournal, TornAndForeignLinesAreSkipped) {
  const test::TempDir home;
  UploadJournal journal(home.path(), "a");
  journal.begin(two_parts(0));
  journal.note(1, "one");
  journal.note(9, "no such part");
  journal.note(2, "two\nlines");
  const auto path = only_file(home.path());
  test::write_file(path, test::read_file(path) + "nonsense\n-1 x\n2");
  const auto found = journal.find(100);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->etags.size(), 1U);
  EXPECT_EQ(found->etags.at(1), "one");
}

TEST(HubUploadJournal, AHeadThatCannotBeReadIsNothing) {
  const test::TempDir home;
  UploadJournal journal(home.path(), "a");
  journal.begin(two_parts(0));
  const auto path = only_file(home.path());
  for (const auto* head : {"", "{\n", "[]\n", "{}\n",
                           R"({"chunk": 100, "complete": "c", "addresses": {"x": "a"}})"
                           "\n",
                           R"({"chunk": 100, "complete": "c", "addresses": {"1": 2}})"
                           "\n",
                           R"({"chunk": 0, "complete": "c", "addresses": {}})"
                           "\n"}) {
    test::write_file(path, head);
    EXPECT_FALSE(journal.find(100)) << head;
  }
}

TEST(HubUploadJournal, WithoutAHomeNothingIsKept) {
  UploadJournal journal({}, "a");
  journal.begin(two_parts(0));
  journal.note(1, "one");
  EXPECT_FALSE(journal.find(100));
  journal.forget();
}

}  // namespace
}  // namespace ferrule::hub
