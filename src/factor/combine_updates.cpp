// SPDX-License-Identifier: Apache-2.0
#include "factor/combine_updates.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/try.hpp"
#include "factor/multiply.hpp"
#include "factor/rank_rule.hpp"
#include "factor/task_arithmetic.hpp"
#include "ferrule/text.hpp"
#include "io/save_control.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::factor {
namespace {

constexpr std::size_t kStretch = 512;

bool is_on_factors(CombineMethod method) {
  return method == CombineMethod::kLinear || method == CombineMethod::kTies ||
         method == CombineMethod::kDareLinear || method == CombineMethod::kDareTies ||
         method == CombineMethod::kMagnitudePrune;
}

/// A module on its way.
struct Made {
  std::optional<FactorPair> pair;
  std::optional<TensorStream> bias;
  FactoredModule report;
};

std::size_t rank_sum(const CombineModule& module) {
  std::size_t rank = 0;
  for (const auto& input : module.inputs) rank += input.module->rank();
  return rank;
}

void concatenate(const CombineModule& module, FactorPair& pair) {
  for (std::size_t part = 0; part < module.layout.parts; ++part) {
    const auto terms = module.terms(part);
    for (std::size_t first = 0; first < module.layout.in; first += kStretch) {
      const auto panel = stacked_a(terms, first, std::min(kStretch, module.layout.in - first));
      for (std::size_t v = 0; v < panel.rows; ++v) pair.put_a(part, v, first, panel.row(v));
    }
    for (std::size_t first = 0; first < module.layout.out; first += kStretch) {
      const auto panel = stacked_b(terms, first, std::min(kStretch, module.layout.out - first));
      for (std::size_t k = 0; k < panel.rows; ++k) pair.put_b(part, first + k, 0, panel.row(k));
    }
  }
}

double squared_sum(const CombineModule& module) {
  double sum = 0;
  for (std::size_t part = 0; part < module.layout.parts; ++part) {
    sum += squared_norm(module.terms(part));
  }
  return sum;
}

/// |sum of the updates - written|^2.
double squared_distance(const CombineModule& module, const FactorPair& pair) {
  double sum = 0;
  for (std::size_t part = 0; part < module.layout.parts; ++part) {
    auto terms = module.terms(part);
    terms.push_back({.factor = -1, .a = pair.a_vectors(part), .b = pair.b_vectors(part)});
    sum += squared_norm(terms);
  }
  return sum;
}

/// All values of a factor as F32, which is what PEFT computes with.
std::vector<float> floats_of(const TensorView& tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.element_count()));
  update::read_values(tensor, 0, values);
  return {values.begin(), values.end()};
}

/// One factor of PEFT's methods on A and B apart.
std::vector<float> merge_factor(const CombineModule& module, const TaskRule& rule, bool of_a,
                                TorchRandom& random) {
  std::vector<std::vector<float>> tasks;
  std::vector<float> weights;
  for (const auto& input : module.inputs) {
    const auto& update = input.module->update;
    tasks.push_back(floats_of((of_a ? update.a : update.b)->tensor));
    const double factor = input.factor();
    const double root = std::sqrt(std::fabs(factor));
    weights.push_back(static_cast<float>(of_a && factor < 0 ? -root : root));
  }
  return merge_tasks(rule, tasks, weights, random);
}

/// The two factors are laid out as those of the inputs, whose ranks are equal.
void combine_factors(const CombineModule& module, const TaskRule& rule, TorchRandom& random,
                     FactorPair& pair) {
  const auto a = merge_factor(module, rule, true, random);
  const auto b = merge_factor(module, rule, false, random);
  pair.set_all(a, b);
}

Matrix dense(const Term& term) {
  const Term terms[] = {term};
  const auto b = stacked_b(terms, 0, term.b.length);
  const auto a = stacked_a(terms, 0, term.a.length);
  Matrix product(b.rows, a.columns);
  multiply(b.values.data(), b.columns, a.values.data(), a.columns, product.values.data(),
           product.columns, b.rows, b.columns, a.columns);
  return product;
}

/// What a method makes of the updates, one matrix for each part.
std::vector<Decomposed> combine_dense(const CombineModule& module, const TaskRule& rule,
                                      TorchRandom& random) {
  const auto size = module.layout.in * module.layout.out;
  std::vector<std::vector<float>> tasks;
  std::vector<float> weights;
  for (const auto& input : module.inputs) {
    auto& task = tasks.emplace_back();
    for (const auto& block : input.module->update.blocks) {
      const auto update =
          dense({.factor = input.module->update.strength, .a = block.a, .b = block.b});
      task.insert(task.end(), update.values.begin(), update.values.end());
    }
    weights.push_back(static_cast<float>(input.source->weight));
  }
  const auto merged = merge_tasks(rule, tasks, weights, random);
  tasks.clear();
  std::vector<Decomposed> parts;
  for (std::size_t part = 0; part < module.layout.parts; ++part) {
    Matrix matrix(module.layout.out, module.layout.in);
    std::copy_n(merged.begin() + static_cast<std::ptrdiff_t>(part * size), size,
                matrix.values.begin());
    parts.push_back(Decomposed::of(matrix));
  }
  return parts;
}

std::optional<TensorStream> combine_biases(const CombineModule& module, bool wanted) {
  if (!wanted) return std::nullopt;
  std::vector<double> sum(module.layout.is_experts ? module.layout.out
                                                   : module.layout.out * module.layout.parts);
  for (const auto& input : module.inputs) {
    const auto* bias = input.module->bias;
    if (bias == nullptr || bias->tensor.element_count() != sum.size()) continue;
    const auto values = update::values_of(bias->tensor);
    for (std::size_t i = 0; values && i < sum.size(); ++i) sum[i] += input.factor() * (*values)[i];
  }
  auto bytes = std::make_shared<std::vector<std::byte>>(sum.size() * bit_width(module.dtype) / 8);
  write_values(module.dtype, sum, bytes->data());
  auto key = module.layout.b_key();
  key.replace(key.size() - 6, 6, "bias");
  return TensorStream{.name = std::move(key),
                      .dtype = module.dtype,
                      .shape = {sum.size()},
                      .bytes = *bytes,
                      .owner = bytes,
                      .read = {}};
}

class Work {
 public:
  Work(const std::vector<CombineModule>& modules, const CombineOptions& options)
      : modules_(modules),
        options_(options),
        rule_(task_rule(options.method, options.density.value_or(1))),
        random_(options.seed),
        made_(modules.size()) {
    for (const auto& module : modules) {
      for (const auto& input : module.inputs) {
        largest_ = std::max(largest_, module.layout.config_rank(input.module->rank()));
        has_bias_ = has_bias_ || input.module->bias != nullptr;
      }
    }
  }

  void run() {
    // Draws are made in the order of the modules.
    const unsigned threads = rule_.pruning == Pruning::kRandom ? 1 : options_.threads;
    base::parallel_for(modules_.size(), threads, [this](std::size_t i) {
      if (!io::saves_canceled()) make(modules_[i], made_[i]);
    });
  }

  std::vector<Made>& made() { return made_; }

 private:
  void make(const CombineModule& module, Made& made) {
    made.report.path = module.path;
    for (const auto& input : module.inputs) {
      made.report.rank_before =
          std::max(made.report.rank_before, module.layout.config_rank(input.module->rank()));
    }
    if (options_.method == CombineMethod::kCat) {
      made.pair.emplace(module.layout, rank_sum(module), module.dtype);
      concatenate(module, *made.pair);
      made.report.norm = std::sqrt(squared_sum(module));
    } else if (is_on_factors(options_.method)) {
      made.pair.emplace(module.layout, module.inputs.front().module->rank(), module.dtype);
      combine_factors(module, rule_, random_, *made.pair);
      made.report.norm = std::sqrt(squared_sum(module));
      const double distance = std::sqrt(squared_distance(module, *made.pair));
      made.report.relative_error = made.report.norm > 0 ? distance / made.report.norm : 0;
    } else {
      cut(module, made);
    }
    made.report.rank = module.layout.config_rank(made.pair->rank());
    made.bias = combine_biases(module, has_bias_ && !module.layout.is_embedding);
  }

  void cut(const CombineModule& module, Made& made) {
    std::vector<Decomposed> parts;
    if (options_.method == CombineMethod::kSvd) {
      for (std::size_t part = 0; part < module.layout.parts; ++part) {
        parts.push_back(Decomposed::of(module.terms(part), module.layout.out, module.layout.in));
      }
    } else {
      parts = combine_dense(module, rule_, random_);
    }
    auto rank = static_cast<std::size_t>(options_.rank.value_or(largest_));
    if (!module.layout.is_experts) rank = std::max<std::size_t>(rank / module.layout.parts, 1);
    rank = choose_rank({.rank = rank, .energy = {}, .max_error = {}}, parts);
    made.pair.emplace(module.layout, rank, module.dtype);
    for (std::size_t part = 0; part < parts.size(); ++part) {
      parts[part].write(rank, part, *made.pair);
    }
    auto kept = kept_of(parts, rank);
    made.report.norm = kept.norm;
    made.report.relative_error = kept.relative_error;
    made.report.singular_values = std::move(kept.values);
  }

  const std::vector<CombineModule>& modules_;
  const CombineOptions& options_;
  TaskRule rule_;
  TorchRandom random_;
  std::uint64_t largest_ = 1;
  bool has_bias_ = false;
  std::vector<Made> made_;
};

void warn_of_cross_terms(CombineMethod method, CombineReport& report) {
  if (!is_on_factors(method)) return;
  report.findings.push_back(
      {.severity = Severity::kWarning,
       .rule = "FA-8",
       .path = {},
       .key = {},
       .message = "method " + std::string(combine_method_name(method)) +
                  " combines A and B separately: the result is " +
                  Json(report.relative_error).dump_python(-1) +
                  " of its norm away from the true sum of the updates",
       .advice = "--method cat is exact, --method svd the best of a given rank"});
}

}  // namespace

Result<void> check_ranks(const std::vector<CombineModule>& modules, const CombineOptions& options) {
  if (!is_on_factors(options.method)) return {};
  for (const auto& module : modules) {
    const auto& first = module.inputs.front();
    for (const auto& input : module.inputs) {
      if (input.module->rank() == first.module->rank()) continue;
      return base::at(
          base::unsupported("FA-6",
                            "module " + quote(module.path) + " has rank " +
                                std::to_string(input.module->rank()) + ", but " +
                                std::to_string(first.module->rank()) + " in " +
                                quote(first.source->adapter.directory().string()) + ": method " +
                                std::string(combine_method_name(options.method)) +
                                " needs equal ranks (cat, svd and the _svd methods do not)"),
          input.source->adapter.weights_file());
    }
  }
  return {};
}

Result<CombinedUpdates> combine_updates(const std::vector<CombineModule>& modules,
                                        const CombineOptions& options) {
  Work work(modules, options);
  work.run();
  FERRULE_CHECK(io::unless_canceled({}));
  CombinedUpdates combined;
  auto& report = combined.report;
  double square = 0;
  double distance = 0;
  for (auto& made : work.made()) {
    if (made.pair->overflowed() > 0) {
      return base::unsupported("FA-5", "the combined factors of module " + quote(made.report.path) +
                                           " have values that are not finite");
    }
    square += made.report.norm * made.report.norm;
    distance += std::pow(made.report.norm * made.report.relative_error, 2);
    for (auto stream : {made.pair->a(), made.pair->b()}) {
      report.parameters += stream.bytes.size() * 8 / bit_width(stream.dtype);
      combined.tensors.push_back(std::move(stream));
    }
    if (made.bias) combined.tensors.push_back(*std::move(made.bias));
    report.modules.push_back(std::move(made.report));
  }
  report.relative_error = square > 0 ? std::sqrt(distance / square) : 0;
  warn_of_cross_terms(options.method, report);
  return combined;
}

}  // namespace ferrule::factor
