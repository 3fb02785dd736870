// SPDX-License-Identifier: Apache-2.0
#include "exchange/stage.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "ferrule/call_control.hpp"
#include "temp_dir.hpp"

namespace ferrule::exchange {
namespace {

Plan plan_of_a_file(const std::string& name) {
  Plan plan;
  plan.files.push_back(text_file(name, "text"));
  return plan;
}

TEST(Stage, WhatIsNotPublishedLeavesNoFolderBehind) {
  for (const bool is_file : {true, false}) {
    const test::TempDir dir;
    const auto plan = plan_of_a_file(is_file ? "" : "name");
    {
      Stage stage(dir / "new/parent/out", is_file, Durability::kFast);
      ASSERT_TRUE(stage.write(plan));
    }
    EXPECT_FALSE(std::filesystem::exists(dir / "new"));
    {
      Stage stage(dir / "new/parent/out", is_file, Durability::kFast);
      ASSERT_TRUE(stage.write(plan));
      ASSERT_TRUE(stage.publish(plan));
    }
    EXPECT_TRUE(std::filesystem::exists(dir / "new/parent/out"));
  }
}

TEST(Stage, ACanceledCallIsNotPublished) {
  for (const bool is_file : {true, false}) {
    const test::TempDir dir;
    const auto plan = plan_of_a_file(is_file ? "" : "name");
    CallControl control;
    const CallControl::Scope scope(control);
    {
      Stage stage(dir / "new/out", is_file, Durability::kFast);
      ASSERT_TRUE(stage.write(plan));
      control.cancel();
      EXPECT_EQ(stage.publish(plan).error().system_errno, EINTR);
    }
    EXPECT_FALSE(std::filesystem::exists(dir / "new"));
  }
}

}  // namespace
}  // namespace ferrule::exchange
