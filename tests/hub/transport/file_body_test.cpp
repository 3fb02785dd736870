// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/file_body.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

std::string read_all(Body& body) {
  std::string text;
  std::array<std::byte, 4> buffer{};
  for (;;) {
    const auto got = body.read(buffer);
    EXPECT_TRUE(got);
    if (!got || *got == 0) return text;
    text.append(reinterpret_cast<const char*>(buffer.data()), *got);
  }
}

TEST(HubFileBody, IsAPieceOfAFileAndCountsWhatItGaveAway) {
  const test::TempDir folder;
  test::write_file(folder / "f", "0123456789");
  const auto file = io::InputFile::open(folder / "f");
  ASSERT_TRUE(file);
  std::uint64_t counted = 0;
  Watcher watcher;
  watcher.progress = [&](const Progress& progress) { counted = progress.bytes_done; };
  Meter meter(watcher, {});
  FileBody body(*file, 2, 7, &meter);
  EXPECT_EQ(body.size(), 7U);
  EXPECT_EQ(read_all(body), "2345678");
  EXPECT_EQ(counted, 7U);
  ASSERT_TRUE(body.rewind());
  EXPECT_EQ(counted, 0U);
  EXPECT_EQ(read_all(body), "2345678");
  EXPECT_EQ(counted, 7U);
}

TEST(HubFileBody, AFileThatEndsTooSoonIsAnError) {
  const test::TempDir folder;
  test::write_file(folder / "f", "0123");
  const auto file = io::InputFile::open(folder / "f");
  ASSERT_TRUE(file);
  FileBody body(*file, 2, 7, nullptr);
  std::array<std::byte, 16> buffer{};
  EXPECT_FALSE(body.read(buffer));
}

}  // namespace
}  // namespace ferrule::hub
