// SPDX-License-Identifier: Apache-2.0
#include "container/checkpoint_folder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ferrule::container {
namespace {

using Names = std::vector<std::string>;

TEST(ChooseFiles, AnIndexCountsBeforeAllAndHidesItsShards) {
  const auto choice =
      choose_files({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                    "model.safetensors.index.json"});
  EXPECT_EQ(choice.chosen, Names{"model.safetensors.index.json"});
  EXPECT_TRUE(choice.beside.empty());
}

TEST(ChooseFiles, TheModelCountsBeforeTheAdapterAndSafetensorsBeforeTorch) {
  EXPECT_EQ(choose_files({"adapter_model.safetensors", "model.safetensors"}).chosen,
            Names{"model.safetensors"});
  EXPECT_EQ(choose_files({"adapter_model.bin", "adapter_model.safetensors"}).chosen,
            Names{"adapter_model.safetensors"});
  EXPECT_EQ(choose_files({"adapter_model.bin", "pytorch_model.bin"}).chosen,
            Names{"pytorch_model.bin"});
}

TEST(ChooseFiles, OtherFilesOfTensorsAreBeside) {
  const auto choice = choose_files({"adapter_model.safetensors", "non_lora_trainables.bin"});
  EXPECT_EQ(choice.chosen, Names{"adapter_model.safetensors"});
  EXPECT_EQ(choice.beside, Names{"non_lora_trainables.bin"});
}

TEST(ChooseFiles, TrainingStateAndHiddenFilesAreNeitherChosenNorBeside) {
  const auto choice = choose_files({".hidden.safetensors", "optimizer.pt", "rng_state.pth",
                                    "scheduler.pt", "training_args.bin"});
  EXPECT_TRUE(choice.chosen.empty());
  EXPECT_TRUE(choice.beside.empty());
}

TEST(TrainingState, IsKnownByItsName) {
  for (const auto* name : {"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state_3.pth",
                           "random_states_0.pkl", "mp_rank_00_optim_states.pt"}) {
    EXPECT_TRUE(is_training_state(name)) << name;
  }
  for (const auto* name : {"adapter_model.bin", "pytorch_model.bin", "my_optimizer.pt"}) {
    EXPECT_FALSE(is_training_state(name)) << name;
  }
}

TEST(DescribeFolder, NothingIsSaidOfNamesThatShowNothing) {
  EXPECT_TRUE(describe_folder(Names{}).empty());
  EXPECT_TRUE(describe_folder(Names{"notes.txt"}).empty());
}

TEST(DescribeFolder, ADistributedCheckpointIsNamed) {
  const auto text = describe_folder(Names{".metadata", "__0_0.distcp"});
  EXPECT_NE(text.find("DCP"), std::string::npos) << text;
}

TEST(DescribeFolder, ARunNamesItsNewestCheckpoint) {
  const auto text = describe_folder(Names{"checkpoint-1000", "checkpoint-900", "runs"});
  EXPECT_NE(text.find("checkpoint-1000"), std::string::npos) << text;
}

}  // namespace
}  // namespace ferrule::container
