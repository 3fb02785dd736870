// SPDX-License-Identifier: Apache-2.0
#include "ferrule/adapter.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/known_examinations.hpp"
#include "adapter/open_adapter.hpp"
#include "base/errors.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "container/safetensors_file_access.hpp"
#include "ferrule/file_names.hpp"

namespace ferrule {

struct Adapter::Rep {
  Rep(std::shared_ptr<const AdapterConfig> of, std::unique_ptr<TensorSource> from,
      AdapterOrigin where)
      : config(std::move(of)), weights(std::move(from)), origin(std::move(where)) {}

  std::shared_ptr<const AdapterConfig> config;
  std::unique_ptr<TensorSource> weights;
  AdapterOrigin origin;
  /// What it has in common with others like it; nullptr if none are known.
  adapter::SharedExamined shared;
  /// Empty in the first of several like it: it uses that of `shared`.
  adapter::Examination own;
  const adapter::Examination* examination = &own;
  /// Shapes of CARTRIDGE's two halves, if it has two: views need them in memory that stays.
  std::array<std::array<std::uint64_t, 2>, 2> halves = {};
  bool has_halves = false;

  /// A CARTRIDGE prompt is one tensor on disk; a live model holds its first rows, which are frozen,
  /// apart from the others.
  void halve_prompt() {
    if (config->peft_type() != "CARTRIDGE" || examination->tensors.size() != 1) return;
    const auto shape = examination->tensors[0].tensor.shape();
    const auto frozen = config->integer("num_frozen_tokens").value_or(0);
    if (shape.size() != 2 || frozen <= 0 || static_cast<std::uint64_t>(frozen) > shape[0]) return;
    const auto rows = static_cast<std::uint64_t>(frozen);
    halves = {{{rows, shape[1]}, {shape[0] - rows, shape[1]}}};
    has_halves = true;
  }

  void examine() {
    own = AdapterAccess::examine(*config, weights->tensors());
    halve_prompt();
    const auto& directory = origin.directory;
    const auto config_file = directory.empty() ? std::string() : (directory / kConfigFile).string();
    const auto weights_file = origin.weights_file.string();
    for (auto& finding : own.findings) {
      finding.path = finding.rule.starts_with("CF-") ? config_file : weights_file;
    }
    const auto& of_config = config->findings();
    own.findings.insert(own.findings.end(), of_config.begin(), of_config.end());
    sort_by_severity(own.findings);
  }

  /// Keeps what was found for adapters like this one. `data`: where its tensors are in memory.
  void share(std::string config_text, const container::SharedLayout& layout,
             const std::byte* data) {
    auto made = std::make_shared<adapter::Examined>();
    made->config_text = std::move(config_text);
    made->config = config;
    made->layout = layout;
    made->examination = std::move(own);
    made->data = data;
    examination = &made->examination;
    shared = std::move(made);
    adapter::keep_examined(shared);
  }

  /// The position of a key. Sorted at the first question, which may come from several threads:
  /// many an adapter is opened and never asked.
  std::optional<std::size_t> find(std::string_view key) const {
    const auto& tensors = examination->tensors;
    std::call_once(sorted, [&] {
      by_key.resize(tensors.size());
      std::iota(by_key.begin(), by_key.end(), std::size_t{0});
      std::sort(by_key.begin(), by_key.end(),
                [&](std::size_t a, std::size_t b) { return tensors[a].key < tensors[b].key; });
    });
    const auto at = std::lower_bound(
        by_key.begin(), by_key.end(), key,
        [&](std::size_t i, std::string_view name) { return tensors[i].key < name; });
    if (at == by_key.end() || tensors[*at].key != key) return std::nullopt;
    return *at;
  }

  mutable std::once_flag sorted;
  mutable std::vector<std::size_t> by_key;
};

Adapter::Adapter(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
Adapter::Adapter(Adapter&&) noexcept = default;
Adapter& Adapter::operator=(Adapter&&) noexcept = default;
Adapter::~Adapter() = default;

namespace {

Finding empty_beside_whole(const adapter::AdapterFiles& files) {
  return {.severity = Severity::kError,
          .rule = "AD-15",
          .path = files.weights_file.string(),
          .key = {},
          .message =
              "every tensor of adapter_model.safetensors is empty; the adapter_model.bin "
              "next to it is whole (" +
              std::to_string(files.whole_bin_tensors) + " tensors), but PEFT reads the first",
          .advice = "`ferrule fix` and `ferrule convert` take adapter_model.bin"};
}

Finding misnamed(const adapter::AdapterFiles& files) {
  return {.severity = Severity::kError,
          .rule = "AD-15",
          .path = files.weights_file.string(),
          .key = {},
          .message =
              "adapter_model.bin is a safetensors file: PEFT reads it as one of torch, and fails",
          .advice = "`ferrule fix` writes it as adapter_model.safetensors"};
}

}  // namespace

Result<Adapter> Adapter::open(const std::filesystem::path& directory, const OpenOptions& options) {
  FERRULE_TRY(auto adapter, AdapterAccess::open(directory, options));
  if (options.allow_errors) return adapter;
  if (auto error = adapter.first_error()) return *std::move(error);
  return adapter;
}

Result<Adapter> AdapterAccess::open(const std::filesystem::path& directory,
                                    const OpenOptions& options) {
  FERRULE_TRY(auto files, adapter::open_adapter_files(directory, options));
  const bool is_plain =
      files.whole_bin_tensors == 0 && !files.misnamed && !files.config_text.empty();
  const auto* file = is_plain ? dynamic_cast<const SafetensorsFile*>(files.weights.get()) : nullptr;
  const auto layout = file == nullptr ? nullptr : SafetensorsFileAccess::layout(*file);
  auto rep = std::make_unique<Adapter::Rep>(files.config, std::move(files.weights),
                                            AdapterOrigin{.directory = directory,
                                                          .weights_file = files.weights_file,
                                                          .metadata = std::move(files.metadata),
                                                          .file_bytes = files.file_bytes});
  if (layout != nullptr) rep->shared = adapter::find_examined(*rep->config, *layout);
  if (rep->shared != nullptr) {
    rep->own = adapter::examination_in(*rep->shared, SafetensorsFileAccess::data(*file));
    rep->halve_prompt();
    return Adapter(std::move(rep));
  }
  rep->examine();
  auto& findings = rep->own.findings;
  if (files.whole_bin_tensors != 0) findings.push_back(empty_beside_whole(files));
  if (files.misnamed) findings.push_back(misnamed(files));
  sort_by_severity(findings);
  if (layout != nullptr && findings.empty()) {
    rep->share(std::move(files.config_text), layout, SafetensorsFileAccess::data(*file));
  }
  return Adapter(std::move(rep));
}

Result<Adapter> Adapter::make(AdapterConfig config, std::unique_ptr<TensorSource> weights,
                              AdapterOrigin origin) {
  if (weights == nullptr) {
    return base::invalid("an adapter needs a source of tensors, found none");
  }
  auto rep = std::make_unique<Rep>(std::make_shared<const AdapterConfig>(std::move(config)),
                                   std::move(weights), std::move(origin));
  rep->examine();
  return Adapter(std::move(rep));
}

const AdapterConfig& Adapter::config() const& noexcept { return *rep_->config; }
std::span<const AdapterModule> Adapter::modules() const& noexcept {
  return rep_->examination->modules;
}
std::span<const AdapterTensor> Adapter::tensors() const& noexcept {
  return rep_->examination->tensors;
}
std::span<const Finding> Adapter::findings() const& noexcept { return rep_->examination->findings; }
bool Adapter::has_errors() const noexcept { return has_error(rep_->examination->findings); }
std::optional<Error> Adapter::first_error() const {
  // Errors come first.
  const auto errors =
      std::count_if(findings().begin(), findings().end(),
                    [](const Finding& finding) { return finding.severity == Severity::kError; });
  if (errors == 0) return std::nullopt;
  const auto& first = findings().front();
  auto message = first.message;
  if (errors > 1) message += " (the first of " + std::to_string(errors) + " errors)";
  return Error{.code = ErrorCode::kCorrupt,
               .rule = first.rule,
               .message = std::move(message),
               .path = first.path};
}
const std::filesystem::path& Adapter::directory() const& noexcept { return rep_->origin.directory; }
const std::filesystem::path& Adapter::weights_file() const& noexcept {
  return rep_->origin.weights_file;
}
const Metadata& Adapter::metadata() const& noexcept { return rep_->origin.metadata; }
std::uint64_t Adapter::file_bytes() const noexcept { return rep_->origin.file_bytes; }

const AdapterTensor* Adapter::find(std::string_view disk_key) const& {
  const auto at = rep_->find(disk_key);
  return at ? &rep_->examination->tensors[*at] : nullptr;
}

Result<FileRange> Adapter::range(std::string_view disk_key) const {
  return rep_->weights->range(disk_key);
}

const adapter::Examination& AdapterAccess::of(const Adapter& adapter) noexcept {
  return *adapter.rep_->examination;
}

std::shared_ptr<const void> AdapterAccess::likeness(const Adapter& adapter) noexcept {
  return adapter.rep_->shared;
}

std::optional<std::string> Adapter::live_key(std::string_view disk_key,
                                             std::string_view adapter_name) const {
  const auto at = rep_->has_halves ? std::nullopt : rep_->find(disk_key);
  if (!at) return std::nullopt;
  return peft::live_key(disk_key, rep_->examination->keys[*at], adapter_name);
}

std::vector<std::pair<std::string, TensorView>> Adapter::state_dict(
    std::string_view adapter_name) const& {
  std::vector<std::pair<std::string, TensorView>> out;
  out.reserve(rep_->examination->tensors.size());
  if (rep_->has_halves) {
    const auto& [frozen, trainable] = rep_->halves;
    const auto& prompt = rep_->examination->tensors[0].tensor;
    const auto at = prompt.bytes().size() / (frozen[0] + trainable[0]) * frozen[0];
    const std::string module = "prompt_encoder." + std::string(adapter_name);
    out.emplace_back(module + ".frozen_embedding",
                     TensorViewAccess::unchecked(prompt.dtype(), frozen, prompt.bytes().first(at)));
    out.emplace_back(
        module + ".trainable_embedding",
        TensorViewAccess::unchecked(prompt.dtype(), trainable, prompt.bytes().subspan(at)));
    return out;
  }
  for (std::size_t i = 0; i < rep_->examination->tensors.size(); ++i) {
    const auto& tensor = rep_->examination->tensors[i];
    out.emplace_back(peft::live_key(tensor.key, rep_->examination->keys[i], adapter_name),
                     tensor.tensor);
  }
  return out;
}

}  // namespace ferrule
