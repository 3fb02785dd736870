// SPDX-License-Identifier: Apache-2.0
#include "ferrule/normalize.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "adapter/open_adapter.hpp"
#include "base/try.hpp"
#include "edit/carry_files.hpp"
#include "edit/normal_engine.hpp"
#include "edit/normal_form.hpp"
#include "edit/normal_rules.hpp"
#include "ferrule/adapter.hpp"
#include "io/directory_transaction.hpp"
#include "io/input_file.hpp"
#include "io/walk.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWritten[] = {kSafetensorsFile, kBinFile, kConfigFile};

/// Metadata of the weights as it was; what PEFT writes where there was none.
Metadata metadata_of(const Adapter& adapter) {
  auto metadata = adapter.metadata();
  if (metadata.empty()) metadata.emplace_back("format", "pt");
  return metadata;
}

Result<std::vector<std::string>> carry_others(const fs::path& directory,
                                              io::DirectoryTransaction& transaction) {
  FERRULE_TRY(const auto reader, io::DirectoryReader::open(directory));
  FERRULE_TRY(auto listing, io::list_by_kind(directory));
  std::sort(listing.files.begin(), listing.files.end());
  return edit::carry_files(reader, listing.files, kWritten, {}, transaction);
}

}  // namespace

Result<NormalizeReport> normalize_adapter(const fs::path& directory, const fs::path& output,
                                          const NormalizeOptions& options) {
  {
    // Once before anything is locked or made for the output.
    FERRULE_TRY(const auto looked, Adapter::open(directory, options.open));
    FERRULE_CHECK(edit::check_normalizable(looked));
  }
  std::error_code ignored;
  const bool in_place = fs::equivalent(directory, output, ignored);
  FERRULE_TRY(auto transaction, io::DirectoryTransaction::begin(output, options.durability));
  // Again under the lock: in place, no other saver can come in between.
  FERRULE_TRY(const auto adapter, Adapter::open(directory, options.open));
  FERRULE_CHECK(edit::check_normalizable(adapter));
  FERRULE_TRY(auto form, edit::make_normal_form(adapter, options));
  for (const auto& engine : options.engines) {
    FERRULE_TRY(auto findings, edit::fit_engine(adapter, engine, form.highest_rank));
    std::move(findings.begin(), findings.end(), std::back_inserter(form.report.findings));
  }
  FERRULE_TRY(auto* weights, transaction.create(kSafetensorsFile));
  FERRULE_CHECK(container::write_safetensors(*weights, form.tensors, metadata_of(adapter)));
  FERRULE_CHECK(transaction.create(kConfigFile, form.config.to_json()));
  FERRULE_CHECK(transaction.remove(kBinFile));
  auto report = std::move(form.report);
  report.in_place = in_place;
  report.weights_file = kSafetensorsFile;
  auto carried = edit::carried_along(adapter);
  std::move(carried.begin(), carried.end(), std::back_inserter(report.findings));
  if (!in_place) {
    FERRULE_TRY(report.copied, carry_others(directory, transaction));
  }
  FERRULE_CHECK(transaction.commit());
  return report;
}

}  // namespace ferrule
