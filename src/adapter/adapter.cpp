// SPDX-License-Identifier: Apache-2.0
#include "ferrule/adapter.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/open_adapter.hpp"
#include "base/try.hpp"
#include "ferrule/file_names.hpp"

namespace ferrule {

struct Adapter::Rep {
  AdapterFiles files;
  Examination examination;
  std::filesystem::path directory;
  /// Shapes of CARTRIDGE's two halves, where it has two: views need them in memory that stays.
  std::array<std::array<std::uint64_t, 2>, 2> halves = {};
  bool has_halves = false;

  /// A CARTRIDGE prompt is one tensor on disk; a live model holds its first rows, which are frozen,
  /// apart from the others.
  void halve_prompt() {
    if (files.config.peft_type() != "CARTRIDGE" || examination.tensors.size() != 1) return;
    const auto shape = examination.tensors[0].tensor.shape();
    const auto frozen = files.config.integer("num_frozen_tokens").value_or(0);
    if (shape.size() != 2 || frozen <= 0 || static_cast<std::uint64_t>(frozen) > shape[0]) return;
    const auto rows = static_cast<std::uint64_t>(frozen);
    halves = {{{rows, shape[1]}, {shape[0] - rows, shape[1]}}};
    has_halves = true;
  }
};

Adapter::Adapter(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
Adapter::Adapter(Adapter&&) noexcept = default;
Adapter& Adapter::operator=(Adapter&&) noexcept = default;
Adapter::~Adapter() = default;

Result<Adapter> Adapter::open(const std::filesystem::path& directory, const OpenOptions& options) {
  FERRULE_TRY(auto files, open_adapter_files(directory, options));
  auto rep = std::make_unique<Rep>(Rep{std::move(files), {}, directory});
  rep->examination = AdapterBuilder::examine(rep->files.config, rep->files.weights->tensors());
  rep->halve_prompt();
  auto& findings = rep->examination.findings;
  const auto config_file = (directory / kConfigFile).string();
  for (auto& finding : findings) {
    finding.path = finding.rule.starts_with("CF-") ? config_file : rep->files.weights_file.string();
  }
  const auto& config_findings = rep->files.config.findings();
  findings.insert(findings.end(), config_findings.begin(), config_findings.end());
  sort_by_severity(findings);
  return Adapter(std::move(rep));
}

const AdapterConfig& Adapter::config() const& noexcept { return rep_->files.config; }
std::span<const Module> Adapter::modules() const& noexcept { return rep_->examination.modules; }
std::span<const AdapterTensor> Adapter::tensors() const& noexcept {
  return rep_->examination.tensors;
}
std::span<const Finding> Adapter::findings() const& noexcept { return rep_->examination.findings; }
const std::filesystem::path& Adapter::directory() const noexcept { return rep_->directory; }
const std::filesystem::path& Adapter::weights_file() const noexcept {
  return rep_->files.weights_file;
}
const Metadata& Adapter::metadata() const noexcept { return rep_->files.metadata; }
std::uint64_t Adapter::file_bytes() const noexcept { return rep_->files.file_bytes; }

const Examination& AdapterBuilder::of(const Adapter& adapter) noexcept {
  return adapter.rep_->examination;
}

std::optional<std::string> Adapter::live_key(std::string_view disk_key,
                                             std::string_view adapter_name) const {
  for (const auto& tensor : rep_->examination.tensors) {
    if (tensor.key != disk_key || rep_->has_halves) continue;
    const auto at = static_cast<std::size_t>(&tensor - rep_->examination.tensors.data());
    return peft::live_key(disk_key, rep_->examination.keys[at], adapter_name);
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, TensorView>> Adapter::state_dict(
    std::string_view adapter_name) const {
  std::vector<std::pair<std::string, TensorView>> out;
  out.reserve(rep_->examination.tensors.size());
  if (rep_->has_halves) {
    const auto& [frozen, trainable] = rep_->halves;
    const auto& prompt = rep_->examination.tensors[0].tensor;
    const auto at = prompt.bytes().size() / (frozen[0] + trainable[0]) * frozen[0];
    const std::string module = "prompt_encoder." + std::string(adapter_name);
    out.emplace_back(module + ".frozen_embedding",
                     TensorView::trusted(prompt.dtype(), frozen, prompt.bytes().first(at)));
    out.emplace_back(module + ".trainable_embedding",
                     TensorView::trusted(prompt.dtype(), trainable, prompt.bytes().subspan(at)));
    return out;
  }
  for (std::size_t i = 0; i < rep_->examination.tensors.size(); ++i) {
    const auto& tensor = rep_->examination.tensors[i];
    out.emplace_back(peft::live_key(tensor.key, rep_->examination.keys[i], adapter_name),
                     tensor.tensor);
  }
  return out;
}

}  // namespace ferrule
