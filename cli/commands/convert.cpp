// SPDX-License-Identifier: Apache-2.0
#include "ferrule/convert.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "commands/batch.hpp"
#include "commands/command.hpp"
#include "commands/fleet.hpp"
#include "commands/options.hpp"
#include "commands/path_list.hpp"
#include "commands/place.hpp"
#include "ferrule/exchange.hpp"
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
  PathList list;
  Fleet fleet;
  std::string output;
  bool keep_going = false;
  bool json = false;
  ConvertOptions convert;
  /// The word of --to; a dialect unless it is a weights format.
  std::string to = "safetensors";
  std::string base;
  std::string config;
  ExchangeOptions exchange;

  bool is_repack() const { return to == "safetensors" || to == "bin"; }
};

void print_report(const ExchangeReport& report) {
  std::string text = printable(report.output.string()) + ": " + report.from + " to " + report.to +
                     ", " + counted(report.sites, "module") + "\n";
  const auto inexact = std::count_if(report.folded.begin(), report.folded.end(),
                                     [](const ExchangeFold& fold) { return !fold.exact; });
  if (!report.folded.empty()) {
    text += "  strength folded into " + counted(report.folded.size(), "module");
    text += inexact == 0 ? " without rounding\n" : ", rounded in " + std::to_string(inexact) + "\n";
  }
  if (!report.rounded.empty())
    text += "  rounded: " + counted(report.rounded.size(), "tensor") + "\n";
  for (const auto& key : report.dropped) text += "  dropped: " + printable(key) + "\n";
  for (const auto& note : report.notes) text += "  " + note + "\n";
  char error[64];
  std::snprintf(error, sizeof error, "%.3g", report.largest_error);
  text += std::string("  read back: the largest relative error of an update is ") + error + "\n";
  print(Stream::kOut, text);
}

int exchange(const Options& options) {
  ExchangeOptions how = options.exchange;
  how.to = options.to;
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.json);
  std::optional<Place> base;
  if (!options.base.empty()) {
    auto found = Place::of_base(options.base);
    if (!found) return fail_place(found.error(), options.json);
    base = std::move(found).value();
    how.base = base->path();
  }
  if (!options.config.empty()) how.config = options.config;
  how.durability = options.convert.durability;
  how.open = options.convert.open;
  Working working("converting " + printable(options.adapter));
  const auto report = convert(place->path(), options.output, how);
  working.stop();
  if (!report) return fail(report.error(), options.json);
  if (options.json) {
    print_document(fields_of(to_json(*report)));
  } else {
    print_report(*report);
  }
  return kGood;
}

void print_report(const ConvertReport& report, const std::string& output) {
  for (const auto& adapter : report.adapters) {
    const std::string where =
        printable(output) + (adapter.folder.empty() ? "" : "/" + printable(adapter.folder));
    print(Stream::kOut, where + ": " + adapter.from + " to " + adapter.to + ", " +
                            counted(adapter.tensors, "tensor") + ", " +
                            human_bytes(adapter.from_bytes) + "\n");
  }
}

Result<Rewritten> convert_one(const std::string& from, const std::string& to,
                              const Options& options, const ConvertOptions& repack) {
  Working working("converting " + printable(from));
  const auto report = convert(from, to, repack);
  working.stop();
  if (!report) return report.error();
  Rewritten done;
  done.adapters = adapters_of(to_json(*report, to));
  if (!options.json) print_report(*report, to);
  return done;
}

/// Where the items of a list go below the output: by their last names if no two are equal, else by
/// their whole paths.
std::map<std::string, std::filesystem::path> places_of(const std::vector<std::string>& paths) {
  std::set<std::string> names;
  std::map<std::string, std::filesystem::path> places;
  for (const auto& path : paths) {
    auto normal = std::filesystem::path(path).lexically_normal();
    if (normal.filename().empty()) normal = normal.parent_path();
    names.insert(normal.filename().string());
    places.emplace(path, normal);
  }
  const bool unique = names.size() == places.size();
  for (auto& [path, place] : places) {
    std::filesystem::path below;
    for (const auto& part : place.relative_path()) {
      if (part != "..") below /= part;
    }
    place = unique ? place.filename() : below;
  }
  return places;
}

FleetAnswer convert_item(const std::string& path, const std::filesystem::path& output,
                         const Options& options) {
  const auto place = Place::of_adapter(path);
  if (!place) {
    return {{{"error", place_error(place.error())}}, place_exit_code(place.error())};
  }
  const auto failed = [&](const Error& error) {
    return FleetAnswer{{{"error", to_json(error)}}, exit_code(error)};
  };
  if (options.is_repack()) {
    auto repack = options.convert;
    repack.threads = 1;
    if (options.to == "bin") repack.format = WeightsFormat::kBin;
    const auto report = convert(place->path(), output, repack);
    if (!report) return failed(report.error());
    return {to_json(*report, output), kGood};
  }
  ExchangeOptions how = options.exchange;
  how.to = options.to;
  if (!options.base.empty()) how.base = options.base;
  if (!options.config.empty()) how.config = options.config;
  how.durability = options.convert.durability;
  how.open = options.convert.open;
  const auto report = convert(place->path(), output, how);
  if (!report) return failed(report.error());
  return {fields_of(to_json(*report)), kGood};
}

/// A list of adapters, each to a place of its own below the output.
int run_list(const Options& options) {
  const auto listed = options.list.read(options.json);
  if (!listed) return listed.exit_code();
  auto paths = *listed;
  if (!options.adapter.empty()) paths.insert(paths.begin(), options.adapter);
  const auto places = places_of(paths);
  return options.fleet.run(paths, [&](const std::string& path) {
    return convert_item(path, std::filesystem::path(options.output) / places.at(path), options);
  });
}

/// An option that only other programs' formats have, if one is given without one of these.
const char* idle_option(const Options& options) {
  if (!options.is_repack()) return nullptr;
  const auto& how = options.exchange;
  if (!how.from.empty()) return "--from";
  if (!options.config.empty()) return "--config";
  if (!how.dtype.empty()) return "--dtype";
  if (!how.arch.empty()) return "--arch";
  return how.drop.empty() ? nullptr : "--drop";
}

int run(const Options& options) {
  if (const char* const idle = idle_option(options)) {
    return fail_usage(
        {std::string(idle) + " needs --to with the format of a program, as in --to peft"},
        "Try 'ferrule convert --help'.\n", options.json);
  }
  if (options.list.is_file_given() || options.fleet.is_wanted()) return run_list(options);
  if (!options.is_repack()) return exchange(options);
  ConvertOptions repack = options.convert;
  if (options.to == "bin") repack.format = WeightsFormat::kBin;
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.json);
  const auto from = place->path().string();
  if (options.keep_going) {
    return rewrite_each(from, options.output, options.json, [&](const auto& one, const auto& to) {
      return convert_one(one, to, options, repack);
    });
  }
  Working working("converting " + printable(options.adapter));
  const auto report = convert(from, options.output, repack);
  working.stop();
  if (!report) return fail(report.error(), options.json);
  if (options.json) {
    print_document(to_json(*report, options.output));
  } else {
    print_report(*report, options.output);
  }
  return kGood;
}

std::vector<std::pair<std::string, std::string>> words(bool writable) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& dialect : exchange_dialects()) {
    if (writable && !dialect.writes) continue;
    out.emplace_back(dialect.name, dialect.name);
  }
  return out;
}

void add_exchange_options(Arguments& command, const std::shared_ptr<Options>& options) {
  auto targets = words(true);
  targets.insert(targets.begin(), {{"safetensors", "safetensors"}, {"bin", "bin"}});
  command
      .choice<std::string>("--to", options->to, std::move(targets),
                           "The format to write (default: safetensors)")
      .alias("--format");
  command.choice<std::string>("--from", options->exchange.from, words(false),
                              "The format of SRC (default: found by its content)");
  command.option("--base", options->base, "BASE",
                 "The base model: a folder with config.json, or a diffusers pipeline");
  command.option("--config", options->config, "FILE",
                 "A file of the source's program that holds the strength or names");
  command.choice<std::string>("--dtype", options->exchange.dtype,
                              {{"f32", "f32"}, {"f16", "f16"}, {"bf16", "bf16"}, {"q8_0", "q8_0"}},
                              "What the factors are stored as (default: as in SRC)");
  command.option("--arch", options->exchange.arch, "NAME",
                 "The model's architecture if no base says it");
  command.option("--drop", options->exchange.drop, "WHAT",
                 "Leave out what the target cannot hold: dora, bias, modules_to_save, embeddings, "
                 "...");
}

}  // namespace

void add_convert(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->convert.threads = 0;
  command
      .positional("SRC", options->adapter,
                  "An adapter of any program: a folder, a file, or an address as of other "
                  "commands")
      .required_unless("--files-from");
  options->list.add_file_to(command);
  options->fleet.add_to(command);
  command
      .option("-o,--output", options->output, "OUT",
              "Where to write; with --to safetensors or bin, SRC itself converts in place")
      .required();
  add_exchange_options(command, options);
  add_keep_going(command, options->keep_going);
  add_torch_key(command, options->convert.open);
  add_durability(command, options->convert.durability);
  add_json(command, options->json);
  command.about(
      R"(Writes an adapter in the form of another program. What SRC is, is found by its content. The
output is read back and every module's update is compared with the source's before it appears.
What the target cannot hold is refused unless --drop names it.

With --to safetensors or bin, the weights of a PEFT folder are rewritten in that format with every
tensor unchanged; other files stay as they are and adapters in folders below are converted too.

Examples:
  ferrule convert my-adapter -o adapter.gguf --to gguf --base llama
  ferrule convert mlx-adapters -o my-adapter --to peft --base llama
  ferrule convert my-adapter -o my-adapter --to safetensors)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
