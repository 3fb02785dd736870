// SPDX-License-Identifier: Apache-2.0
#include "hub/files/names.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ferrule::hub {
namespace {

TEST(HubNames, RepositoryIdsAreTheHubs) {
  for (const auto* good : {"a", "ann/a", "Ann-1/my_adapter.v2", "gpt2"}) {
    EXPECT_TRUE(check_repo_id(good)) << good;
  }
  for (const std::string bad : {"", "/", "a/", "/a", "a/b/c", "a--b", "a..b", "ann/a.git", "-a",
                                "a b", "ann/\xC3\xA9", "../a"}) {
    const auto checked = check_repo_id(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().rule, "HB-1") << bad;
  }
  EXPECT_TRUE(check_repo_id("ann/" + std::string(96, 'x')));
  EXPECT_FALSE(check_repo_id("ann/" + std::string(97, 'x')));
}

TEST(HubNames, RevisionsStayBelowTheRefsFolder) {
  for (const auto* good : {"main", "v1/x", "refs/pr/3", "v1.0", "0123abc"}) {
    EXPECT_TRUE(check_revision(good)) << good;
  }
  for (const auto* bad : {"", "../x", "a/../b", "/a", "a/", "-x", "a b", "a\nb", "a~1", "."}) {
    EXPECT_FALSE(check_revision(bad)) << bad;
  }
}

TEST(HubNames, HostilePathsAreSeen) {
  for (const auto* good :
       {"README.md", "a/b/c.bin", ".gitattributes", "..a", "a..b/c", "\xC3\xA9"}) {
    EXPECT_TRUE(is_safe_path(good)) << good;
  }
  using namespace std::string_view_literals;
  for (const auto bad : {""sv, ".."sv, "../a"sv, "a/../b"sv, "a/.."sv, "/etc/passwd"sv, "a//b"sv,
                         "a/"sv, "./a"sv, "a\\b"sv, "C:\\x"sv, "C:x"sv, "a\nb"sv, "a\0b"sv,
                         ".git/config"sv, "a/.git/hooks/x"sv, "\xFF"sv}) {
    EXPECT_FALSE(is_safe_path(bad)) << bad;
  }
  EXPECT_FALSE(is_safe_path(std::string(256, 'x')));
}

TEST(HubNames, LocksAndTemporaryFilesStayHere) {
  for (const auto* left :
       {".git", ".cache", "a.lock", "a.tmp", "x.incomplete", "a~", ".ferrule-stage"}) {
    EXPECT_TRUE(is_left_out(left)) << left;
  }
  for (const auto* sent : {".gitattributes", ".gitignore", "README.md", "lock", "tmp.bin"}) {
    EXPECT_FALSE(is_left_out(sent)) << sent;
  }
}

}  // namespace
}  // namespace ferrule::hub
