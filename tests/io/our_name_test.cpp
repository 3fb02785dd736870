// SPDX-License-Identifier: Apache-2.0
#include "io/our_name.hpp"

#include <gtest/gtest.h>

namespace ferrule::io {
namespace {

TEST(OurName, StagesRecordsAndTemporaryFilesOnly) {
  EXPECT_TRUE(is_our_name(".ferrule-stage"));
  EXPECT_TRUE(is_our_name(".ferrule-pending"));
  EXPECT_TRUE(is_our_name(".ferrule-0123456789abcdef"));
  EXPECT_FALSE(is_our_name(".ferrule-0123456789ABCDEF"));
  EXPECT_FALSE(is_our_name(".ferrule-0123456789abcde"));
  EXPECT_FALSE(is_our_name(".ferrule-notes"));
  EXPECT_FALSE(is_our_name("ferrule-stage"));
  EXPECT_FALSE(is_our_name(""));
}

}  // namespace
}  // namespace ferrule::io
