// SPDX-License-Identifier: Apache-2.0
#include "edit/normal_form.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "adapter/method_modules.hpp"
#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "edit/normal_config.hpp"
#include "ferrule/text.hpp"
#include "update/fold.hpp"
#include "update/low_rank.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::edit {
namespace {

using Bytes = std::vector<std::byte>;

/// One adapted module on its way.
struct Job {
  const AdapterModule* module = nullptr;
  update::LowRankUpdate update;
  std::uint64_t rank = 0;
  // What becomes of it.
  std::uint64_t new_rank = 0;
  std::optional<TensorStream> a, b;
  update::FoldResult a_result, b_result;
  double relative_error = 0;

  std::uint64_t groups() const noexcept { return update.blocks.size(); }
};

Result<std::vector<Job>> find_jobs(const Adapter& adapter) {
  std::vector<Job> jobs;
  for (const auto& module : adapter.modules()) {
    if (!adapter::has_method_tensors(adapter.config(), module)) continue;
    auto update = update::low_rank_update(adapter.config(), module);
    if (!update) {
      return base::at(
          base::unsupported(
              "NM-6",
              "the factors of module " + quote(module.path()) +
                  " cannot be computed with: expected F64, F32, F16 or BF16 and a rank of at "
                  "most " +
                  std::to_string(update::kMaxVectors / 2)),
          adapter.weights_file());
    }
    if (!module.resolved().strength) {
      return base::at(base::unsupported("NM-6", "the strength of module " + quote(module.path()) +
                                                    " is not a finite number"),
                      adapter.weights_file());
    }
    const auto rank = update->a->tensor.shape()[0];
    auto& job = jobs.emplace_back();
    job.module = &module;
    job.update = *std::move(update);
    job.rank = rank;
  }
  return jobs;
}

/// The rank that all modules can have: the largest, up to what the groups of every grouped
/// convolution divide.
Result<std::uint64_t> uniform_rank(const Adapter& adapter, const std::vector<Job>& jobs) {
  std::uint64_t rank = 0;
  std::uint64_t step = 1;
  for (const auto& job : jobs) {
    rank = std::max(rank, job.rank);
    const auto factor = job.groups() / std::gcd(step, job.groups());
    const auto product = base::checked_mul(step, factor);
    if (!product || *product > update::kMaxVectors / 2) {
      return base::at(base::unsupported(
                          "NM-6", "no rank of at most " + std::to_string(update::kMaxVectors / 2) +
                                      " is divided by the groups of every convolution"),
                      adapter.weights_file());
    }
    step = *product;
  }
  return (rank + step - 1) / step * step;
}

update::SplitStrength place_strength(double strength, ScalePlace place) {
  if (strength == 1) return {};
  if (place == ScalePlace::kA) return {.a = strength, .b = 1};
  return place == ScalePlace::kB ? update::SplitStrength{.a = 1, .b = strength}
                                 : update::split_strength(strength);
}

/// The tensor with runs of `from` elements filled up to `to`, and multiplied; nullopt if neither
/// changes it.
std::optional<TensorStream> rewrite(const AdapterTensor& tensor, std::size_t axis,
                                    std::uint64_t new_extent, std::uint64_t from, std::uint64_t to,
                                    double factor, update::FoldResult& result) {
  if (from == to && factor == 1) return std::nullopt;
  const auto& view = tensor.tensor;
  const std::uint64_t element = bit_width(view.dtype()) / 8;
  auto bytes =
      std::make_shared<Bytes>(update::pad_runs(view.bytes(), from * element, to * element));
  if (factor != 1) result = update::multiply(view.dtype(), *bytes, factor);
  TensorStream planned{.name = std::string(tensor.key),
                       .dtype = view.dtype(),
                       .shape = {view.shape().begin(), view.shape().end()},
                       .bytes = *bytes,
                       .owner = bytes,
                       .read = {}};
  planned.shape[axis] = new_extent;
  return planned;
}

AdapterTensor as_adapter_tensor(const AdapterTensor& original,
                                const std::optional<TensorStream>& planned) {
  auto copy = original;
  if (planned)
    copy.tensor = TensorViewAccess::unchecked(planned->dtype, planned->shape, planned->bytes);
  return copy;
}

double measure_error(const Job& job, const update::SplitStrength& factors) {
  if (job.a_result.exact && job.b_result.exact) return 0;
  const auto a = as_adapter_tensor(*job.update.a, job.a);
  const auto b = as_adapter_tensor(*job.update.b, job.b);
  const auto after = update::with_factors(job.update, a, b, 1);
  const double before = update::squared_norm(job.update);
  if (before == 0) return 0;
  double distance = 0;
  if (job.a_result.exact) {
    distance = update::squared_distance(job.update, after, update::Factor::kA, factors.a);
  } else if (job.b_result.exact) {
    distance = update::squared_distance(job.update, after, update::Factor::kB, factors.b);
  } else {
    distance = update::compare_updates(job.update, after).distance;
  }
  // Roundings of F64 itself are below what sums in double can show: report one of them.
  return std::max(std::sqrt(distance / before), update::unit_roundoff(Dtype::kF64));
}

void rewrite_job(Job& job, ScalePlace place) {
  const auto factors = place_strength(job.module->strength(), place);
  const auto groups = job.groups();
  const auto& a = *job.update.a;
  const auto& b = *job.update.b;
  // A has the rows of a group in one run; B has, in each of its rows, the columns of one group.
  const auto width = a.tensor.element_count() / job.rank;
  job.a = rewrite(a, 0, job.new_rank, job.rank / groups * width, job.new_rank / groups * width,
                  factors.a, job.a_result);
  job.b = rewrite(b, 1, job.new_rank / groups, job.rank / groups, job.new_rank / groups, factors.b,
                  job.b_result);
  job.relative_error = measure_error(job, factors);
}

void report_vanished(const std::vector<Job>& jobs, NormalizeReport& report) {
  std::uint64_t vanished = 0;
  std::string_view first;
  for (const auto& job : jobs) {
    const auto here = job.a_result.vanished + job.b_result.vanished;
    if (here > 0 && first.empty()) {
      first = (job.a_result.vanished > 0 ? job.update.a : job.update.b)->key;
    }
    vanished += here;
  }
  if (vanished == 0) return;
  report.findings.push_back({.severity = Severity::kWarning,
                             .rule = "NM-8",
                             .path = {},
                             .key = std::string(first),
                             .message = std::to_string(vanished) +
                                        " values became zero, the first in " + quote(first) +
                                        ": the strength is too small for their dtype",
                             .advice = "--scale split or --scale a may keep them"});
}

Result<void> refuse_overflow(const Adapter& adapter, const std::vector<Job>& jobs) {
  for (const auto& job : jobs) {
    for (const auto& [tensor, result] :
         {std::pair(job.update.a, &job.a_result), std::pair(job.update.b, &job.b_result)}) {
      if (result->overflowed == 0) continue;
      return base::at(base::unsupported(
                          "NM-7", std::to_string(result->overflowed) + " values of tensor " +
                                      quote(tensor->key) + " would become infinite in " +
                                      std::string(dtype_name(tensor->tensor.dtype())) +
                                      " (strength " + Json(job.module->strength()).dump_python(-1) +
                                      "); --scale split or --scale a may have room"),
                      adapter.weights_file());
    }
  }
  return {};
}

container::TensorPlan plan_tensors(const Adapter& adapter, std::vector<Job>& jobs) {
  container::TensorPlan plan;
  plan.reserve(adapter.tensors().size());
  std::vector<std::string_view> replaced;
  for (auto& job : jobs) {
    for (auto* planned : {&job.a, &job.b}) {
      if (!*planned) continue;
      replaced.push_back((planned == &job.a ? job.update.a : job.update.b)->key);
      plan.push_back(**planned);
    }
  }
  std::sort(replaced.begin(), replaced.end());
  for (const auto& tensor : adapter.tensors()) {
    if (std::binary_search(replaced.begin(), replaced.end(), tensor.key)) continue;
    plan.push_back(container::stream_of(tensor.key, tensor.tensor));
  }
  return plan;
}

void sum_up(const std::vector<Job>& jobs, NormalizeReport& report) {
  report.modules = jobs.size();
  for (const auto& job : jobs) {
    if (job.new_rank != job.rank) ++report.padded;
    if (job.module->strength() != 1) ++report.folded;
    report.exact = report.exact && job.a_result.exact && job.b_result.exact;
    if (!(job.relative_error > report.largest_relative_error)) continue;
    report.largest_relative_error = job.relative_error;
    report.worst_module = std::string(job.module->path());
  }
}

}  // namespace

Result<NormalForm> make_normal_form(const Adapter& adapter, const NormalizeOptions& options) {
  FERRULE_TRY(auto jobs, find_jobs(adapter));
  FERRULE_TRY(const auto uniform, uniform_rank(adapter, jobs));
  std::vector<ModuleRank> ranks;
  std::uint64_t highest = 0;
  for (auto& job : jobs) {
    job.new_rank = options.rank == NormalRank::kUniform ? uniform : job.rank;
    ranks.push_back({std::string(job.module->path()), job.new_rank});
    highest = std::max(highest, job.new_rank);
  }
  base::parallel_for(jobs.size(), options.threads,
                     [&](std::size_t i) { rewrite_job(jobs[i], options.scale); });
  FERRULE_CHECK(refuse_overflow(adapter, jobs));
  NormalizeReport report;
  sum_up(jobs, report);
  report_vanished(jobs, report);
  FERRULE_TRY(auto config, normal_config(adapter.config(), ranks));
  report.rank = static_cast<std::uint64_t>(config.rank().value_or(0));
  return NormalForm{plan_tensors(adapter, jobs), std::move(config), std::move(report), highest};
}

}  // namespace ferrule::edit
