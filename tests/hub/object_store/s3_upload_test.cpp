// SPDX-License-Identifier: Apache-2.0
// What needs no server; the rest is in test_s3.py and test_s3_parts.py.
#include "hub/object_store/s3_upload.hpp"

#include <gtest/gtest.h>

#include "hub/transport/failure.hpp"
#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

TEST(HubS3Upload, AStoreThatDoesNotAnswerHasNothingUnfinished) {
  Http http{Settings{.offline = true}};
  const auto store = ObjectStore::open("s3://b/a");
  ASSERT_TRUE(store);
  EXPECT_TRUE(list_unfinished(http, *store).empty());
}

TEST(HubS3Upload, AFileThatIsGoneOrAStoreThatIsOffIsAnError) {
  const test::TempDir folder;
  Lanes lanes{Settings{.offline = true}};
  const auto store = ObjectStore::open("s3://b/a");
  ASSERT_TRUE(store);
  const Stop stop;
  const Watcher watcher;
  Meter meter(watcher, {});
  const S3Upload upload(*store, lanes, stop, meter, {});
  PushFile file{.path = "w", .file = folder / "w", .size = 5};
  file.sha256 = std::string(64, 'a');
  const auto gone = upload.send(file);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().path, (folder / "w").string());
  test::write_file(folder / "w", "hello");
  const auto offline = upload.send(file);
  ASSERT_FALSE(offline);
  EXPECT_TRUE(is(offline.error(), Failure::kOffline));
}

}  // namespace
}  // namespace ferrule::hub
