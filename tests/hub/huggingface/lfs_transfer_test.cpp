// SPDX-License-Identifier: Apache-2.0
// What needs no server; the rest is in test_push.py, test_push_faults.py and test_transfers.py.
#include "hub/huggingface/lfs_transfer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hub/transport/failure.hpp"
#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

TEST(HubLfsTransfers, TheseRefusalsMayBeOfTheAddress) {
  for (const int status : {400, 401, 403}) EXPECT_TRUE(wants_fresh_address(status)) << status;
  for (const int status : {200, 404, 409, 413, 429, 500}) {
    EXPECT_FALSE(wants_fresh_address(status)) << status;
  }
}

TEST(HubLfsTransfers, PartsThatDoNotMakeUpTheFileAreRefusedBeforeAnythingIsSent) {
  const test::TempDir folder;
  test::write_file(folder / "w", std::string(250, 'x'));
  const auto input = io::InputFile::open(folder / "w");
  ASSERT_TRUE(input);
  PushFile file{.path = "w", .file = folder / "w", .size = 250};
  file.sha256 = std::string(64, 'a');
  Lanes lanes{Settings{.endpoint = "http://127.0.0.1:9"}};
  const Repository repository(lanes.main(), "ann/a");
  const Stop stop;
  const Watcher watcher;
  Meter meter(watcher, {});
  LfsTransfer transfer(repository, lanes, file, *input, stop, meter);
  using Headers = std::vector<std::pair<std::string, std::string>>;
  for (const auto& headers :
       {Headers{{"chunk_size", "0"}, {"1", "http://127.0.0.1:9/1"}}, Headers{{"chunk_size", "100"}},
        Headers{
            {"chunk_size", "100"}, {"1", "http://127.0.0.1:9/1"}, {"2", "http://127.0.0.1:9/2"}},
        Headers{
            {"chunk_size", "250"}, {"1", "http://127.0.0.1:9/1"}, {"2", "http://127.0.0.1:9/2"}},
        Headers{{"chunk_size", "18446744073709551615"},
                {"1", "http://127.0.0.1:9/1"},
                {"2", "http://127.0.0.1:9/2"}}}) {
    Action upload;
    upload.href = "http://127.0.0.1:9/complete";
    upload.headers = headers;
    const auto refused = transfer.send(upload);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(is(refused.error(), Failure::kUploadRefused)) << refused.error().to_string();
    EXPECT_EQ(refused.error().path, "w");
  }
}

}  // namespace
}  // namespace ferrule::hub
