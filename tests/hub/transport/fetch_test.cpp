// SPDX-License-Identifier: Apache-2.0
// What needs no server; the rest is in test_pull.py and test_pull_faults.py.
#include "hub/transport/fetch.hpp"

#include <gtest/gtest.h>

#include <string>

#include "hub/transport/failure.hpp"
#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

class Fetch : public testing::Test {
 protected:
  Fetch() : http(Settings{.endpoint = "http://127.0.0.1:9", .offline = true}) {
    watcher.progress = [this](const Progress& progress) { done = progress.bytes_done; };
  }

  io::PartialFile partial(const std::string& content) {
    test::write_file(folder / "part", content);
    const auto opened = io::Folder::open(folder.path());
    auto file = io::PartialFile::open(**opened, "part");
    EXPECT_TRUE(file);
    return std::move(*file);
  }

  const test::TempDir folder;
  Http http;
  Watcher watcher;
  std::uint64_t done = 0;
};

TEST_F(Fetch, AWholeFileCostsNoRequest) {
  auto file = partial("hello");
  Meter meter(watcher, {});
  const auto address =
      fetch(http, {.url = "http://127.0.0.1:9/a", .what = "a", .size = 5}, file, meter);
  ASSERT_TRUE(address) << address.error().to_string();
  EXPECT_EQ(*address, "");
  EXPECT_EQ(done, 5U);
}

TEST_F(Fetch, AFileThatIsTooLongStartsAgain) {
  auto file = partial("hello, world");
  Meter meter(watcher, {});
  const auto address =
      fetch(http, {.url = "http://127.0.0.1:9/a", .what = "a", .size = 5}, file, meter);
  ASSERT_FALSE(address);
  EXPECT_TRUE(is(address.error(), Failure::kOffline)) << address.error().to_string();
  EXPECT_EQ(file.size(), 0U);
  EXPECT_EQ(done, 0U);
}

TEST_F(Fetch, AddressesThatAreNotHttpAreRefused) {
  Http online{Settings()};
  const auto refused = get_following(online, {.url = "file:///etc/hostname", .what = "a"});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is(refused.error(), Failure::kBadAnswer));
}

}  // namespace
}  // namespace ferrule::hub
