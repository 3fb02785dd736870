// SPDX-License-Identifier: Apache-2.0
#include "ferrule/extract.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "adapter/rewrite.hpp"
#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "factor/extract_config.hpp"
#include "factor/extract_plan.hpp"
#include "factor/truncated.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "io/save_control.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";

/// A layer on its way.
struct Job {
  bool finite = true;
  std::optional<factor::FactorPair> pair;
  FactoredModule report;
};

class Extract final : public adapter::Rewriter {
 public:
  Extract(const fs::path& base, const fs::path& tuned, const ExtractOptions& options)
      : base_(base), tuned_(tuned), options_(options) {}

  Result<bool> look() override {
    if (models_) return true;  // Models are large: what is mapped once stays what it was.
    FERRULE_TRY(models_, factor::ModelPair::open(base_, tuned_, options_.open));
    FERRULE_TRY(plan_, factor::plan_extract(*models_, tuned_));
    if (!plan_->layers.empty()) return true;
    return base::at(base::unsupported("FA-13",
                                      "no layer that LoRA adapts differs from the base: there is "
                                      "nothing to extract"),
                    tuned_);
  }

  Result<std::vector<adapter::FolderRewrite>> make() override {
    std::vector<Job> jobs(plan_->layers.size());
    base::parallel_for(jobs.size(), options_.threads, [&](std::size_t i) {
      if (!io::saves_canceled()) factorize(plan_->layers[i], jobs[i]);
    });
    FERRULE_CHECK(io::unless_canceled({}));
    FERRULE_CHECK(collect(jobs));
    keep_others();
    std::vector<adapter::FolderRewrite> folders;
    folders.push_back(adapter::safetensors_folder(tensors_, config_->to_json()));
    return folders;
  }

  ExtractReport take_report() { return std::move(report_); }

 private:
  /// A layer on its own has all threads; of many, each has one.
  unsigned threads_of_a_layer() const { return plan_->layers.size() == 1 ? options_.threads : 1; }

  void factorize(const factor::ChangedLayer& layer, Job& job) const {
    const factor::RankRule rule{.rank = static_cast<std::size_t>(options_.rank),
                                .energy = options_.energy,
                                .max_error = {}};
    auto update = factor::truncated(factor::difference(layer), rule, threads_of_a_layer());
    job.finite = update.has_value();
    if (!job.finite) return;
    if (layer.transposed) update = std::move(*update).transposed();
    const factor::Decomposed parts[] = {*std::move(update)};
    const auto rank = factor::choose_rank(rule, parts);
    job.pair.emplace(layer.layout, rank, Dtype::kF32);
    parts[0].write(rank, 0, *job.pair);
    auto kept = factor::kept_of(parts, rank);
    job.report = {.path = layer.layout.path,
                  .rank = rank,
                  .rank_before = 0,
                  .norm = kept.norm,
                  .relative_error = kept.relative_error,
                  .singular_values = std::move(kept.values)};
  }

  Result<void> collect(std::vector<Job>& jobs) {
    std::vector<factor::ModuleRank> ranks;
    double square = 0;
    double distance = 0;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      auto& job = jobs[i];
      if (!job.finite || job.pair->overflowed() > 0) {
        return base::at(base::unsupported("FA-12", "tensor " + quote(plan_->layers[i].weight.name) +
                                                       " has values that are not finite, there "
                                                       "or in the base"),
                        tuned_);
      }
      ranks.push_back({job.report.path, job.report.rank, static_cast<double>(job.report.rank)});
      square += job.report.norm * job.report.norm;
      distance += std::pow(job.report.norm * job.report.relative_error, 2);
      report_.parameters += plan_->layers[i].layout.parameters_of_a_rank() * job.report.rank;
      tensors_.push_back(job.pair->a());
      tensors_.push_back(job.pair->b());
      report_.modules.push_back(std::move(job.report));
    }
    report_.relative_error = square > 0 ? std::sqrt(distance / square) : 0;
    report_.unchanged = plan_->unchanged.size();
    const bool keeps = options_.others == OtherTensors::kKeep;
    FERRULE_TRY(config_,
                factor::extracted_config(*plan_, models_->base_model, base_, ranks, keeps));
    return {};
  }

  void keep_others() {
    std::set<std::string> modules;
    for (const auto& other : plan_->others) {
      const auto keeping = options_.others == OtherTensors::kKeep
                               ? factor::keeping_of(*plan_, other)
                               : factor::Keeping::kNot;
      report_.others.push_back({.name = other.name,
                                .relative_change = factor::relative_change(other),
                                .kept = keeping != factor::Keeping::kNot});
      // The layer has its bias one level further down when PEFT looks for it.
      if (keeping == factor::Keeping::kBias) {
        keep(factor::module_of(other) + ".base_layer.bias", other.tuned);
      }
      if (keeping == factor::Keeping::kModule) modules.insert(factor::module_of(other));
    }
    // All tensors of a module that is saved, as PEFT saves it.
    for (const auto& [name, view] : models_->tuned.tensors()) {
      const auto dot = name.rfind('.');
      if (dot != std::string_view::npos && modules.contains(std::string(name.substr(0, dot)))) {
        keep(name, view);
      }
    }
    report_lost();
  }

  void keep(std::string_view name, const TensorView& view) {
    tensors_.push_back(container::stream_of(std::string(kPrefix) + std::string(name), view));
  }

  void report_lost() {
    std::uint64_t lost = 0;
    std::string first;
    for (const auto& other : report_.others) {
      if (other.kept) continue;
      if (lost++ == 0) first = other.name;
    }
    if (lost == 0) return;
    report_.findings.push_back(
        {.severity = Severity::kWarning,
         .rule = "FA-11",
         .path = {},
         .key = first,
         .message = std::to_string(lost) + " tensors changed and are not in the adapter, the " +
                    "first is " + quote(first),
         .advice = options_.others == OtherTensors::kKeep
                       ? std::string()
                       : "--full-modules keeps norms, biases and embeddings that changed"});
  }

  const fs::path& base_;
  const fs::path& tuned_;
  const ExtractOptions& options_;
  std::optional<factor::ModelPair> models_;
  std::optional<factor::ExtractPlan> plan_;
  container::TensorPlan tensors_;
  std::optional<AdapterConfig> config_;
  ExtractReport report_;
};

}  // namespace

Result<ExtractReport> extract(const fs::path& base, const fs::path& tuned, const fs::path& output,
                              const ExtractOptions& options) {
  if (options.rank == 0) return base::invalid("expected a rank of at least 1");
  if (options.energy && !(*options.energy >= 0 && *options.energy <= 1)) {
    return base::invalid("expected an energy from 0 to 1");
  }
  Extract extract(base, tuned, options);
  FERRULE_CHECK(
      adapter::rewrite(output, {.source = {}, .durability = options.durability}, extract));
  auto report = extract.take_report();
  report.weights_file = kSafetensorsFile;
  return report;
}

}  // namespace ferrule
