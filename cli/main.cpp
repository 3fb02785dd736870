// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "command.hpp"
#include "ferrule/text.hpp"
#include "ferrule/version.hpp"
#include "options.hpp"
#include "render.hpp"
#include "terminal.hpp"

namespace ferrule::cli {

int exit_code(const Error& error, const std::filesystem::path& given) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return kUsage;
    case ErrorCode::kNotFound: {
      std::error_code ignored;
      return std::filesystem::exists(given, ignored) ? kBad : kSystem;
    }
    case ErrorCode::kIo:
      // A link that leads to itself is bad input, not a failure of the system.
      return error.system_errno == ELOOP ? kBad : kSystem;
    case ErrorCode::kCorrupt:
    case ErrorCode::kUnsupported:
    case ErrorCode::kLimitExceeded:
      return kBad;
  }
  return kBad;
}

int fail(const Error& error, const std::filesystem::path& given, bool json) {
  report(error);
  if (json) print_json(Json::Object{{"version", 1}, {"error", to_json(error)}});
  return exit_code(error, given);
}

namespace {

struct Command {
  const char* name;
  const char* summary;
  Action (*add)(CLI::App& command);
};

constexpr std::array kCommands = {
    Command{"save", "Save adapters out of a state dict, as PEFT does", add_save},
    Command{"inspect", "Show what is in an adapter, a file, or a folder of thousands", add_inspect},
    Command{"verify", "Judge adapters and files", add_verify},
    Command{"check", "Tell whether an adapter will work on its base", add_check},
    Command{"fix", "Mend what has one right answer", add_fix},
    Command{"explain", "Show the strength of each module and where it comes from", add_explain},
    Command{"normalize", "Write a LoRA as one that every engine reads the same", add_normalize},
    Command{"diff", "Compare what two adapters do to a base", add_diff},
    Command{"id", "Print a content id that survives re-serialisation", add_id},
    Command{"config", "Make, show or upgrade an adapter_config.json", add_config},
    Command{"state-dict", "Write the live keys of an adapter", add_state_dict},
    Command{"convert", "Write an adapter's weights in the other format", add_convert},
#ifdef FERRULE_HAS_HUB
    Command{"push", "Send an adapter to the Hugging Face Hub or to S3", add_push},
    Command{"pull", "Fetch an adapter from the Hub, S3 or a web folder", add_pull},
#endif
    Command{"scan", "Tell what would run if files were unpickled", add_scan},
};

constexpr const char* kExamples =
    R"(Exit status: 0 good, 1 the file is bad, 2 usage, 3 the system refused.
'ferrule COMMAND --help' says more, with examples.)";

int usage_error(const std::string& message) {
  print(Stream::kErr, "ferrule: " + message + "\nTry 'ferrule --help'.\n");
  return kUsage;
}

int run(const std::vector<std::string>& arguments) {
  CLI::App app{"Saves, opens and verifies PEFT adapters, without torch or Python.", "ferrule"};
  app.set_version_flag("--version", "ferrule " + std::string(version()) + " (files as PEFT " +
                                        std::string(peft_version()) + " writes them)");
  app.require_subcommand(0, 1);
  app.footer(kExamples);
  std::vector<std::pair<CLI::App*, Action>> actions;
  for (const auto& command : kCommands) {
    auto* subcommand = app.add_subcommand(command.name, command.summary);
    auto action = command.add(*subcommand);
    actions.emplace_back(subcommand, std::move(action));
  }
  if (const auto mistake = find_misspelling(app, arguments); !mistake.empty()) {
    return usage_error(mistake);
  }
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    print(Stream::kOut, app.help() + "\n");
    return kGood;
  } catch (const CLI::CallForVersion& request) {
    print(Stream::kOut, std::string(request.what()) + "\n");
    return kGood;
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  for (const auto& [subcommand, action] : actions) {
    if (subcommand->parsed()) return action();
  }
  print(Stream::kErr, app.help() + "\n");
  return kUsage;
}

}  // namespace
}  // namespace ferrule::cli

int main(int argc, char** argv) {
  using ferrule::cli::print;
  using ferrule::cli::Stream;
  ferrule::cli::ignore_broken_pipes();
  int code = ferrule::cli::kSystem;
  try {
    code = ferrule::cli::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::bad_alloc&) {
    print(Stream::kErr, "ferrule: out of memory\n");
  } catch (const std::exception& error) {
    print(Stream::kErr, "ferrule: " + ferrule::printable(error.what()) + "\n");
  }
  const int finished = ferrule::cli::finish();
  return finished != 0 ? finished : code;
}
