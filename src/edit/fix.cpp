// SPDX-License-Identifier: Apache-2.0
#include "ferrule/fix.hpp"

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/open_adapter.hpp"
#include "base/quote.hpp"
#include "base/try.hpp"
#include "check/adapter_match.hpp"
#include "check/check_causes.hpp"
#include "container/tensor_plan.hpp"
#include "edit/adapter_folders.hpp"
#include "edit/fix_keys.hpp"
#include "io/directory_transaction.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// One adapter, mended in memory.
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
  const auto examination = AdapterBuilder::examine(mended.keys.config(), tensors);
  auto& left = mended.report.left;
  for (auto finding : examination.findings) {
    finding.path = mended.files.weights_file.string();
    if (finding.severity != Severity::kNote) left.push_back(std::move(finding));
  }
  if (options.base == nullptr || !options.base->has_tensors()) return;
  const auto& base = options.base->rep();
  for (const auto& module : examination.modules) {
    const auto live = checks::without_base_layer(module.path());
    if (live.empty() || base.has_module(live) || base.find(live + ".weight") != nullptr ||
        !base.below(live).empty()) {
      continue;
    }
    left.push_back(
        checks::about(Severity::kWarning, "BS-1", module.path(),
                      "the base has no module " + base::quote(live) + ": ferrule check says more"));
  }
}

Result<Mended> mend(const edit::AdapterFolder& folder, const FixOptions& options) {
  FERRULE_TRY(auto files, open_adapter_files(folder.reader.path(), options.open));
  edit::KeyMender keys(files.config, files.weights->tensors());
  keys.mend();
  if (options.base != nullptr && options.base->has_tensors()) keys.follow_base(options.base->rep());
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

Result<void> stage(const Mended& mended, const edit::AdapterFolder& folder, bool in_place,
                   io::DirectoryTransaction& transaction) {
  std::vector<std::string_view> except;
  const bool bin = !folder.has(kSafetensorsFile);
  const char* weights = bin ? kBinFile : kSafetensorsFile;
  if (mended.keys.keys_changed()) {
    except.emplace_back(weights);
    FERRULE_TRY(auto* out, transaction.create(folder.prefix() + weights));
    FERRULE_CHECK(write_weights(mended, *out, bin));
  }
  if (mended.keys.config_changed()) {
    except.emplace_back(kConfigFile);
    FERRULE_CHECK(
        transaction.create(folder.prefix() + kConfigFile, mended.keys.config().to_json()));
  }
  if (!bin) {
    except.emplace_back(kBinFile);
    FERRULE_CHECK(transaction.remove(folder.prefix() + kBinFile));
  } else if (!in_place) {
    // A stale one in the output would win over what is written here.
    FERRULE_CHECK(transaction.remove(folder.prefix() + kSafetensorsFile));
  }
  if (in_place) return {};
  FERRULE_TRY(const auto copied, edit::copy_files(folder, except, transaction));
  static_cast<void>(copied);
  return {};
}

}  // namespace

Result<FixReport> fix_adapter(const fs::path& directory, const fs::path& output,
                              const FixOptions& options) {
  const auto mend_all =
      [&](std::vector<edit::AdapterFolder>& folders) -> Result<std::vector<Mended>> {
    FERRULE_TRY(folders, edit::find_adapter_folders(directory));
    std::vector<Mended> all;
    for (const auto& folder : folders) {
      FERRULE_TRY(auto mended, mend(folder, options));
      all.push_back(std::move(mended));
    }
    return all;
  };
  const auto report_of = [](std::vector<Mended>& all, bool in_place) {
    std::vector<FixedAdapter> adapters;
    for (auto& mended : all) adapters.push_back(mended.report);
    return FixReport(std::move(adapters), in_place);
  };
  std::error_code ignored;
  const bool in_place = fs::equivalent(directory, output, ignored);
  std::vector<edit::AdapterFolder> folders;
  // Once before anything is locked or made for the output.
  FERRULE_TRY(auto looked, mend_all(folders));
  auto report = report_of(looked, in_place);
  if (!report.good()) return report;
  FERRULE_TRY(auto transaction, io::DirectoryTransaction::begin(output, options.durability));
  // Again under the lock: in place, no other saver can come in between.
  FERRULE_TRY(auto all, mend_all(folders));
  report = report_of(all, in_place);
  if (!report.good()) return report;
  for (std::size_t i = 0; i < all.size(); ++i) {
    FERRULE_CHECK(stage(all[i], folders[i], in_place, transaction));
  }
  FERRULE_CHECK(transaction.commit());
  return report;
}

}  // namespace ferrule
