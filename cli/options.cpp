// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <algorithm>

namespace ferrule::cli {
namespace {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::vector<std::string_view> views(candidates.begin(), candidates.end());
  const auto best = suggest(word, views);
  return best ? " (did you mean " + std::string(*best) + "?)" : std::string();
}

void add_torch_key(CLI::App& command, OpenOptions& open) {
  command
      .add_option("--key", open.torch_key,
                  "Of a torch file whose state dict lies one level down: its key there")
      ->type_name("NAME");
}

void add_durability(CLI::App& command, Durability& durability, const std::string& help) {
  add_choice<Durability>(
      command, "--durability", durability,
      {{"fast", Durability::kFast}, {"safe", Durability::kSafe}, {"full", Durability::kFull}},
      help);
}

std::string find_misspelling(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* current = &app;
  for (const auto& argument : arguments) {
    if (argument == "--") return {};
    if (argument.rfind("--", 0) == 0) {
      const auto word = argument.substr(0, argument.find('='));
      const auto known = option_names(*current);
      if (std::find(known.begin(), known.end(), word) == known.end()) {
        return "no such option: " + printable(word, 100) + did_you_mean(word, known);
      }
      continue;
    }
    const auto commands = command_names(*current);
    if (commands.empty() || argument.empty() || argument[0] == '-') continue;
    if (std::find(commands.begin(), commands.end(), argument) == commands.end()) {
      return "no such command: " + quote(argument, 100) + did_you_mean(argument, commands);
    }
    current = current->get_subcommand(argument);
  }
  return {};
}

}  // namespace ferrule::cli
