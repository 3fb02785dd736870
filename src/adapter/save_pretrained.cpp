// SPDX-License-Identifier: Apache-2.0
#include "ferrule/save_pretrained.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "adapter/open_adapter.hpp"
#include "adapter/save_plan.hpp"
#include "base/try.hpp"
#include "io/digesting_file.hpp"
#include "io/directory_transaction.hpp"
#include "io/input_file.hpp"

namespace ferrule {
namespace {

// A card beyond this is not edited (MC rules); it stays as it is.
constexpr std::uint64_t kMostCardBytes = 16'000'000;

/// Counts what goes through to the file.
class CountingFile final : public io::OutputFile {
 public:
  explicit CountingFile(io::OutputFile& file) : file_(file) {}
  Result<void> write(std::span<const std::span<const std::byte>> pieces) override {
    for (const auto& piece : pieces) bytes_ += piece.size();
    return file_.write(pieces);
  }
  Result<void> reserve(std::uint64_t bytes) override { return file_.reserve(bytes); }
  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> piece) override {
    return file_.write_at(offset, piece);
  }
  Result<io::FileIdentity> identity() const override { return file_.identity(); }
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  io::OutputFile& file_;
  std::uint64_t bytes_ = 0;
};

/// Stages the files of one save; with digests it notes what they hold.
class Stage {
 public:
  Stage(io::DirectoryTransaction& transaction, const std::filesystem::path& directory, bool digests)
      : transaction_(transaction), directory_(directory), digests_(digests) {}

  io::DirectoryTransaction& transaction() noexcept { return transaction_; }
  bool digests() const noexcept { return digests_; }

  Result<void> text(const std::string& name, std::string_view content) {
    if (!digests_) return transaction_.create(name, content);
    FERRULE_TRY(auto* file, transaction_.create(name));
    io::DigestingFile digested(*file);
    const auto bytes = std::as_bytes(std::span(content));
    FERRULE_CHECK(digested.write(bytes));
    auto git = io::git_blob(content.size());
    git.update(bytes);
    return note(name, digested, io::to_hex(git.finish()));
  }

  Result<void> note(const std::string& name, io::DigestingFile& file, std::string git_blob = {}) {
    auto sha256 = file.sha256();
    if (!sha256) return {};
    FERRULE_TRY(const auto identity, file.identity());
    written_.push_back({.path = directory_ / name,
                        .device = identity.device,
                        .inode = identity.inode,
                        .size = identity.size,
                        .modified_ns = identity.modified_ns,
                        .sha256 = std::move(*sha256),
                        .git_blob = std::move(git_blob)});
    return {};
  }

  std::vector<WrittenFile> take_written() { return std::move(written_); }

 private:
  io::DirectoryTransaction& transaction_;
  const std::filesystem::path& directory_;
  bool digests_;
  std::vector<WrittenFile> written_;
};

Result<SavedAdapter> stage_adapter(Stage& stage, const AdapterPlan& plan,
                                   const std::filesystem::path& directory,
                                   const SaveOptions& options) {
  const bool bin = options.format == WeightsFormat::kBin;
  const auto prefix = plan.folder.empty() ? std::string() : plan.folder + "/";
  const auto name = prefix + (bin ? kBinFile : kSafetensorsFile);
  FERRULE_TRY(auto* file, stage.transaction().create(name));
  io::DigestingFile digested(*file);
  CountingFile counted(stage.digests() ? static_cast<io::OutputFile&>(digested) : *file);
  // The one pair of metadata that PEFT writes.
  Metadata metadata = {{"format", "pt"}};
  if (!options.base_fingerprint.empty()) {
    metadata.emplace_back(kBaseFingerprintKey, options.base_fingerprint);
  }
  FERRULE_CHECK(bin ? container::write_torch(counted, plan.tensors)
                    : container::write_safetensors(counted, plan.tensors, metadata));
  if (stage.digests()) FERRULE_CHECK(stage.note(name, digested));
  FERRULE_CHECK(stage.text(prefix + kConfigFile, plan.config.to_json()));
  // A stale file of the other format would win on load, or mislead.
  FERRULE_CHECK(stage.transaction().remove(prefix + (bin ? kSafetensorsFile : kBinFile)));
  return SavedAdapter{.name = plan.name,
                      .directory = plan.folder.empty() ? directory : directory / plan.folder,
                      .peft_type = plan.config.peft_type(),
                      .tensors = plan.tensors.size(),
                      .parameters = plan.card.parameters,
                      .file_bytes = counted.bytes(),
                      .files = {bin ? kBinFile : kSafetensorsFile, kConfigFile}};
}

/// Looks at the values of all tensors beside the writing, which waits for the system most of the
/// time: what it finds refuses nothing.
class ValueScan {
 public:
  explicit ValueScan(const SavePlan& plan) : plan_(plan) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      run();  // No thread to be had.
    }
  }
  ~ValueScan() { join(); }
  ValueScan(const ValueScan&) = delete;
  ValueScan& operator=(const ValueScan&) = delete;

  std::vector<Finding> take() {
    join();
    return std::move(findings_);
  }

 private:
  void run() noexcept {
    try {
      for (const auto& adapter : plan_.adapters) {
        auto found = examine_values(adapter.config, adapter.examination);
        std::move(found.begin(), found.end(), std::back_inserter(findings_));
      }
    } catch (const std::bad_alloc&) {
      findings_.clear();  // Nothing to say is better than the end of the process.
    }
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  const SavePlan& plan_;
  std::vector<Finding> findings_;
  std::thread thread_;
};

/// Whether the base model's name leads to a directory here: "models/llama" looks like a Hub id,
/// too.
bool base_is_local(const SavePlan& plan, const ModelFacts& facts) {
  std::vector<std::string> names;
  if (facts.name_or_path) names.push_back(*facts.name_or_path);
  for (const auto& adapter : plan.adapters) {
    if (const auto name = adapter.config.base_model_name_or_path()) names.push_back(*name);
  }
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return !name.empty() && io::DirectoryReader::open(name).has_value();
  });
}

Result<void> stage_card(Stage& stage, SavePlan& plan, SaveReport& report, const ModelFacts& facts) {
  std::vector<adapter::CardAdapter> cards;
  for (std::size_t i = 0; i < plan.adapters.size(); ++i) {
    auto card = plan.adapters[i].card;
    card.config = &plan.adapters[i].config;
    card.file_bytes = report.adapters[i].file_bytes;
    cards.push_back(std::move(card));
  }
  auto existing = stage.transaction().existing(kCardFile, kMostCardBytes);
  if (!existing) {
    if (existing.error().code != ErrorCode::kLimitExceeded) return std::move(existing).error();
    report.findings.push_back(
        {.severity = Severity::kWarning,
         .rule = "MC-1",
         .path = kCardFile,
         .key = {},
         .message = "the card is larger than Ferrule edits: it stays as it is",
         .advice = {}});
    return {};
  }
  auto card =
      adapter::make_card(cards, facts, *existing, {.base_is_local = base_is_local(plan, facts)});
  std::move(card.findings.begin(), card.findings.end(), std::back_inserter(report.findings));
  if (card.changed || !*existing) FERRULE_CHECK(stage.text(kCardFile, card.text));
  return {};
}

}  // namespace

Result<SaveReport> save_pretrained(const TensorSource& state, std::span<const NamedConfig> configs,
                                   const std::filesystem::path& directory,
                                   const SaveOptions& options) {
  if (!options.base_fingerprint.empty() && options.format == WeightsFormat::kBin) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = "a torch file has no metadata to keep the base's fingerprint in"};
  }
  FERRULE_TRY(auto plan, plan_save(state, configs, options));
  SaveReport report;
  for (const auto& [name, tensor] : state.tensors()) report.state_bytes += tensor.bytes().size();
  FERRULE_TRY(auto transaction, io::DirectoryTransaction::begin(directory, options.durability));
  Stage stage(transaction, directory, options.digests);
  ValueScan values(plan);
  for (const auto& adapter : plan.adapters) {
    FERRULE_TRY(auto saved, stage_adapter(stage, adapter, directory, options));
    report.adapters.push_back(std::move(saved));
  }
  report.findings = std::move(plan.findings);
  auto found = values.take();
  std::move(found.begin(), found.end(), std::back_inserter(report.findings));
  report.left_out = std::move(plan.left_out);
  if (options.card == WriteCard::kYes)
    FERRULE_CHECK(stage_card(stage, plan, report, options.facts));
  FERRULE_CHECK(transaction.commit());
  report.written = stage.take_written();
  return report;
}

Result<SaveReport> save_pretrained(const TensorSource& state,
                                   std::initializer_list<NamedConfig> configs,
                                   const std::filesystem::path& directory,
                                   const SaveOptions& options) {
  return save_pretrained(state, std::span(configs.begin(), configs.size()), directory, options);
}

}  // namespace ferrule
