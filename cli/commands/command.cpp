// SPDX-License-Identifier: Apache-2.0
#include "commands/command.hpp"

#include <array>

namespace ferrule::cli {
namespace {

struct Command {
  const char* group;
  const char* name;
  const char* summary;
  void (*add)(Arguments& command);
};

constexpr const char* kSaveAndOpen = "Save and open";
constexpr const char* kCheck = "Check";
constexpr const char* kChange = "Change";

constexpr std::array kCommands = {
    Command{kSaveAndOpen, "save", "Save adapters from a state dict, as PEFT does", add_save},
    Command{kSaveAndOpen, "rescue", "Take an adapter out of a training checkpoint", add_rescue},
    Command{kSaveAndOpen, "assemble", "Put an adapter together out of the shards of ranks",
            add_assemble},
    Command{kSaveAndOpen, "inspect", "Show what is in an adapter, a file, or a folder of adapters",
            add_inspect},
    Command{kSaveAndOpen, "config", "Make, show or upgrade an adapter_config.json", add_config},
    Command{kSaveAndOpen, "state-dict", "Write an adapter under the keys of a live model",
            add_state_dict},
    Command{kCheck, "verify", "Verify adapters and files", add_verify},
    Command{kCheck, "check", "Check whether an adapter will work on its base model", add_check},
    Command{kCheck, "explain", "Show the strength of each module and where it comes from",
            add_explain},
    Command{kCheck, "diff", "Compare what two adapters do to a base model", add_diff},
    Command{kCheck, "id", "Print an id of the content that survives conversion", add_id},
    Command{kCheck, "scan", "List the code that unpickling files would run", add_scan},
    Command{kChange, "fix", "Repair problems that have exactly one fix", add_fix},
    Command{kChange, "normalize", "Rewrite a LoRA so that every engine reads it the same way",
            add_normalize},
    Command{kChange, "merge", "Merge adapters into the weights of their base model", add_merge},
    Command{kChange, "unmerge", "Remove merged adapters from a model", add_unmerge},
    Command{kChange, "convert", "Write an adapter's weights in another format", add_convert},
    Command{kChange, "combine", "Add several LoRA adapters up into one", add_combine},
    Command{kChange, "extract", "Write the difference of two models as a LoRA", add_extract},
    Command{kChange, "to-lora", "Write an adapter of another method as a LoRA", add_to_lora},
    Command{kChange, "resize", "Cut a LoRA to smaller ranks, optimally", add_resize},
    Command{kChange, "clean", "Remove what interrupted saves left behind", add_clean},
    Command{"Ship", "publish", "Make an adapter the current one for readers of a folder",
            add_publish},
#ifdef FERRULE_HAS_HUB
    Command{"Ship", "push", "Upload an adapter to the Hugging Face Hub or to S3", add_push},
    Command{"Ship", "pull", "Download an adapter from the Hub, S3 or a web folder", add_pull},
#endif
};

}  // namespace

void add_commands(Arguments& root) {
  for (const auto& [group, name, summary, add] : kCommands) {
    auto& command = root.subcommand(name, summary);
    command.group(group);
    command.filled_by(add);
  }
  auto& help = root.subcommand("help", "Show the help of a command");
  help.group("Help");
  add_help(help, root);
  root.about(R"(Exit status: 0 good, 1 the file is bad, 2 usage error, 3 the system refused.
'ferrule help COMMAND' shows its options and examples.)");
}

}  // namespace ferrule::cli
