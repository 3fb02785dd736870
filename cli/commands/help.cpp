// SPDX-License-Identifier: Apache-2.0
#include "help.hpp"

#include <memory>
#include <string>
#include <vector>

#include "commands/command.hpp"
#include "exit_code.hpp"
#include "print/failure.hpp"
#include "print/json.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::vector<std::string> words;
  bool json = false;
};

int run(const Options& options, const Arguments& root) {
  if (options.json) {
    print_document({{"commands", describe_commands(root)}});
    return kGood;
  }
  auto words = options.words;
  words.emplace_back("--help");
  const auto parsed = root.parse(words);
  if (!parsed.mistakes.empty()) {
    return fail_usage(parsed.mistakes, "Try 'ferrule --help'.\n", options.json);
  }
  print(Stream::kOut, help_text(*parsed.command, help_columns()));
  return kGood;
}

}  // namespace

void add_help(Arguments& command, const Arguments& root) {
  auto options = std::make_shared<Options>();
  command.positional("COMMAND", options->words, "The command (default: all of them)");
  command.flag("--json", options->json, "Print all commands and their options as JSON");
  command.action([options, &root] { return run(*options, root); });
}

}  // namespace ferrule::cli
