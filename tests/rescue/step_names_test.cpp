// SPDX-License-Identifier: Apache-2.0
#include "rescue/step_names.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace ferrule::rescues {
namespace {

struct Row {
  const char* name;
  std::optional<std::int64_t> number;
};

TEST(StepNames, NumberInSaysTheStep) {
  const Row rows[] = {
      {"checkpoint-500", 500},
      {"global_step2", 2},
      {"global_step2_universal", 2},
      {"iter_0000010", 10},
      {"epoch=3-step=12", 12},
      {"epoch=3-step=12.ckpt", 12},
      // Lightning's second file of the same name.
      {"epoch=3-step=12-v1.ckpt", 12},
      {"model-500.ckpt", 500},
      {"last.ckpt", std::nullopt},
      {"last-v1.ckpt", std::nullopt},
      // The last number is not a step.
      {"epoch=3-loss=0.25.ckpt", std::nullopt},
      {"epoch=3.ckpt", std::nullopt},
      {"final", std::nullopt},
      {"", std::nullopt},
      {"step-99999999999999999999", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(number_in(row.name), row.number) << row.name;
}

TEST(StepNames, StepFolders) {
  EXPECT_TRUE(is_step_folder("checkpoint-500"));
  EXPECT_TRUE(is_step_folder("epoch_3"));
  EXPECT_FALSE(is_step_folder("checkpoint-best"));
  EXPECT_FALSE(is_step_folder("run7"));
}

TEST(StepNames, NewestFirst) {
  std::vector<std::string> names = {"last.ckpt", "step=9.ckpt", "step=10.ckpt"};
  newest_first(names);
  EXPECT_EQ(names, (std::vector<std::string>{"step=10.ckpt", "step=9.ckpt", "last.ckpt"}));
}

}  // namespace
}  // namespace ferrule::rescues
