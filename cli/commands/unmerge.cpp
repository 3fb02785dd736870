// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "commands/command.hpp"
#include "commands/merge_options.hpp"
#include "ferrule/merge.hpp"

namespace ferrule::cli {

void add_unmerge(Arguments& command) {
  auto arguments = std::make_shared<MergeArguments>();
  add_merge_arguments(command, *arguments,
                      "Directory of the model that the adapters were merged into");
  command.about(
      R"(Subtracts the updates of adapters from the model that they were merged into. Give the
adapters and weights that were merged. The result is as near to the model before the
merge as the dtype of its weights allows. What a merge overwrites cannot be undone and is
refused: DoRA, modules saved in full, biases, trained tokens.

Example:
  ferrule unmerge my-adapter --base merged -o base-again)");
  command.action([arguments] { return run_merge(*arguments, unmerge, "unmerging", "taken off"); });
}

}  // namespace ferrule::cli
