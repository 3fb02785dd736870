// SPDX-License-Identifier: Apache-2.0
#include "io/shared_number.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

TEST(SharedNumber, WhatOneStoresTheOtherLoads) {
  const test::TempDir dir;
  auto writer = SharedNumber::make(dir / "number");
  ASSERT_TRUE(writer) << writer.error().to_string();
  const auto reader = SharedNumber::open(dir / "number");
  ASSERT_TRUE(reader) << reader.error().to_string();
  EXPECT_EQ(reader->load(), 0U);
  writer->store(0x1234567890abcdef);
  EXPECT_EQ(reader->load(), 0x1234567890abcdefU);
  SharedNumber moved = *std::move(writer);
  moved.store(7);
  EXPECT_EQ(reader->load(), 7U);
  const auto again = SharedNumber::make(dir / "number");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->load(), 7U);
}

TEST(SharedNumber, WhatIsNotOneIsRefused) {
  const test::TempDir dir;
  EXPECT_EQ(SharedNumber::open(dir / "missing").error().code, ErrorCode::kNotFound);
  test::write_file(dir / "short", "1234");
  EXPECT_EQ(SharedNumber::open(dir / "short").error().code, ErrorCode::kCorrupt);
  EXPECT_FALSE(SharedNumber::open(dir.path()));
  std::filesystem::create_symlink(dir / "short", dir / "link");
  EXPECT_FALSE(SharedNumber::make(dir / "link"));
}

}  // namespace
}  // namespace ferrule::io
