// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "commands/command.hpp"
#include "exit_code.hpp"
#include "ferrule/text.hpp"
#include "ferrule/version.hpp"
#include "help.hpp"
#include "print/failure.hpp"
#include "signals.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

/// What to read about the mistakes: the usage of the command that was meant.
std::string hint(const Arguments& command) {
  return usage_line(command) + "\nTry '" + command.path() + " --help'.\n";
}

bool wants_json(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::find(words.begin(), end, "--json") != end;
}

int run(const std::vector<std::string>& words) {
  Arguments root("ferrule", "Save, open and check PEFT adapters, without torch or Python");
  add_commands(root);
  const auto parsed = root.parse(words);
  if (!parsed.mistakes.empty()) {
    return fail_usage(parsed.mistakes, hint(*parsed.command), wants_json(words));
  }
  if (parsed.wants_version) {
    print(Stream::kOut, "ferrule " + std::string(version()) + " (files as PEFT " +
                            std::string(peft_version()) + " writes them)\n");
    return kGood;
  }
  if (parsed.wants_help) {
    print(Stream::kOut, help_text(*parsed.command, help_columns()));
    return kGood;
  }
  if (parsed.command->has_action()) return parsed.command->run();
  if (wants_json(words)) return fail_usage({"a command is required"}, hint(*parsed.command), true);
  print(Stream::kErr, help_text(*parsed.command, help_columns()));
  return kUsage;
}

}  // namespace
}  // namespace ferrule::cli

int main(int argc, char** argv) {
  using ferrule::cli::print;
  using ferrule::cli::Stream;
  ferrule::cli::ignore_broken_pipes();
  ferrule::cli::handle_signals();
  int code = ferrule::cli::kSystem;
  try {
    code = ferrule::cli::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::bad_alloc&) {
    print(Stream::kErr, "ferrule: out of memory\n");
  } catch (const std::exception& error) {
    print(Stream::kErr, "ferrule: " + ferrule::printable(error.what()) + "\n");
  }
  const int finished = ferrule::cli::finish();
  // A save that was complete before the signal came is reported as any other.
  if (code != ferrule::cli::kGood) ferrule::cli::die_if_interrupted();
  return finished != 0 ? finished : code;
}
