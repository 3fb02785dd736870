// SPDX-License-Identifier: Apache-2.0
// What needs no server; the rest is in test_push.py, test_push_faults.py and test_transfers.py.
#include "hub/huggingface/lfs.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

class Lfs : public testing::Test {
 protected:
  Lanes lanes{Settings{.endpoint = "http://127.0.0.1:9", .offline = true}};
  const Repository repository{lanes.main(), "ann/a"};
  const Watcher watcher;
  Meter meter{watcher, {}};
  LfsUploader uploader{repository, lanes};
};

TEST_F(Lfs, NothingToSendIsNoRequest) { EXPECT_TRUE(uploader.upload({}, "main", meter)); }

TEST_F(Lfs, TheBatchIsTheFirstRequest) {
  PushFile file{.path = "w", .file = "nowhere", .size = 1};
  file.sha256 = std::string(64, 'a');
  const std::array<const PushFile*, 1> files = {&file};
  const auto failed = uploader.upload(files, "main", meter);
  ASSERT_FALSE(failed);
  EXPECT_TRUE(is(failed.error(), Failure::kOffline));
  EXPECT_EQ(failed.error().message.rfind("asking for uploads", 0), 0U) << failed.error().message;
}

}  // namespace
}  // namespace ferrule::hub
