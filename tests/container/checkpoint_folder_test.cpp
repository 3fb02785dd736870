// SPDX-License-Identifier: Apache-2.0
#include "container/checkpoint_folder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace ferrule::container {
namespace {

using Names = std::vector<std::string>;

TEST(ChooseFiles, AModelIsLookedForAsTransformersDoes) {
  // Single files beside shards: transformers opens model.safetensors.
  EXPECT_EQ(choose_files({"model-00001-of-00001.safetensors", "model.safetensors",
                          "model.safetensors.index.json"})
                .chosen,
            Names{"model.safetensors"});
  // Mistral's own files have an index, too.
  EXPECT_EQ(
      choose_files({"consolidated.safetensors.index.json", "model.safetensors.index.json"}).chosen,
      Names{"model.safetensors.index.json"});
  EXPECT_EQ(choose_files({"pytorch_model.bin", "pytorch_model.bin.index.json"}).chosen,
            Names{"pytorch_model.bin"});
}

TEST(ChooseFiles, AnIndexCountsBeforeItsShards) {
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

TEST(DescribeFolder, NamesTheProgram) {
  const struct {
    Names names;
    std::string_view named;
  } rows[] = {
      {{".metadata", "__0_0.distcp"}, "DCP"},
      {{"pytorch_model_fsdp_0"}, "pytorch_model_fsdp_0"},
      {{"global_step100", "latest"}, "DeepSpeed"},
      {{"zero_to_fp32.py"}, "DeepSpeed"},
      {{"checkpoint-1000", "checkpoint-500", "checkpoint-9"}, "\"checkpoint-1000\""},
      {{"blobs", "refs", "snapshots"}, "Hugging Face cache"},
      {{"model.gguf"}, "\"model.gguf\""},
      {{"adapter.onnx_adapter"}, "ONNX"},
      {{"lora_model_state.pdparams"}, "PaddlePaddle"},
      {{"tf_model.h5"}, "Keras"},
      {{"flax_model.msgpack"}, "Flax"},
      {{"last.ckpt"}, "Lightning"},
      {{"trainer_state.json"}, "Trainer"},
  };
  for (const auto& row : rows) {
    EXPECT_NE(describe_folder(row.names).find(row.named), std::string::npos)
        << row.named << ": " << describe_folder(row.names);
  }
}

TEST(DescribeFolder, IsEmptyIfTheNamesShowNothing) {
  for (const Names& names : {Names{}, Names{"README.md"}, Names{"checkpoint-"},
                             Names{"checkpoint-x"}, Names{"checkpoint-1234567890123456789"},
                             Names{".hidden.gguf"}, Names{".metadata"}, Names{"refs"}}) {
    EXPECT_EQ(describe_folder(names), "");
  }
}

TEST(DescribeFolder, QuotesHostileNames) {
  const Names names = {"a\x1b[2J\n.gguf"};
  EXPECT_NE(describe_folder(names).find(R"("a\u001b[2J\n.gguf")"), std::string::npos);
}

}  // namespace
}  // namespace ferrule::container
