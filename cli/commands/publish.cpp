// SPDX-License-Identifier: Apache-2.0
#include "ferrule/publish.hpp"

#include <charconv>
#include <memory>
#include <string>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/rescue_json.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string adapter;
  std::string root;
  std::string keep;
  PublishOptions publish;
  bool json = false;
};

std::string read_count(const std::string& text, std::uint64_t& count) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && count > 0 ? std::string() : "expected a number of generations, 1 or more";
}

int run(const Options& options) {
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.json);
  Working working("publishing to " + printable(options.root));
  const auto report = publish(place->path(), options.root, options.publish);
  working.stop();
  if (!report) return fail(report.error(), options.json);
  if (options.json) {
    print_document(to_json(*report));
    return kGood;
  }
  print(Stream::kOut, colored(Stream::kOut, Color::kGreen, "published") + " generation " +
                          std::to_string(report->generation) + " to " +
                          printable(report->directory.string()) + "\n    " +
                          counted(report->files, "file") + ", " + human_bytes(report->bytes) +
                          (report->removed.empty()
                               ? std::string()
                               : ", removed " + counted(report->removed.size(), "old generation")) +
                          "\n");
  return kGood;
}

}  // namespace

void add_publish(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("ADAPTER", options->adapter, kAdapterHelp).required();
  command.positional("ROOT", options->root, "The folder with all generations; made if missing")
      .required();
  command.option("--keep", options->keep, "N", "Keep only the newest N generations (default: all)")
      .check(
          [options](const std::string& text) { return read_count(text, options->publish.keep); });
  add_durability(command, options->publish.durability);
  add_json(command, options->json);
  command.about(
      R"(Copies the adapter to ROOT/NNNNNNNN, a folder that is whole when it appears and never
changes, and points ROOT/current to it in one step: a program that reads ROOT/current never
sees half of an adapter. An adapter with errors is refused. ROOT can be in /dev/shm.

Example:
  ferrule publish my-adapter /srv/adapters/mine --keep 3)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
