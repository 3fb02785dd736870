// SPDX-License-Identifier: Apache-2.0
#include "ferrule/fix.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "adapter/examine.hpp"
#include "adapter/open_adapter.hpp"
#include "adapter/rewrite.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "edit/fix_keys.hpp"
#include "ferrule/check.hpp"
#include "ferrule/file_names.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// One adapter, fixed in memory.
struct FixedFolder {
  FixedAdapter report;
  adapter::AdapterFiles files;
  edit::KeyFixer keys;
  bool stale = false;
};

/// The adapter as it would be written.
Result<Adapter> as_written(const edit::KeyFixer& keys, const adapter::AdapterFiles& files) {
  auto source = std::make_unique<StateDict>();
  for (const auto& [key, tensor, owner] : keys.entries()) {
    FERRULE_CHECK(source->add(key, tensor.dtype(), tensor.shape(), tensor.bytes()));
  }
  return Adapter::make(keys.config(), std::move(source),
                       {.directory = files.weights_file.parent_path(),
                        .weights_file = files.weights_file,
                        .metadata = files.metadata,
                        .file_bytes = files.file_bytes});
}

/// What check() says of the result, or the rules of an adapter without a base: errors, and what one
/// should know.
Result<std::vector<Finding>> judge(const FixOptions& options, const edit::KeyFixer& keys,
                                   const adapter::AdapterFiles& files) {
  FERRULE_TRY(const auto adapter, as_written(keys, files));
  std::vector<Finding> found(adapter.findings().begin(), adapter.findings().end());
  if (options.base != nullptr) {
    FERRULE_TRY(const auto report, check(adapter, *options.base, {}));
    found = report.findings;
  }
  for (auto& finding : found) {
    if (finding.path.empty()) finding.path = files.weights_file.string();
  }
  std::erase_if(found, [](const Finding& f) { return f.severity == Severity::kNote; });
  return found;
}

/// What only the base tells; left alone if the adapter loads as it is.
Result<void> follow_base(const FixOptions& options, const adapter::AdapterFiles& files,
                         edit::KeyFixer& keys) {
  if (options.base == nullptr || !options.base->has_tensors()) return {};
  const auto& base = BaseModelAccess::index(*options.base);
  FERRULE_TRY(auto left, judge(options, keys, files));
  if (!has_error(left)) return {};
  keys.follow_names(base);
  keys.follow_base(base);
  keys.drop_refused_fields(base);
  FERRULE_TRY(left, judge(options, keys, files));
  if (!has_error(left)) return {};
  keys.fuse_experts(base);
  keys.drop_refused_fields(base);
  return {};
}

Result<FixedFolder> fix_folder(const adapter::AdapterFolder& folder, const FixOptions& options) {
  FERRULE_TRY(auto files, adapter::open_adapter_files(folder.reader.path(), options.open,
                                                      adapter::EmptyWeights::kTakeWholeBin));
  edit::KeyFixer keys(*files.config, files.weights->tensors());
  keys.fix_all();
  FERRULE_CHECK(follow_base(options, files, keys));
  FixedFolder fixed{.report = {.folder = folder.name,
                               .fixed = keys.take_fixed(),
                               .remaining = keys.take_remaining()},
                    .files = std::move(files),
                    .keys = std::move(keys),
                    .stale = folder.has(kSafetensorsFile) && folder.has(kBinFile)};
  if (fixed.files.whole_bin_tensors != 0) {
    fixed.report.fixed.push_back({"empty-file",
                                  "took adapter_model.bin: every tensor of "
                                  "adapter_model.safetensors next to it is empty",
                                  fixed.files.whole_bin_tensors});
  } else if (fixed.stale) {
    fixed.report.fixed.push_back({"stale-file",
                                  "removed adapter_model.bin: every reader takes "
                                  "adapter_model.safetensors if both exist",
                                  0});
  }
  if (fixed.files.misnamed) {
    fixed.report.fixed.push_back({"wrong-name",
                                  "wrote adapter_model.safetensors from a file with the other "
                                  "format's name",
                                  0});
  }
  FERRULE_TRY(auto left, judge(options, fixed.keys, fixed.files));
  std::move(left.begin(), left.end(), std::back_inserter(fixed.report.remaining));
  return fixed;
}

Result<void> write_weights(const FixedFolder& fixed, io::OutputFile& out, bool bin) {
  container::TensorPlan plan;
  for (const auto& [key, tensor, owner] : fixed.keys.entries()) {
    plan.push_back({.name = key,
                    .dtype = tensor.dtype(),
                    .shape = {tensor.shape().begin(), tensor.shape().end()},
                    .bytes = tensor.bytes(),
                    .owner = owner,
                    .read = {}});
  }
  if (bin) return container::write_torch(out, plan);
  const Metadata plain = {{"format", "pt"}};
  return container::write_safetensors(out, plan,
                                      fixed.files.metadata.empty() ? plain : fixed.files.metadata);
}

class Fix final : public adapter::Rewriter {
 public:
  Fix(const fs::path& directory, const FixOptions& options)
      : directory_(directory), options_(options) {}

  Result<bool> look() override {
    fixed_.clear();
    FERRULE_TRY(folders_, adapter::find_adapter_folders(directory_));
    for (const auto& folder : folders_) {
      FERRULE_TRY(auto fixed, fix_folder(folder, options_));
      fixed_.push_back(std::move(fixed));
    }
    return std::none_of(fixed_.begin(), fixed_.end(),
                        [](const FixedFolder& one) { return has_error(one.report.remaining); });
  }

  Result<std::vector<adapter::FolderRewrite>> make() override {
    std::vector<adapter::FolderRewrite> out;
    for (std::size_t i = 0; i < fixed_.size(); ++i) {
      const auto& fixed = fixed_[i];
      const bool bin = !folders_[i].has(kSafetensorsFile) && !fixed.files.misnamed;
      adapter::FolderRewrite rewrite{
          .folder = folders_[i].name,
          .format = bin ? WeightsFormat::kBin : WeightsFormat::kSafetensors,
          .weights = {},
          .config = {},
          .source = &folders_[i]};
      if (fixed.keys.keys_changed() || fixed.files.whole_bin_tensors != 0 || fixed.files.misnamed) {
        rewrite.weights = [&fixed, bin](io::OutputFile& file) {
          return write_weights(fixed, file, bin);
        };
      }
      if (fixed.keys.config_changed()) rewrite.config = fixed.keys.config().to_json();
      out.push_back(std::move(rewrite));
    }
    return out;
  }

  std::vector<FixedAdapter> take_reports() {
    std::vector<FixedAdapter> reports;
    for (auto& fixed : fixed_) reports.push_back(std::move(fixed.report));
    return reports;
  }

 private:
  const fs::path& directory_;
  const FixOptions& options_;
  std::vector<adapter::AdapterFolder> folders_;
  std::vector<FixedFolder> fixed_;
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
