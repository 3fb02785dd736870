// SPDX-License-Identifier: Apache-2.0
#include "io/directory_set.hpp"

#include <gtest/gtest.h>

namespace ferrule::io {
namespace {

FileIdentity directory(std::uint64_t device, std::uint64_t inode) {
  FileIdentity identity;
  identity.device = device;
  identity.inode = inode;
  return identity;
}

TEST(DirectorySet, TakesEachDirectoryOnceHoweverManyThereAre) {
  DirectorySet set;
  // Inodes as file systems give them: in sequence, in large steps, and up to 64 bits.
  for (const std::uint64_t step : {1U, 256U, 65536U, 0xFFFFFFFFU}) {
    for (std::uint64_t i = 1; i <= 5000; ++i) EXPECT_TRUE(set.insert(directory(step, i * step)));
  }
  for (const std::uint64_t step : {1U, 256U, 65536U, 0xFFFFFFFFU}) {
    for (std::uint64_t i = 1; i <= 5000; ++i) EXPECT_FALSE(set.insert(directory(step, i * step)));
  }
}

TEST(DirectorySet, ToldApartByDeviceAndByInode) {
  DirectorySet set;
  EXPECT_TRUE(set.insert(directory(0, 0)));
  EXPECT_TRUE(set.insert(directory(0, 1)));
  EXPECT_TRUE(set.insert(directory(1, 0)));
  EXPECT_FALSE(set.insert(directory(0, 0)));
  auto again = directory(0, 1);
  again.size = 4096;
  again.changed_ns = 1;
  EXPECT_FALSE(set.insert(again)) << "a directory that changes meanwhile is the same directory";
}

}  // namespace
}  // namespace ferrule::io
