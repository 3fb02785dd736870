// SPDX-License-Identifier: Apache-2.0
#include "commands/merge_options.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/report_json.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

std::optional<double> number_in(const std::string& text) {
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string check_weight(const std::string& text) {
  return number_in(text) ? std::string() : "expected a number, found " + quote(text);
}

std::string check_threads(const std::string& text) {
  unsigned value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = read.ec == std::errc() && read.ptr == text.data() + text.size();
  return whole && value <= 1024 ? std::string()
                                : "expected a number of threads (0 for all), found " + quote(text);
}

void print_report(const MergeReport& report, const MergeArguments& arguments,
                  const std::string& done) {
  std::uint64_t changed = 0;
  std::uint64_t linked = 0;
  std::uint64_t resumed = 0;
  for (const auto& file : report.files) {
    changed += file.changed.size();
    linked += file.linked ? 1 : 0;
    resumed += file.resumed ? 1 : 0;
  }
  std::string text = printable(arguments.output) + ": " + counted(report.modules, "module") + " " +
                     done + ", " + counted(changed, "tensor") + " changed in " +
                     counted(report.files.size(), "file") + ", " +
                     human_bytes(report.bytes_written) + " written";
  if (linked > 0) text += ", " + counted(linked, "file") + " shared with the base";
  if (resumed > 0) text += ", " + counted(resumed, "file") + " from an earlier run";
  text += "\n";
  if (report.untied) {
    text +=
        "the head is no longer the embedding: it was written, and tie_word_embeddings is false\n";
  }
  for (const auto& name : report.left_out) {
    text += "left out, because it holds the base's weights: " + printable(name) + "\n";
  }
  print(Stream::kOut, text);
}

}  // namespace

void add_merge_arguments(Arguments& command, MergeArguments& arguments, const std::string& base) {
  arguments.options.threads = 0;
  command
      .positional("ADAPTER", arguments.adapters,
                  "Directories of adapters (or addresses, as other commands take them)")
      .required();
  command.option("--base", arguments.base, "BASE", base).required();
  command
      .option("-o,--output", arguments.output, "DIR",
              "Where to write the model: a directory that does not exist yet")
      .required();
  command
      .option("--weight", arguments.weights, "W",
              "A factor on the update of an adapter: once for each, in their order; write "
              "--weight=-0.5 for a negative one (default: 1)")
      .check(check_weight);
  command.choice<MergeRounding>(
      "--rounding", arguments.options.rounding,
      {{"peft", MergeRounding::kPeft}, {"once", MergeRounding::kOnce}},
      "Round where PEFT rounds, or compute in double precision and round once (default: peft)");
  command.choice<MergeDtype>("--dtype", arguments.options.dtype,
                             {{"keep", MergeDtype::kKeep},
                              {"f32", MergeDtype::kF32},
                              {"bf16", MergeDtype::kBF16},
                              {"f16", MergeDtype::kF16}},
                             "The dtype of the weights that are written (default: keep)");
  command
      .option("--threads", arguments.threads, "N",
              "How many threads work at once (default: one for each core)")
      .check(check_threads);
  command.flag("--copy", arguments.copy,
               "Copy unchanged weights instead of giving the base's files a second name");
  command.flag("--in-place", arguments.in_place,
               "DIR is the base itself; its old files stay until the new ones are complete");
  command.flag("--resume", arguments.resume,
               "Go on where a merge of the same files that was killed stopped");
  add_torch_key(command, arguments.options.open);
  add_durability(command, arguments.options.durability);
  add_json(command, arguments.json);
}

int run_merge(MergeArguments& arguments, MergeFunction function, const std::string& doing,
              const std::string& done) {
  auto& options = arguments.options;
  if (!arguments.threads.empty()) {
    options.threads = static_cast<unsigned>(std::strtoul(arguments.threads.c_str(), nullptr, 10));
  }
  options.sharing = arguments.copy ? MergeSharing::kCopy : MergeSharing::kLink;
  options.place = arguments.in_place ? MergePlace::kInPlace : MergePlace::kNew;
  options.start = arguments.resume ? MergeStart::kResume : MergeStart::kFresh;
  if (!arguments.weights.empty() && arguments.weights.size() != arguments.adapters.size()) {
    return fail_usage({"expected one --weight for each ADAPTER, found " +
                       std::to_string(arguments.weights.size()) + " for " +
                       std::to_string(arguments.adapters.size())},
                      "", arguments.json);
  }
  std::vector<Place> places;
  std::vector<MergeSource> sources;
  for (std::size_t i = 0; i < arguments.adapters.size(); ++i) {
    auto place = Place::of_adapter(arguments.adapters[i]);
    if (!place) return fail_place(place.error(), arguments.json);
    places.push_back(*std::move(place));
    sources.push_back({.adapter = places.back().path(),
                       .weight = arguments.weights.empty() ? 1 : *number_in(arguments.weights[i])});
  }
  Working working(doing + " into " + printable(arguments.output));
  const auto report = function(sources, arguments.base, arguments.output, options);
  working.stop();
  if (!report) return fail(report.error(), arguments.json);
  if (arguments.json) {
    print_document(to_json(*report, arguments.output));
    return kGood;
  }
  cli::report(report->findings);
  print_report(*report, arguments, done);
  return kGood;
}

}  // namespace ferrule::cli
