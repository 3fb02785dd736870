// SPDX-License-Identifier: Apache-2.0
#include "ferrule/fix.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "adapter/examine.hpp"
#include "adapter/open_adapter.hpp"
#include "adapter/rewrite.hpp"
#include "base/try.hpp"
#include "check/adapter_match.hpp"
#include "check/check_causes.hpp"
#include "container/tensor_plan.hpp"
#include "edit/fix_keys.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// One adapter, fixed in memory.
struct Mended {
  FixedAdapter report;
  AdapterFiles files;
  edit::KeyMender keys;
  bool stale = false;
};

std::vector<NamedTensor> views(const edit::KeyMender& keys) {
  std::vector<NamedTensor> out;
  out.reserve(keys.entries().size());
  for (const auto& entry : keys.entries()) out.push_back({entry.key, entry.tensor});
  return out;
}

/// What is still wrong: the rules of an adapter, and modules that the base lacks.
void judge(const FixOptions& options, Mended& mended) {
  const auto tensors = views(mended.keys);
  const auto examination = AdapterAccess::examine(mended.keys.config(), tensors);
  auto& left = mended.report.left;
  for (auto finding : examination.findings) {
    finding.path = mended.files.weights_file.string();
    if (finding.severity != Severity::kNote) left.push_back(std::move(finding));
  }
  if (options.base == nullptr || !options.base->has_tensors()) return;
  const auto& base = BaseModelAccess::index(*options.base);
  for (const auto& module : examination.modules) {
    const auto live = checks::without_base_layer(module.path());
    if (live.empty() || base.has_module(live) || base.find(live + ".weight") != nullptr ||
        !base.below(live).empty()) {
      continue;
    }
    left.push_back(
        checks::about(Severity::kWarning, "BS-1", module.path(),
                      "the base has no module " + quote(live) + ": ferrule check says more"));
  }
}

Result<Mended> mend(const adapter::AdapterFolder& folder, const FixOptions& options) {
  FERRULE_TRY(auto files, open_adapter_files(folder.reader.path(), options.open));
  edit::KeyMender keys(files.config, files.weights->tensors());
  keys.mend();
  if (options.base != nullptr && options.base->has_tensors())
    keys.follow_base(BaseModelAccess::index(*options.base));
  Mended mended{
      .report = {.folder = folder.name, .mended = keys.take_mended(), .left = keys.take_left()},
      .files = std::move(files),
      .keys = std::move(keys),
      .stale = folder.has(kSafetensorsFile) && folder.has(kBinFile)};
  if (mended.stale) {
    mended.report.mended.push_back({"stale-file",
                                    "removed adapter_model.bin: every reader takes "
                                    "adapter_model.safetensors where both are there",
                                    0});
  }
  judge(options, mended);
  return mended;
}

Result<void> write_weights(const Mended& mended, io::OutputFile& out, bool bin) {
  container::TensorPlan plan;
  for (const auto& [key, tensor] : mended.keys.entries()) {
    plan.push_back({.name = key,
                    .dtype = tensor.dtype(),
                    .shape = {tensor.shape().begin(), tensor.shape().end()},
                    .bytes = tensor.bytes(),
                    .owner = nullptr,
                    .read = {}});
  }
  if (bin) return container::write_torch(out, plan);
  const Metadata plain = {{"format", "pt"}};
  return container::write_safetensors(
      out, plan, mended.files.metadata.empty() ? plain : mended.files.metadata);
}

class Fix final : public adapter::Rewriter {
 public:
  Fix(const fs::path& directory, const FixOptions& options)
      : directory_(directory), options_(options) {}

  Result<bool> look() override {
    mended_.clear();
    FERRULE_TRY(folders_, adapter::find_adapter_folders(directory_));
    for (const auto& folder : folders_) {
      FERRULE_TRY(auto mended, mend(folder, options_));
      mended_.push_back(std::move(mended));
    }
    return std::none_of(mended_.begin(), mended_.end(),
                        [](const Mended& one) { return has_error(one.report.left); });
  }

  Result<std::vector<adapter::FolderRewrite>> make() override {
    std::vector<adapter::FolderRewrite> out;
    for (std::size_t i = 0; i < mended_.size(); ++i) {
      const auto& mended = mended_[i];
      const bool bin = !folders_[i].has(kSafetensorsFile);
      adapter::FolderRewrite rewrite{
          .folder = folders_[i].name,
          .format = bin ? WeightsFormat::kBin : WeightsFormat::kSafetensors,
          .weights = {},
          .config = {},
          .source = &folders_[i]};
      if (mended.keys.keys_changed()) {
        rewrite.weights = [&mended, bin](io::OutputFile& file) {
          return write_weights(mended, file, bin);
        };
      }
      if (mended.keys.config_changed()) rewrite.config = mended.keys.config().to_json();
      out.push_back(std::move(rewrite));
    }
    return out;
  }

  std::vector<FixedAdapter> take_reports() {
    std::vector<FixedAdapter> reports;
    for (auto& mended : mended_) reports.push_back(std::move(mended.report));
    return reports;
  }

 private:
  const fs::path& directory_;
  const FixOptions& options_;
  std::vector<adapter::AdapterFolder> folders_;
  std::vector<Mended> mended_;
};

}  // namespace

Result<FixReport> fix(const fs::path& directory, const fs::path& output,
                      const FixOptions& options) {
  Fix fix(directory, options);
  FERRULE_TRY(
      const auto done,
      adapter::rewrite(output, {.source = directory, .durability = options.durability}, fix));
  return FixReport{.adapters = fix.take_reports(), .in_place = done.in_place};
}

}  // namespace ferrule
