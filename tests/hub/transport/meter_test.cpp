// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/meter.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ferrule::hub {
namespace {

TEST(HubMeter, AddsUpAndReportsEachStep) {
  std::vector<Progress> seen;
  Watcher watcher;
  watcher.progress = [&](const Progress& progress) { seen.push_back(progress); };
  Meter meter(watcher, {.bytes_done = 10, .bytes_total = 100, .files_done = 0, .files_total = 2});
  meter.add(30);
  meter.add(-40);  // A part is sent again.
  meter.add(90);
  meter.file_done();
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(seen[0].bytes_done, 40U);
  EXPECT_EQ(seen[1].bytes_done, 0U);
  EXPECT_EQ(seen[2].bytes_done, 90U);
  EXPECT_EQ(seen[3].files_done, 1U);
  EXPECT_EQ(seen[3].bytes_total, 100U);
  EXPECT_EQ(seen[3].files_total, 2U);
}

TEST(HubMeter, NeedsNoWatcher) {
  const Watcher watcher;
  Meter meter(watcher, {});
  meter.add(1);
  meter.file_done();
}

}  // namespace
}  // namespace ferrule::hub
