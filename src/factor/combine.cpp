// SPDX-License-Identifier: Apache-2.0
#include "ferrule/combine.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "adapter/rewrite.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "factor/combine_sources.hpp"
#include "factor/combine_updates.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNames[] = {"cat",
                                       "svd",
                                       "linear",
                                       "ties",
                                       "dare_linear",
                                       "dare_ties",
                                       "magnitude_prune",
                                       "ties_svd",
                                       "dare_linear_svd",
                                       "dare_ties_svd",
                                       "magnitude_prune_svd"};

Result<void> check_options(std::size_t adapters, const CombineOptions& options) {
  if (adapters == 0) return base::invalid("no adapter to combine");
  if (!options.weights.empty() && options.weights.size() != adapters) {
    return base::invalid("expected a weight for each of the " + std::to_string(adapters) +
                         " adapters, or none; found " + std::to_string(options.weights.size()));
  }
  for (const double weight : options.weights) {
    if (!std::isfinite(weight)) return base::invalid("a weight is not a finite number");
  }
  if (options.rank && *options.rank == 0) return base::invalid("expected a rank of at least 1");
  const bool exact = options.method == CombineMethod::kCat ||
                     options.method == CombineMethod::kSvd ||
                     options.method == CombineMethod::kLinear;
  if (exact) return {};
  if (!options.density) {
    return base::invalid("method " + std::string(combine_method_name(options.method)) +
                         " needs a density");
  }
  if (!(*options.density >= 0 && *options.density <= 1)) {
    return base::invalid("expected a density from 0 to 1");
  }
  return {};
}

class Combine final : public adapter::Rewriter {
 public:
  Combine(std::span<const fs::path> adapters, const CombineOptions& options)
      : adapters_(adapters), options_(options) {}

  Result<bool> look() override {
    FERRULE_TRY(sources_, factor::open_sources(adapters_, options_));
    FERRULE_TRY(modules_, factor::group_modules(sources_));
    FERRULE_CHECK(factor::check_ranks(modules_, options_));
    FERRULE_TRY(taken_over_, factor::tensors_taken_over(sources_));
    FERRULE_CHECK(factor::check_one_layer(sources_, modules_, taken_over_));
    return true;
  }

  Result<std::vector<adapter::FolderRewrite>> make() override {
    FERRULE_TRY(auto combined, factor::combine_updates(modules_, options_));
    std::vector<factor::ModuleRank> ranks;
    for (const auto& module : combined.report.modules) {
      ranks.push_back({module.path, module.rank, static_cast<double>(module.rank)});
    }
    FERRULE_TRY(config_, factor::combined_config(sources_, ranks, taken_over_));
    report_ = std::move(combined.report);
    tensors_ = std::move(combined.tensors);
    for (const auto& [source, tensor] : taken_over_) {
      tensors_.push_back(container::stream_of(tensor->key, tensor->tensor));
    }
    note_bases();
    note_taken_over();
    std::vector<adapter::FolderRewrite> folders;
    folders.push_back(adapter::safetensors_folder(tensors_, config_->to_json()));
    return folders;
  }

  CombineReport take_report() { return std::move(report_); }

 private:
  void note(Severity severity, std::string message, std::string advice = {}) {
    report_.findings.push_back({.severity = severity,
                                .rule = "FA-9",
                                .path = {},
                                .key = {},
                                .message = std::move(message),
                                .advice = std::move(advice)});
  }

  void note_bases() {
    const auto first = sources_.front().adapter.config().base_model_name_or_path();
    for (const auto& source : sources_) {
      const auto other = source.adapter.config().base_model_name_or_path();
      if (!first || !other || *first == *other) continue;
      return note(Severity::kWarning, "the adapters name different base models: " + quote(*first) +
                                          " and " + quote(*other) + "; the first one is kept");
    }
  }

  void note_taken_over() {
    for (const auto& [source, tensor] : taken_over_) {
      if (source->weight == 1) continue;
      return note(Severity::kWarning, "tensor " + quote(tensor->key) +
                                          " replaces a tensor of the base: it is taken "
                                          "over as it is, whatever the weight");
    }
  }

  std::span<const fs::path> adapters_;
  const CombineOptions& options_;
  std::vector<factor::CombineSource> sources_;
  std::vector<factor::CombineModule> modules_;
  std::vector<factor::TakenOver> taken_over_;
  container::TensorPlan tensors_;
  std::optional<AdapterConfig> config_;
  CombineReport report_;
};

}  // namespace

std::span<const std::string_view> combine_method_names() noexcept { return kNames; }

std::string_view combine_method_name(CombineMethod method) noexcept {
  return kNames[static_cast<std::size_t>(method)];
}

Result<CombineReport> combine(std::span<const fs::path> adapters, const fs::path& output,
                              const CombineOptions& options) {
  FERRULE_CHECK(check_options(adapters.size(), options));
  Combine combine(adapters, options);
  FERRULE_TRY(const auto done,
              adapter::rewrite(output, {.source = {}, .durability = options.durability}, combine));
  static_cast<void>(done);
  auto report = combine.take_report();
  report.weights_file = kSafetensorsFile;
  return report;
}

}  // namespace ferrule
