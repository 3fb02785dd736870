// SPDX-License-Identifier: Apache-2.0
// What comes from the cache; what needs a server is in test_places.py.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "ferrule/adapter.hpp"
#include "ferrule/hub.hpp"
#include "hub/cached_repository.hpp"

namespace ferrule::hub {
namespace {

TEST(HubLocate, ARepositoryIdHasTwoPlainParts) {
  for (const auto* id : {"ann/a", "ann/a.b-c_d", "1/2"}) EXPECT_TRUE(is_repo_id(id)) << id;
  for (const auto* text : {"", "ann", "ann/", "/a", "./a", "../a", "ann/a/b", "hf://ann/a",
                           "ann/a b", "ann/a.git", "-ann/a"}) {
    EXPECT_FALSE(is_repo_id(text)) << text;
  }
}

TEST(HubLocate, PathsStayPathsAndIdsComeFromTheCache) {
  const test::CachedRepository cached;
  const auto settings = cached.settings();
  for (const auto* path : {"/nothing/there", "./ann/a", "name"}) {
    const auto place = locate(path, false, {}, settings);
    ASSERT_TRUE(place) << place.error().to_string();
    EXPECT_EQ(place->path, path);
  }
  for (const auto* text : {"ann/a", "hf://ann/a"}) {
    const auto place = locate(text, false, {}, settings);
    ASSERT_TRUE(place) << place.error().to_string();
    EXPECT_EQ(place->path, cached.snapshot());
    EXPECT_TRUE(Adapter::open(place->path));
  }
}

TEST(HubLocate, WhatNothingHasIsNotFound) {
  const test::CachedRepository cached;
  const auto error = locate("bob/b", false, {}, cached.settings()).error();
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_EQ(error.system_errno, ENOENT);
  EXPECT_EQ(error.path, "bob/b");
  EXPECT_NE(error.message.find("HB-2"), std::string::npos) << error.message;
  EXPECT_EQ(locate("hf://bob/b", false, {}, cached.settings()).error().rule, "HB-2");
}

TEST(HubLocate, ABaseComesFromTheCacheWithoutItsDigests) {
  const test::CachedRepository cached;
  test::write_file(cached.snapshot() / "model.safetensors", "of any content");
  for (const auto* text : {"ann/a", "hf://ann/a", "hf://ann/a@main"}) {
    const auto place = locate_base(text, {}, cached.settings());
    ASSERT_TRUE(place) << place.error().to_string();
    EXPECT_EQ(place->path, cached.snapshot());
  }
  EXPECT_EQ(locate_base("hf://ann/a/sub", {}, cached.settings()).value().path,
            cached.snapshot() / "sub");
}

TEST(HubLocate, AConfigNamesPathsAndRepositoriesAndNoAddress) {
  const test::CachedRepository cached;
  const auto base_of = [&](const std::string& name) {
    const auto config = AdapterConfig::parse(
        R"({"peft_type": "LORA", "base_model_name_or_path": ")" + name + R"("})");
    return locate_base_of(*config, {}, cached.settings());
  };
  EXPECT_EQ(base_of("ann/a").value().path, cached.snapshot());
  EXPECT_EQ(base_of(cached.path().string()).value().path, cached.path());
  for (const auto* name :
       {"hf://ann/a", "s3://bucket/a", "https://example.com/a", "no/such/path"}) {
    const auto place = base_of(name);
    ASSERT_FALSE(place) << name;
    EXPECT_EQ(place.error().code, ErrorCode::kNotFound) << name;
    EXPECT_TRUE(place.error().rule.empty()) << name;
  }
  EXPECT_EQ(base_of("").error().code, ErrorCode::kInvalidArgument);
}

TEST(HubLocate, PathsAreNotCopiedApart) {
  const test::CachedRepository cached;
  const auto place = locate_apart(cached.path().string(), {}, cached.settings());
  ASSERT_TRUE(place);
  EXPECT_EQ(place->path, cached.path());
  // The cache is not looked at.
  EXPECT_EQ(locate_apart("hf://ann/a", {}, cached.settings()).error().rule, "HB-2");
}

}  // namespace
}  // namespace ferrule::hub
