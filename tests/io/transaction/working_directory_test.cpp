// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/working_directory.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "io/faults.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

/// The working directory for as long as it lives.
class Entered {
 public:
  explicit Entered(const fs::path& path) : before_(fs::current_path()) { fs::current_path(path); }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  ~Entered() { fs::current_path(before_); }

 private:
  fs::path before_;
};

TEST(WorkingDirectory, IsHeldByItsDirectoryAndThoseAbove) {
  const test::TempDir dir;
  const auto top = fs::canonical(dir.path());
  fs::create_directories(top / "a/b");
  fs::create_directories(top / "ab");
  const Entered entered(top / "a/b");
  EXPECT_TRUE(holds_working_directory((top / "a/b").string()));
  EXPECT_TRUE(holds_working_directory((top / "a").string()));
  EXPECT_FALSE(holds_working_directory((top / "ab").string()));
  EXPECT_FALSE(holds_working_directory((top / "a/b/c").string()));
}

TEST(WorkingDirectory, ANameThatGoesOnIsAnotherDirectory) {
  const test::TempDir dir;
  const auto top = fs::canonical(dir.path());
  fs::create_directories(top / "out-2");
  const Entered entered(top / "out-2");
  EXPECT_FALSE(holds_working_directory((top / "out").string()));
}

TEST(WorkingDirectory, IsHeldByNoneIfTheSystemCannotTell) {
  const test::Faults faults(
      [](const test::Call& call) { return call.name == "realpath" ? ENOENT : 0; });
  EXPECT_FALSE(holds_working_directory("/"));
}

}  // namespace
}  // namespace ferrule::io
