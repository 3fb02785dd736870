// SPDX-License-Identifier: Apache-2.0
#include "ferrule/fix.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands/batch.hpp"
#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string adapter;
  std::string output;
  std::string base;
  bool keep_going = false;
  bool json = false;
  FixOptions fix;
};

void print_human(const FixReport& fixed, const std::string& output) {
  for (const auto& adapter : fixed.adapters) {
    auto where = printable(output);
    if (!adapter.folder.empty()) where.append("/").append(printable(adapter.folder));
    report(adapter.remaining);
    if (!fixed.good()) continue;  // Nothing was written, so nothing was done.
    if (adapter.fixed.empty()) print(Stream::kOut, where + ": nothing to fix\n");
    for (const auto& thing : adapter.fixed) {
      const auto count =
          thing.tensors == 0 ? std::string() : " (" + counted(thing.tensors, "tensor") + ")";
      print(Stream::kOut, where + ": " + printable(thing.message) + count + "\n");
    }
  }
  if (!fixed.good()) {
    print(Stream::kErr, "ferrule: the remaining problems need a decision; nothing was written\n");
  }
}

Result<Rewritten> fix_one(const std::string& from, const std::string& to, const Options& options) {
  Working working("fixing " + printable(from));
  const auto fixed = fix(from, to, options.fix);
  working.stop();
  if (!fixed) return fixed.error();
  Rewritten done;
  done.code = fixed->good() ? kGood : kBad;
  done.adapters = adapters_of(to_json(*fixed, to));
  if (!options.json) print_human(*fixed, to);
  return done;
}

int run(Options& options) {
  std::optional<BaseModel> base;
  if (!options.base.empty()) {
    const auto place = Place::of_base(options.base);
    if (!place) return fail_place(place.error(), options.json);
    auto opened = BaseModel::open(place->path());
    if (!opened) return fail(opened.error(), options.json);
    base = std::move(opened).value();
    options.fix.base = &*base;
  }
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.json);
  const auto from = place->path().string();
  if (options.keep_going) {
    return rewrite_each(from, options.output, options.json,
                        [&](const auto& one, const auto& to) { return fix_one(one, to, options); });
  }
  Working working("fixing " + printable(options.adapter));
  const auto fixed = fix(from, options.output, options.fix);
  working.stop();
  if (!fixed) return fail(fixed.error(), options.json);
  if (options.json) {
    print_document(to_json(*fixed, options.output));
  } else {
    print_human(*fixed, options.output);
  }
  return fixed->good() ? kGood : kBad;
}

}  // namespace

void add_fix(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("ADAPTER", options->adapter, kAdapterHelp).required();
  command
      .option("-o,--output", options->output, "DIR",
              "Where to write; ADAPTER itself repairs it in place")
      .required();
  command.option("--base", options->base, "PATH",
                 "The base model: also fixes prefixes of wrappers, names of older releases of "
                 "transformers and single experts, and checks the result against it");
  add_keep_going(command, options->keep_going);
  add_durability(command, options->fix.durability);
  add_json(command, options->json);
  command.about(
      R"(Repairs problems that have exactly one fix: names that torch.compile, FSDP, DDP or an
adapter left in keys, a missing "base_model.model.", types and fields of older PEFT
releases, zeros that hotswapping pads with, a stale adapter_model.bin; with --base also the
prefix of a wrapper, names of older releases of transformers, single experts where the base
has fused ones, and fields that those refuse. Tensors keep their bits. Other files and
folders are carried along. If problems remain, they are reported, nothing is written, and the exit
status is 1.

Example:
  ferrule fix broken -o fixed --base models/llama)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
