// SPDX-License-Identifier: Apache-2.0
#include "ferrule/save_pretrained.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "adapter/open_adapter.hpp"
#include "adapter/rewrite.hpp"
#include "adapter/save_plan.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "format/card/front_matter.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule {
namespace {

/// Looks at the values of all tensors while they are written, which waits for the system most of
/// the time, or in take(): what it finds refuses nothing.
class ValueScan {
 public:
  ValueScan(const adapter::SavePlan& plan, unsigned threads) : plan_(plan) {
    if (threads == 1) return;
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      // No thread to be had.
    }
  }
  ~ValueScan() {
    if (thread_.joinable()) thread_.join();
  }
  ValueScan(const ValueScan&) = delete;
  ValueScan& operator=(const ValueScan&) = delete;

  std::vector<Finding> take() {
    if (thread_.joinable()) {
      thread_.join();
    } else {
      run();
    }
    return std::move(findings_);
  }

 private:
  void run() noexcept {
    try {
      for (const auto& adapter : plan_.adapters) {
        auto found = adapter::examine_values(adapter.config, adapter.examination);
        for (auto& finding : found) {
          finding.message = "adapter " + quote(adapter.name) + ": " + finding.message;
          findings_.push_back(std::move(finding));
        }
      }
    } catch (const std::bad_alloc&) {
      findings_.clear();  // No findings are better than the end of the process.
    }
  }

  const adapter::SavePlan& plan_;
  std::vector<Finding> findings_;
  std::thread thread_;
};

/// Whether the base model's name leads to a directory here: "models/llama" looks like a Hub id,
/// too.
bool base_is_local(const adapter::SavePlan& plan, const ModelFacts& facts) {
  std::vector<std::string> names;
  if (facts.name_or_path) names.push_back(*facts.name_or_path);
  for (const auto& adapter : plan.adapters) {
    if (const auto name = adapter.config.base_model_name_or_path()) names.push_back(*name);
  }
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return !name.empty() && io::DirectoryReader::open(name).has_value();
  });
}

class Save final : public adapter::Rewriter {
 public:
  Save(adapter::SavePlan plan, const std::filesystem::path& directory, const SaveOptions& options)
      : plan_(std::move(plan)), directory_(directory), options_(options) {}

  Result<std::vector<adapter::FolderRewrite>> make() override {
    values_.emplace(plan_, options_.threads);
    std::vector<adapter::FolderRewrite> folders;
    for (const auto& adapter : plan_.adapters) {
      folders.push_back(
          {.folder = adapter.folder,
           .format = options_.format,
           .weights = [this, &adapter](io::OutputFile& out) { return write(adapter, out); },
           .config = adapter.config.to_json(),
           .source = nullptr});
    }
    return folders;
  }

  Result<void> finish(adapter::RewriteFiles& files,
                      std::span<const adapter::RewrittenFolder> folders) override {
    for (std::size_t i = 0; i < folders.size(); ++i) {
      report_.adapters.push_back(saved(plan_.adapters[i], folders[i]));
    }
    report_.findings = std::move(plan_.findings);
    auto found = values_->take();
    std::move(found.begin(), found.end(), std::back_inserter(report_.findings));
    report_.left_out = std::move(plan_.left_out);
    if (options_.card != WriteCard::kNo) FERRULE_CHECK(write_card(files));
    return {};
  }

  SaveReport take_report() { return std::move(report_); }

 private:
  Result<void> write(const adapter::AdapterPlan& adapter, io::OutputFile& out) const {
    if (options_.format == WeightsFormat::kBin) return container::write_torch(out, adapter.tensors);
    // The one pair of metadata that PEFT writes.
    Metadata metadata = {{"format", "pt"}};
    if (!options_.base_fingerprint.empty()) {
      metadata.emplace_back(kBaseFingerprintKey, options_.base_fingerprint);
    }
    return container::write_safetensors(out, adapter.tensors, metadata);
  }

  SavedAdapter saved(const adapter::AdapterPlan& adapter,
                     const adapter::RewrittenFolder& folder) const {
    const bool bin = options_.format == WeightsFormat::kBin;
    return {.name = adapter.name,
            .directory = adapter.folder.empty() ? directory_ : directory_ / adapter.folder,
            .peft_type = adapter.config.peft_type(),
            .tensors = adapter.tensors.size(),
            .parameters = adapter.card.parameters,
            .file_bytes = folder.weights_bytes,
            .files = {bin ? kBinFile : kSafetensorsFile, kConfigFile}};
  }

  Result<void> write_card(adapter::RewriteFiles& files);

  adapter::SavePlan plan_;
  const std::filesystem::path& directory_;
  const SaveOptions& options_;
  std::optional<ValueScan> values_;
  SaveReport report_;
};

Result<void> Save::write_card(adapter::RewriteFiles& files) {
  std::vector<adapter::CardAdapter> cards;
  for (std::size_t i = 0; i < plan_.adapters.size(); ++i) {
    auto card = plan_.adapters[i].card;
    card.config = &plan_.adapters[i].config;
    card.file_bytes = report_.adapters[i].file_bytes;
    cards.push_back(std::move(card));
  }
  auto existing = files.transaction().existing(kCardFile, format::kMaxCardBytes);
  if (!existing) {
    if (existing.error().code != ErrorCode::kLimitExceeded) return std::move(existing).error();
    report_.findings.push_back(
        {.severity = Severity::kWarning,
         .rule = "MC-1",
         .path = kCardFile,
         .key = {},
         .message = "the card is larger than Ferrule edits: it stays as it is",
         .advice = {}});
    return {};
  }
  auto card = adapter::make_card(cards, options_.facts, *existing,
                                 {.base_is_local = base_is_local(plan_, options_.facts),
                                  .plain = options_.card == WriteCard::kPlain});
  std::move(card.findings.begin(), card.findings.end(), std::back_inserter(report_.findings));
  if (card.changed || !*existing) FERRULE_CHECK(files.text(kCardFile, card.text));
  return {};
}

}  // namespace

Result<SaveReport> save(const TensorSource& state, std::span<const NamedConfig> configs,
                        const std::filesystem::path& directory, const SaveOptions& options) {
  if (!options.base_fingerprint.empty() && options.format == WeightsFormat::kBin) {
    return base::invalid("a torch file has no metadata to keep the base's fingerprint in");
  }
  FERRULE_TRY(auto plan, adapter::plan_save(state, configs, options));
  Save save(std::move(plan), directory, options);
  FERRULE_TRY(
      auto done,
      adapter::rewrite(directory,
                       {.source = {}, .durability = options.durability, .digests = options.digests},
                       save));
  auto report = save.take_report();
  for (const auto& [name, tensor] : state.tensors()) report.state_bytes += tensor.bytes().size();
  report.written = std::move(done.files);
  return report;
}

Result<SaveReport> save(const TensorSource& state, std::initializer_list<NamedConfig> configs,
                        const std::filesystem::path& directory, const SaveOptions& options) {
  return save(state, std::span(configs.begin(), configs.size()), directory, options);
}

}  // namespace ferrule
