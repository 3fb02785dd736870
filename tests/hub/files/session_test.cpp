// SPDX-License-Identifier: Apache-2.0
#include "hub/files/session.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

TEST(HubSession, ItsPartsShareItsSettings) {
  const test::TempDir home;
  const io::FileIdentity file{1, 2, 3, 1'900'000'000'123'456'789, 1'900'000'000'123'456'789};
  const std::string sum(64, 'c');
  DigestMemo(home.path())
      .note(file, Digest::kSha256, sum, std::chrono::system_clock::from_time_t(2'000'000'000));
  Settings settings;
  settings.endpoint = "http://hub:1";
  settings.home = home.path();
  Session session(settings);
  EXPECT_EQ(session.settings.endpoint, "http://hub:1");
  EXPECT_EQ(session.http.settings().endpoint, "http://hub:1");
  EXPECT_EQ(&session.http, &session.lanes.main());
  EXPECT_EQ(session.memo.find(file, Digest::kSha256), sum);
}

}  // namespace
}  // namespace ferrule::hub
