// SPDX-License-Identifier: Apache-2.0
#include "ferrule/exchange.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialect.hpp"
#include "exchange/limits.hpp"
#include "exchange/proof.hpp"
#include "exchange/request.hpp"
#include "exchange/stage.hpp"
#include "ferrule/text.hpp"
#include "io/kind_at.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using exchange::Dialect;

Result<void> check_output(const fs::path& source, const fs::path& output, const Dialect& to) {
  FERRULE_TRY(const auto kind, io::kind_at(output));
  if (kind == io::EntryKind::kNothing) return {};
  FERRULE_TRY(const bool same, io::same_directory(source, output));
  if (same) {
    return base::at(base::invalid("the output is the source: give another place"), output);
  }
  const bool folder = kind == io::EntryKind::kFolder;
  if (folder != to.is_file()) return {};
  return base::at(base::invalid(folder ? "the output is one file, and this is a folder"
                                       : "the output is a folder, and this is a file"),
                  output);
}

/// A word that means nothing would hide that something else is dropped.
Result<void> check_drop(const std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 12> kWords = {
      "bias",      "components", "convolutions",    "dora",
      "embedding", "embeddings", "initialization",  "invocation_tokens",
      "methods",   "modules",    "modules_to_save", "trainable_tokens"};
  for (const auto& word : words) {
    if (std::find(kWords.begin(), kWords.end(), word) != kWords.end()) continue;
    std::string message = "there is nothing to drop that is called " + quote(word);
    if (const auto near = suggest(word, kWords)) message += "; did you mean " + std::string(*near);
    return base::invalid(std::move(message));
  }
  return {};
}

/// Nothing is written if all is dropped.
Result<void> check_left(const exchange::Middle& middle, const exchange::Ledger& ledger,
                        const fs::path& source) {
  const bool left = !middle.extras.empty() ||
                    std::any_of(middle.sites.begin(), middle.sites.end(),
                                [&](const exchange::Site& site) { return !ledger.is_gone(site); });
  if (left) return {};
  return base::at(base::unsupported("EX-3", "nothing is left to convert without what is dropped"),
                  source);
}

}  // namespace

Result<ExchangeReport> convert(const fs::path& source, const fs::path& output,
                               const ExchangeOptions& options) {
  FERRULE_TRY(const auto* to, exchange::named_dialect(options.to));
  if (!to->writes()) {
    return base::invalid(std::string(to->what()) + " is only read, not written");
  }
  if (options.dtype == "q8_0" && to->name() != "gguf") {
    return base::invalid("q8_0 is a type of GGUF files alone");
  }
  FERRULE_CHECK(check_drop(options.drop));
  FERRULE_CHECK(check_output(source, output, *to));
  FERRULE_TRY(const auto request, exchange::make_request(options));
  FERRULE_TRY(auto opened, exchange::read_source(source, options, request));
  auto& [from, middle] = opened;
  exchange::Ledger ledger(options.drop);
  auto& report = ledger.report();
  report.from = from->name();
  report.to = to->name();
  report.output = output;
  report.notes = middle.notes;
  exchange::limit(middle, to->carries(), to->what(), ledger);
  FERRULE_CHECK(ledger.finish());
  FERRULE_CHECK(check_left(middle, ledger, source));
  FERRULE_CHECK(to->prepare(middle, request, ledger));
  FERRULE_TRY(const auto plan, to->write(middle, request, ledger));
  FERRULE_CHECK(ledger.finish());
  FERRULE_CHECK(check_left(middle, ledger, source));
  exchange::Stage stage(output, to->is_file(), options.durability);
  FERRULE_TRY(const auto staged, stage.write(plan));
  {
    FERRULE_TRY(const auto again, exchange::look_at(staged, options.open));
    auto written = request;
    for (const auto& site : middle.sites) written.known[site.component].insert(site.path);
    FERRULE_TRY(const auto after, to->read(again, written));
    FERRULE_CHECK(exchange::prove(middle, after, plan.renamed_sites, ledger));
  }
  FERRULE_CHECK(stage.publish(plan));
  return std::move(report);
}

std::vector<ExchangeDialect> exchange_dialects() {
  std::vector<ExchangeDialect> out;
  for (const auto* dialect : exchange::all_dialects()) {
    out.push_back({dialect->name(), dialect->what(), dialect->writes()});
  }
  return out;
}

Json to_json(const ExchangeReport& report) {
  Json::Array renamed, folded, rounded;
  for (const auto& [from, to] : report.renamed) {
    renamed.push_back(Json::Object{{"from", from}, {"to", to}});
  }
  for (const auto& fold : report.folded) {
    folded.push_back(
        Json::Object{{"site", fold.site}, {"factor", fold.factor}, {"exact", fold.exact}});
  }
  for (const auto& [key, dtype] : report.rounded) {
    rounded.push_back(Json::Object{{"key", key}, {"dtype", dtype}});
  }
  const auto texts = [](const std::vector<std::string>& list) {
    return Json::Array(list.begin(), list.end());
  };
  return Json::Object{{"from", report.from},
                      {"to", report.to},
                      {"output", report.output.string()},
                      {"sites", report.sites},
                      {"kept", texts(report.kept)},
                      {"renamed", std::move(renamed)},
                      {"folded", std::move(folded)},
                      {"rounded", std::move(rounded)},
                      {"dropped", texts(report.dropped)},
                      {"notes", texts(report.notes)},
                      {"largest_error", report.largest_error},
                      {"largest_error_site", report.largest_error_site}};
}

}  // namespace ferrule
