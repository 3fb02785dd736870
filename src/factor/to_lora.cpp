// SPDX-License-Identifier: Apache-2.0
#include "ferrule/to_lora.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/method_modules.hpp"
#include "adapter/rewrite.hpp"
#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "factor/lora_config.hpp"
#include "factor/rank_rule.hpp"
#include "factor/to_lora_sites.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "io/save_control.hpp"
#include "update/tensor_values.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// A module on its way.
struct Job {
  std::optional<Error> error;
  std::optional<factor::FactorPair> pair;
  std::vector<double> bias;
  FactoredModule report;
};

/// Fields that mean the same in every method.
constexpr std::string_view kShared[] = {"task_type",
                                        "base_model_name_or_path",
                                        "auto_mapping",
                                        "revision",
                                        "target_modules",
                                        "target_parameters",
                                        "exclude_modules",
                                        "layers_to_transform",
                                        "layers_pattern",
                                        "modules_to_save",
                                        "bias",
                                        "inference_mode",
                                        "trainable_token_indices"};

class ToLora final : public adapter::Rewriter {
 public:
  ToLora(const fs::path& directory, const ToLoraOptions& options)
      : directory_(directory), options_(options) {}

  Result<bool> look() override {
    FERRULE_TRY(adapter_, AdapterAccess::open(directory_, options_.open));
    if (!options_.base.empty() && !base_) {
      FERRULE_TRY(base_, factor::OpenBase::open(options_.base, options_.open));
    }
    FERRULE_TRY(sites_, factor::to_lora_sites(*adapter_, base_ ? &*base_ : nullptr));
    if (!sites_.empty()) return true;
    return base::at(base::unsupported("FA-14", adapter_->config().peft_type() +
                                                   " changes no weight of a layer: there is "
                                                   "nothing that a LoRA could express"),
                    directory_);
  }

  Result<std::vector<adapter::FolderRewrite>> make() override {
    std::vector<Job> jobs(sites_.size());
    base::parallel_for(jobs.size(), options_.threads, [&](std::size_t i) {
      if (!io::saves_canceled()) factorize(sites_[i], jobs[i]);
    });
    FERRULE_CHECK(io::unless_canceled({}));
    FERRULE_CHECK(collect(jobs));
    FERRULE_TRY(source_, adapter::AdapterFolder::open(directory_));
    std::vector<adapter::FolderRewrite> folders;
    folders.push_back(adapter::safetensors_folder(tensors_, config_->to_json()));
    folders.back().source = &*source_;
    return folders;
  }

  ToLoraReport take_report() { return std::move(report_); }

 private:
  void factorize(const factor::ToLoraSite& site, Job& job) const {
    std::vector<factor::Decomposed> parts;
    const factor::RankRule rule = {
        .rank = options_.rank, .energy = {}, .max_error = options_.max_error};
    if (site.product) {
      for (const auto& block : site.product->blocks) {
        parts.push_back(
            factor::Decomposed::of({{.factor = site.product->strength, .a = block.a, .b = block.b}},
                                   site.layout.out, site.layout.in));
      }
    } else {
      auto update = factor::update_of(site);
      auto bias = factor::bias_update_of(site);
      if (!update || !bias) {
        job.error = update ? bias.error() : update.error();
        return;
      }
      auto found =
          factor::truncated(*std::move(update), rule, sites_.size() == 1 ? options_.threads : 1);
      if (!found) {
        job.error = site.site.refuse("FA-5", "its update has values that F32 cannot hold");
        return;
      }
      parts.push_back(*std::move(found));
      job.bias = *std::move(bias);
    }
    const auto rank = factor::choose_rank(rule, parts);
    job.pair.emplace(site.layout, rank, Dtype::kF32);
    for (std::size_t part = 0; part < parts.size(); ++part) {
      parts[part].write(rank, part, *job.pair);
    }
    auto kept = factor::kept_of(parts, rank);
    job.report = {.path = site.layout.path,
                  .rank = site.layout.config_rank(rank),
                  .rank_before = 0,
                  .norm = kept.norm,
                  .relative_error = kept.relative_error,
                  .singular_values = std::move(kept.values)};
  }

  Result<void> collect(std::vector<Job>& jobs) {
    std::vector<factor::ModuleRank> ranks;
    double square = 0;
    double distance = 0;
    const bool has_bias =
        std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return !job.bias.empty(); });
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      auto& job = jobs[i];
      if (job.error) return *job.error;
      ranks.push_back({job.report.path, job.report.rank, static_cast<double>(job.report.rank)});
      square += job.report.norm * job.report.norm;
      distance += std::pow(job.report.norm * job.report.relative_error, 2);
      report_.parameters += sites_[i].layout.parameters_of_a_rank() * job.pair->rank();
      tensors_.push_back(job.pair->a());
      tensors_.push_back(job.pair->b());
      if (has_bias && !sites_[i].layout.is_embedding) add_bias(sites_[i], job.bias);
      report_.modules.push_back(std::move(job.report));
    }
    report_.relative_error = square > 0 ? std::sqrt(distance / square) : 0;
    report_.from = adapter_->config().peft_type();
    for (const auto& tensor : adapter_->tensors()) {
      if (adapter::is_method_role(adapter_->config(), tensor.role)) continue;
      tensors_.push_back(container::stream_of(tensor.key, tensor.tensor));
    }
    return make_config(ranks, has_bias);
  }

  /// What a method does to a bias is added to it by the bias of B.
  void add_bias(const factor::ToLoraSite& site, std::vector<double> bias) {
    bias.resize(site.layout.out * site.layout.parts);
    auto bytes = std::make_shared<std::vector<std::byte>>(bias.size() * sizeof(float));
    factor::write_values(Dtype::kF32, bias, bytes->data());
    auto key = site.layout.b_key();
    key.replace(key.rfind('.') + 1, std::string::npos, "bias");
    tensors_.push_back({.name = std::move(key),
                        .dtype = Dtype::kF32,
                        .shape = {bias.size()},
                        .bytes = *bytes,
                        .owner = bytes,
                        .read = {}});
  }

  Result<void> make_config(std::span<const factor::ModuleRank> ranks, bool has_bias) {
    FERRULE_TRY(config_, AdapterConfig::make("LORA"));
    for (const auto field : kShared) {
      const auto* value = adapter_->config().find(field);
      if (value == nullptr || value->is_null()) continue;
      // "boft_only" names the layers of the method, which are now those of LoRA.
      const auto* text = value->if_string();
      const bool own = field == "bias" && text != nullptr && text->ends_with("_only");
      FERRULE_CHECK(config_->set(field, own ? Json("lora_only") : *value));
    }
    // A layer that is tied to a target is not one itself.
    const bool tied = adapter_->config().flag("ensure_weight_tying");
    const bool parameters = !adapter_->config().target_parameters().empty();
    if (!parameters && (tied || !adapter_->config().target_modules())) {
      std::set<std::string> paths;
      for (const auto& module : ranks) paths.insert(module.path);
      FERRULE_CHECK(config_->set("target_modules", Json::Array(paths.begin(), paths.end())));
    }
    const bool conv1d = std::any_of(sites_.begin(), sites_.end(), [](const auto& site) {
      return site.site.transposed || site.site.config().flag("fan_in_fan_out");
    });
    if (conv1d) FERRULE_CHECK(config_->set("fan_in_fan_out", Json(true)));
    if (has_bias) FERRULE_CHECK(config_->set("lora_bias", Json(true)));
    return factor::set_ranks(*config_, ranks);
  }

  const fs::path& directory_;
  const ToLoraOptions& options_;
  std::optional<Adapter> adapter_;
  std::optional<factor::OpenBase> base_;
  std::vector<factor::ToLoraSite> sites_;
  container::TensorPlan tensors_;
  std::optional<AdapterConfig> config_;
  std::optional<adapter::AdapterFolder> source_;
  ToLoraReport report_;
};

}  // namespace

Result<ToLoraReport> to_lora(const fs::path& directory, const fs::path& output,
                             const ToLoraOptions& options) {
  if (!options.rank && !options.max_error) return base::invalid("expected a rank or a max_error");
  if (options.rank && *options.rank == 0) return base::invalid("expected a rank of at least 1");
  if (options.max_error && !(*options.max_error >= 0 && *options.max_error <= 1)) {
    return base::invalid("expected a max_error from 0 to 1");
  }
  ToLora to_lora(directory, options);
  FERRULE_CHECK(
      adapter::rewrite(output, {.source = directory, .durability = options.durability}, to_lora));
  auto report = to_lora.take_report();
  report.weights_file = kSafetensorsFile;
  return report;
}

}  // namespace ferrule
