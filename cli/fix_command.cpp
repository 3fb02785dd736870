// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "ferrule/fix.hpp"
#include "ferrule/text.hpp"
#include "options.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string directory;
  std::string output;
  std::string base;
  bool json = false;
  FixOptions fix;
};

int fail(const Error& error, const Options& options, const std::string& given) {
  report(error);
  if (options.json) print_json(Json::Object{{"version", 1}, {"error", cli::to_json(error)}});
  return exit_code(error, error.path.empty() ? given : error.path);
}

Json to_json(const FixReport& fixed, const Options& options) {
  Json::Array adapters;
  for (const auto& adapter : fixed.adapters()) {
    Json::Array mended;
    for (const auto& thing : adapter.mended) {
      mended.push_back(Json::Object{{"what", Json(thing.what)},
                                    {"message", Json(thing.message)},
                                    {"tensors", number(thing.tensors)}});
    }
    adapters.push_back(Json::Object{{"folder", Json(adapter.folder)},
                                    {"mended", std::move(mended)},
                                    {"left", cli::to_json(adapter.left)}});
  }
  return Json::Object{{"version", 1},
                      {"good", fixed.good()},
                      {"written", fixed.good()},
                      {"directory", Json(options.output)},
                      {"in_place", fixed.in_place()},
                      {"adapters", std::move(adapters)}};
}

void print_human(const FixReport& fixed, const Options& options) {
  for (const auto& adapter : fixed.adapters()) {
    auto where = printable(options.output);
    if (!adapter.folder.empty()) where.append("/").append(printable(adapter.folder));
    if (adapter.mended.empty()) print(Stream::kOut, where + ": nothing to mend\n");
    for (const auto& thing : adapter.mended) {
      const auto count =
          thing.tensors == 0 ? std::string() : " (" + counted(thing.tensors, "tensor") + ")";
      print(Stream::kOut, where + ": " + printable(thing.message) + count + "\n");
    }
    report(adapter.left);
  }
  if (!fixed.good()) {
    print(Stream::kErr,
          "ferrule: what is left cannot be mended without guessing; nothing was written\n");
  }
}

int run(Options& options) {
  std::optional<BaseModel> base;
  if (!options.base.empty()) {
    auto opened = BaseModel::open(options.base);
    if (!opened) return fail(opened.error(), options, options.base);
    base = std::move(opened).value();
    options.fix.base = &*base;
  }
  const auto fixed = fix(options.directory, options.output, options.fix);
  if (!fixed) return fail(fixed.error(), options, options.directory);
  if (options.json) {
    print_json(to_json(*fixed, options));
  } else {
    print_human(*fixed, options);
  }
  return fixed->good() ? kGood : kBad;
}

}  // namespace

Action add_fix(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command.add_option("ADAPTER", options->directory, "Directory of the adapter")
      ->required()
      ->type_name("");
  command.add_option("-o,--output", options->output, "Where it goes; ADAPTER itself for in place")
      ->required()
      ->type_name("DIR");
  command.add_option("--base", options->base, "The base model, for prefixes of wrappers")
      ->type_name("PATH");
  add_durability(command, options->fix.durability);
  command.add_flag("--json", options->json, "Print one JSON document");
  command.footer(
      R"(Mends what has one right answer: names that torch.compile, FSDP, DDP or an adapter
left in keys, a missing base_model.model., types and fields of older PEFTs, a stale
adapter_model.bin; with --base a wrapper's prefix. Tensors keep their bits. What only a
guess could mend is said, nothing is written then, and the exit status is 1.

  ferrule fix broken -o mended --base models/llama)");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
