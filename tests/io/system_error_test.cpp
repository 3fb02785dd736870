// SPDX-License-Identifier: Apache-2.0
#include "io/system_error.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

namespace ferrule::io {
namespace {

TEST(SystemErrors, CarryTheNumberThePathAndTheSystemsText) {
  const auto error = system_error(ENOSPC, "cannot write it", "some/file");
  EXPECT_EQ(error.code, ErrorCode::kIo);
  EXPECT_EQ(error.system_errno, ENOSPC);
  EXPECT_EQ(error.path, "some/file");
  EXPECT_EQ(error.message, "cannot write it: No space left on device");
}

TEST(SystemErrors, NoMemoryIsALimit) {
  EXPECT_EQ(system_error(ENOMEM, "x", "p").code, ErrorCode::kLimitExceeded);
}

TEST(SystemErrors, OfOpeningTellAbsentFromRefused) {
  EXPECT_EQ(open_error(ENOENT, "cannot open it", "p").code, ErrorCode::kNotFound);
  EXPECT_EQ(open_error(ENOENT, "cannot open it", "p").message,
            "there is no such file or directory");
  EXPECT_EQ(open_error(EACCES, "cannot open it", "p").code, ErrorCode::kIo);
  EXPECT_EQ(open_error(EACCES, "cannot open it", "p").message, "cannot open it: Permission denied");
}

TEST(KindsOfFiles, HaveNames) {
  EXPECT_EQ(kind_of(S_IFREG | 0644), "a regular file");
  EXPECT_EQ(kind_of(S_IFDIR | 0755), "a directory");
  EXPECT_EQ(kind_of(S_IFIFO), "a FIFO");
  EXPECT_EQ(kind_of(S_IFSOCK), "a socket");
  EXPECT_EQ(kind_of(S_IFCHR), "a device");
  EXPECT_EQ(kind_of(S_IFBLK), "a device");
  EXPECT_EQ(kind_of(S_IFLNK | 0777), "a symbolic link");
}

}  // namespace
}  // namespace ferrule::io
