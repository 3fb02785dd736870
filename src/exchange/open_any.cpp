// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/peft_form.hpp"
#include "exchange/limits.hpp"
#include "exchange/made_tensors.hpp"
#include "exchange/request.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/text.hpp"
#include "io/folder.hpp"
#include "io/input_file.hpp"
#include "io/kind_at.hpp"

namespace ferrule {
namespace {

/// The one component that there is.
Result<std::string> only_component(const exchange::Middle& middle) {
  std::set<std::string> names;
  for (const auto& site : middle.sites) names.insert(site.component);
  for (const auto& extra : middle.extras) names.insert(extra.component);
  if (names.size() == 1) return *names.begin();
  return base::unsupported("EX-3", "it holds adapters of " + std::to_string(names.size()) +
                                       " models (" + *names.begin() +
                                       " ...): convert it with --to "
                                       "peft, which makes a folder for each");
}

struct Weights {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
};

/// The file itself; of a folder the largest in it, which has the factors.
Result<Weights> weights_at(const std::filesystem::path& path) {
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind != io::EntryKind::kFolder) {
    FERRULE_TRY(const auto file, io::InputFile::open(path));
    return Weights{path, file.size()};
  }
  Weights largest;
  FERRULE_TRY(const auto folder, io::Folder::open(path));
  if (!folder) return largest;
  FERRULE_TRY(const auto names, folder->names());
  for (const auto& name : names) {
    FERRULE_TRY(const auto one, io::kind_at(path / name));
    if (one != io::EntryKind::kFile) continue;
    FERRULE_TRY(const auto file, io::InputFile::open(path / name));
    if (file.size() > largest.bytes) largest = {path / name, file.size()};
  }
  return largest;
}

}  // namespace

std::string dialect_at(const std::filesystem::path& path, const OpenOptions& options) {
  const auto kind = io::kind_at(path);
  if (!kind || *kind == io::EntryKind::kNothing) return {};
  const auto look = exchange::look_at(path, options);
  if (!look) return {};
  const auto found = exchange::dialect_of(*look);
  return found ? std::string((*found)->name()) : std::string();
}

Result<Adapter> open_any(const std::filesystem::path& path, const ExchangeOptions& options) {
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind == io::EntryKind::kNothing) return Adapter::open(path, options.open);
  std::string program;
  if (options.from.empty()) {
    FERRULE_TRY(const auto look, exchange::look_at(path, options.open));
    const auto found = exchange::dialect_of(look);
    // What is PEFT's, and what is nothing that can be converted, is told as PEFT's opener tells it.
    const bool foreign = found ? (*found)->name() != "peft" : found.error().rule == "EX-2";
    if (!foreign) return Adapter::open(path, options.open);
    if (found) program = (*found)->what();
  }
  FERRULE_TRY(const auto request, exchange::make_request(options));
  auto source = exchange::read_source(path, options, request);
  if (!source) {
    auto error = source.error();
    if (!program.empty()) error.message = "of " + program + ", not of PEFT: " + error.message;
    return error;
  }
  auto opened = std::move(source).value();
  FERRULE_TRY(const auto component, only_component(opened.middle));
  exchange::Ledger ledger({});
  exchange::limit(opened.middle, exchange::find_dialect("peft")->carries(), "PEFT", ledger);
  FERRULE_CHECK(ledger.finish());
  FERRULE_CHECK(exchange::find_dialect("peft")->prepare(opened.middle, request, ledger));
  const auto middle = std::make_shared<const exchange::Middle>(std::move(opened.middle));
  FERRULE_TRY(auto form, exchange::peft_form(*middle, component, request, ledger));
  auto tensors = std::make_unique<exchange::MadeTensors>(middle);
  for (const auto& stream : form.tensors) FERRULE_CHECK(tensors->add(stream));
  FERRULE_TRY(const auto weights, weights_at(path));
  FERRULE_TRY(auto adapter, Adapter::make(std::move(form.config), std::move(tensors),
                                          {.directory = path,
                                           .weights_file = weights.path,
                                           .metadata = {},
                                           .file_bytes = weights.bytes}));
  if (options.open.allow_errors) return adapter;
  if (auto error = adapter.first_error()) return *std::move(error);
  return adapter;
}

Result<NormalizeReport> normalize_any(const std::filesystem::path& path,
                                      const std::filesystem::path& output,
                                      const NormalizeOptions& options,
                                      const ExchangeOptions& foreign) {
  const auto dialect = foreign.from.empty() ? dialect_at(path, options.open) : foreign.from;
  if (dialect.empty() || dialect == "peft") return normalize(path, output, options);
  FERRULE_TRY(const bool same, io::same_directory(path, output));
  if (same) {
    return base::at(base::invalid("the output is the source: give another place"), output);
  }
  auto how = foreign;
  how.open = options.open;
  FERRULE_TRY(const auto adapter, open_any(path, how));
  return normalize(adapter, output, options);
}

}  // namespace ferrule
