// SPDX-License-Identifier: Apache-2.0
#include "ferrule/merge.hpp"

#include <memory>

#include "commands/command.hpp"
#include "commands/merge_options.hpp"

namespace ferrule::cli {

void add_merge(Arguments& command) {
  auto arguments = std::make_shared<MergeArguments>();
  add_merge_arguments(command, *arguments,
                      "Directory of the base model: config.json and its weights");
  command.about(
      R"(Writes the model that the base becomes with the adapters merged into its weights, one
after the other, as PEFT's merge_and_unload() does, but without loading it: weights pass
through in small pieces. The output has the same files, shards, names and index; what no
adapter touches is equal to the bit. A head that was tied to the embedding is written out
if only one of them changed.

The output appears complete or not at all. A merge that is killed leaves a hidden folder
next to the output, from which --resume goes on.

Examples:
  ferrule merge my-adapter --base Llama-3.1-8B -o merged
  ferrule merge style facts --base Llama-3.1-8B -o merged --weight 0.7 --weight 1
  ferrule merge my-adapter --base Llama-3.1-8B -o merged --rounding once --dtype bf16)");
  command.action([arguments] { return run_merge(*arguments, merge, "merging", "merged"); });
}

}  // namespace ferrule::cli
