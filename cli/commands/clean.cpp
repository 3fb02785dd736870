// SPDX-License-Identifier: Apache-2.0
#include "ferrule/clean.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "ferrule/report_json.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string folder;
  bool json = false;
};

void print_paths(Stream stream, const std::vector<std::filesystem::path>& paths, const char* what) {
  for (const auto& path : paths) print(stream, printable(path.string()) + ": " + what + "\n");
}

int run(const Options& options) {
  const auto cleaned = clean(options.folder);
  if (!cleaned) return fail(cleaned.error(), options.json);
  for (const auto& error : cleaned->errors) report(error);
  const int code = !cleaned->errors.empty() ? kSystem : cleaned->kept.empty() ? kGood : kBad;
  if (options.json) {
    print_document(to_json(*cleaned, options.folder));
    return code;
  }
  print_paths(Stream::kOut, cleaned->removed, "removed");
  print_paths(Stream::kOut, cleaned->in_use, "in use by a save that is running");
  print_paths(
      Stream::kErr, cleaned->kept,
      "kept: it is another user's, or holds files of a directory that does not exist any more");
  if (cleaned->removed.empty() && cleaned->in_use.empty() && code == kGood) {
    print(Stream::kOut, printable(options.folder) + ": nothing to clean\n");
  }
  return code;
}

}  // namespace

void add_clean(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("DIR", options->folder, "A directory, searched to the bottom").required();
  add_json(command, options->json);
  command.about(
      R"(Removes the hidden ".ferrule-" files and folders that a killed save left in DIR, below it,
or next to it for DIR itself. What a running save uses is left alone.

Example:
  ferrule clean adapters/)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
