// SPDX-License-Identifier: Apache-2.0
#include "ferrule/normalize.hpp"

#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "adapter/examine.hpp"
#include "adapter/open_adapter.hpp"
#include "adapter/rewrite.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "check/engine_table.hpp"
#include "container/tensor_plan.hpp"
#include "edit/normal_engine.hpp"
#include "edit/normal_form.hpp"
#include "edit/normal_rules.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/file_names.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// Metadata of the weights as it was; what PEFT writes if there was none.
Metadata metadata_of(const Adapter& adapter) {
  auto metadata = adapter.metadata();
  if (metadata.empty()) metadata.emplace_back("format", "pt");
  return metadata;
}

class Normalize final : public adapter::Rewriter {
 public:
  Normalize(const fs::path& directory, const NormalizeOptions& options)
      : directory_(directory), options_(options) {}
  /// Of one that is open.
  Normalize(const Adapter& adapter, const NormalizeOptions& options)
      : options_(options), adapter_(&adapter) {}

  Result<bool> look() override {
    if (!directory_.empty()) {
      FERRULE_TRY(opened_, AdapterAccess::open(directory_, options_.open));
      adapter_ = &*opened_;
    }
    FERRULE_CHECK(edit::check_normalizable(*adapter_));
    return true;
  }

  Result<std::vector<adapter::FolderRewrite>> make() override {
    for (const auto& found :
         adapter::examine_values(adapter_->config(), AdapterAccess::of(*adapter_))) {
      if (found.rule != "AD-20") continue;
      return base::at(base::corrupt("AD-20", found.message + ": it has no normal form"),
                      adapter_->weights_file());
    }
    FERRULE_TRY(form_, edit::make_normal_form(*adapter_, options_));
    auto& findings = form_->report.findings;
    FERRULE_TRY(const auto engines, checks::find_engines(options_.engines, options_.engine_table));
    for (const auto& engine : engines) {
      FERRULE_TRY(auto more, edit::fit_engine(*adapter_, engine, form_->highest_rank));
      std::move(more.begin(), more.end(), std::back_inserter(findings));
    }
    auto carried = edit::carried_along(*adapter_);
    std::move(carried.begin(), carried.end(), std::back_inserter(findings));
    if (!directory_.empty()) {
      FERRULE_TRY(source_, adapter::AdapterFolder::open(directory_));
    }
    std::vector<adapter::FolderRewrite> folders;
    folders.push_back({.folder = {},
                       .format = WeightsFormat::kSafetensors,
                       .weights =
                           [this](io::OutputFile& out) {
                             return container::write_safetensors(out, form_->tensors,
                                                                 metadata_of(*adapter_));
                           },
                       .config = form_->config.to_json(),
                       .source = source_ ? &*source_ : nullptr});
    return folders;
  }

  NormalizeReport take_report() { return std::move(form_->report); }

 private:
  fs::path directory_;
  const NormalizeOptions& options_;
  std::optional<Adapter> opened_;
  const Adapter* adapter_ = nullptr;
  std::optional<edit::NormalForm> form_;
  std::optional<adapter::AdapterFolder> source_;
};

Result<NormalizeReport> run_normalize(Normalize& normalize, const fs::path& source,
                                      const fs::path& output, Durability durability) {
  FERRULE_TRY(auto done,
              adapter::rewrite(output, {.source = source, .durability = durability}, normalize));
  auto report = normalize.take_report();
  report.in_place = done.in_place;
  report.weights_file = kSafetensorsFile;
  report.copied = std::move(done.folders.front().copied);
  return report;
}

}  // namespace

Result<NormalizeReport> normalize(const fs::path& directory, const fs::path& output,
                                  const NormalizeOptions& options) {
  Normalize normalize(directory, options);
  return run_normalize(normalize, directory, output, options.durability);
}

Result<NormalizeReport> normalize(const Adapter& adapter, const fs::path& output,
                                  const NormalizeOptions& options) {
  Normalize normalize(adapter, options);
  return run_normalize(normalize, {}, output, options.durability);
}

}  // namespace ferrule
