// SPDX-License-Identifier: Apache-2.0
#include "ferrule/resize.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/rewrite.hpp"
#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "factor/factor_pair.hpp"
#include "factor/lora_config.hpp"
#include "factor/lora_source.hpp"
#include "factor/rank_rule.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "io/save_control.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// A module on its way.
struct Job {
  const factor::LoraModule* module = nullptr;
  factor::FactorLayout layout;
  std::vector<factor::Decomposed> parts;
  std::size_t rank = 1;
  std::optional<factor::FactorPair> pair;
  FactoredModule report;
};

Result<void> check_options(const ResizeOptions& options) {
  const int given = (options.rank ? 1 : 0) + (options.energy ? 1 : 0) +
                    (options.max_error ? 1 : 0) + (options.budget ? 1 : 0);
  if (given != 1) return base::invalid("expected one of rank, energy, max_error and budget");
  if (options.rank && *options.rank == 0) return base::invalid("expected a rank of at least 1");
  for (const auto& share : {options.energy, options.max_error}) {
    if (share && !(*share >= 0 && *share <= 1)) {
      return base::invalid("expected an energy or an error from 0 to 1");
    }
  }
  return {};
}

class Resize final : public adapter::Rewriter {
 public:
  Resize(const fs::path& directory, const ResizeOptions& options)
      : directory_(directory), options_(options) {}

  Result<bool> look() override {
    FERRULE_TRY(adapter_, AdapterAccess::open(directory_, options_.open));
    FERRULE_TRY(modules_,
                factor::lora_modules(*adapter_, factor::Magnitudes::kAllowed, options_.threads));
    return true;
  }

  Result<std::vector<adapter::FolderRewrite>> make() override {
    std::vector<Job> jobs(modules_.size());
    base::parallel_for(jobs.size(), options_.threads, [&](std::size_t i) {
      if (!io::saves_canceled()) decompose(modules_[i], jobs[i]);
    });
    FERRULE_CHECK(io::unless_canceled({}));
    FERRULE_CHECK(choose_ranks(jobs));
    base::parallel_for(jobs.size(), options_.threads, [&](std::size_t i) {
      if (!io::saves_canceled()) write(jobs[i]);
    });
    FERRULE_CHECK(io::unless_canceled({}));
    FERRULE_CHECK(collect(jobs));
    FERRULE_TRY(source_, adapter::AdapterFolder::open(directory_));
    std::vector<adapter::FolderRewrite> folders;
    auto metadata = adapter_->metadata();
    if (metadata.empty()) metadata.emplace_back("format", "pt");
    folders.push_back(
        adapter::safetensors_folder(tensors_, config_->to_json(), std::move(metadata)));
    folders.back().source = &*source_;
    return folders;
  }

  ResizeReport take_report() { return std::move(report_); }

 private:
  static void decompose(const factor::LoraModule& module, Job& job) {
    job.module = &module;
    job.layout = factor::FactorLayout::of(*module.module, module.update);
    for (const auto& block : module.update.blocks) {
      job.parts.push_back(factor::Decomposed::of({{.factor = 1, .a = block.a, .b = block.b}},
                                                 job.layout.out, job.layout.in));
    }
  }

  Result<void> choose_ranks(std::vector<Job>& jobs) const {
    if (options_.budget) return share_budget(jobs);
    for (auto& job : jobs) {
      factor::RankRule rule{.rank = {}, .energy = options_.energy, .max_error = options_.max_error};
      if (options_.rank) rule.rank = of_each_part(job, *options_.rank);
      const auto rank = factor::choose_rank(rule, job.parts);
      // With a bound on the rank alone, nothing is to be cut if it fits.
      job.rank = options_.rank && job.module->rank() <= *rule.rank ? job.module->rank() : rank;
    }
    return {};
  }

  /// Groups of a convolution share the config's rank; experts have it each.
  static std::size_t of_each_part(const Job& job, std::uint64_t rank) {
    if (job.layout.is_experts) return static_cast<std::size_t>(rank);
    return static_cast<std::size_t>(std::max<std::uint64_t>(rank / job.layout.parts, 1));
  }

  Result<void> share_budget(std::vector<Job>& jobs) const {
    std::vector<factor::BudgetModule> modules;
    for (const auto& job : jobs) {
      modules.push_back({.parts = job.parts, .cost = job.layout.parameters_of_a_rank()});
    }
    const auto ranks = factor::share_budget(modules, *options_.budget);
    if (!ranks) {
      return base::at(base::invalid("a budget of " + std::to_string(*options_.budget) +
                                    " parameters does not hold rank 1 of every module"),
                      directory_);
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].rank = (*ranks)[i];
    return {};
  }

  static void write(Job& job) {
    const double strength = job.module->update.strength;
    auto kept = factor::kept_of(job.parts, job.rank);
    job.report = {.path = job.layout.path,
                  .rank = job.layout.config_rank(job.rank),
                  .rank_before = job.layout.config_rank(job.module->rank()),
                  .norm = kept.norm * std::fabs(strength),
                  .relative_error = kept.relative_error,
                  .singular_values = std::move(kept.values)};
    for (auto& value : job.report.singular_values) value *= std::fabs(strength);
    if (job.rank == job.module->rank()) {
      job.report.relative_error = 0;
      return;
    }
    job.pair.emplace(job.layout, job.rank, job.module->update.a->tensor.dtype());
    double distance = 0;
    for (std::size_t part = 0; part < job.parts.size(); ++part) {
      job.parts[part].write(job.rank, part, *job.pair);
      const auto& block = job.module->update.blocks[part];
      if (bit_width(job.module->update.a->tensor.dtype()) > 16) continue;
      distance += factor::squared_norm(std::vector<factor::Term>{
          {.factor = 1, .a = block.a, .b = block.b},
          {.factor = -1, .a = job.pair->a_vectors(part), .b = job.pair->b_vectors(part)}});
    }
    // Half types round by more than a cut may lose.
    if (distance > 0 && kept.norm > 0) {
      job.report.relative_error =
          std::max(job.report.relative_error, std::sqrt(distance) / kept.norm);
    }
    job.parts.clear();
  }

  Result<void> collect(std::vector<Job>& jobs) {
    config_ = adapter_->config();
    std::vector<factor::ModuleRank> ranks;
    std::vector<std::string_view> replaced;
    double square = 0;
    double distance = 0;
    for (auto& job : jobs) {
      const auto& report = job.report;
      ranks.push_back({report.path, report.rank,
                       job.module->update.strength * static_cast<double>(report.rank)});
      square += report.norm * report.norm;
      distance += std::pow(report.norm * report.relative_error, 2);
      const auto cost = job.layout.parameters_of_a_rank();
      report_.parameters_before += cost * job.module->rank();
      report_.parameters += cost * job.rank;
      if (job.pair) FERRULE_CHECK(replace(job, replaced));
      report_.modules.push_back(std::move(job.report));
    }
    report_.relative_error = square > 0 ? std::sqrt(distance / square) : 0;
    std::sort(replaced.begin(), replaced.end());
    for (const auto& tensor : adapter_->tensors()) {
      if (std::binary_search(replaced.begin(), replaced.end(), tensor.key)) continue;
      tensors_.push_back(container::stream_of(tensor.key, tensor.tensor));
    }
    return replaced.empty() ? Result<void>() : factor::set_ranks(*config_, ranks);
  }

  Result<void> replace(Job& job, std::vector<std::string_view>& replaced) {
    if (job.pair->overflowed() > 0) {
      return base::at(base::unsupported("FA-5", "the factors of module " + quote(job.layout.path) +
                                                    " become infinite in their dtype"),
                      adapter_->weights_file());
    }
    auto a = job.pair->a();
    auto b = job.pair->b();
    a.name = std::string(job.module->update.a->key);
    b.name = std::string(job.module->update.b->key);
    tensors_.push_back(std::move(a));
    tensors_.push_back(std::move(b));
    replaced.push_back(job.module->update.a->key);
    replaced.push_back(job.module->update.b->key);
    return {};
  }

  const fs::path& directory_;
  const ResizeOptions& options_;
  std::optional<Adapter> adapter_;
  std::vector<factor::LoraModule> modules_;
  container::TensorPlan tensors_;
  std::optional<AdapterConfig> config_;
  std::optional<adapter::AdapterFolder> source_;
  ResizeReport report_;
};

}  // namespace

Result<ResizeReport> resize(const fs::path& directory, const fs::path& output,
                            const ResizeOptions& options) {
  FERRULE_CHECK(check_options(options));
  Resize resize(directory, options);
  FERRULE_TRY(
      auto done,
      adapter::rewrite(output, {.source = directory, .durability = options.durability}, resize));
  auto report = resize.take_report();
  report.in_place = done.in_place;
  report.weights_file = kSafetensorsFile;
  report.copied = std::move(done.folders.front().copied);
  return report;
}

}  // namespace ferrule
