// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "base/try.hpp"
#include "merge/base_files.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/row_groups.hpp"

namespace ferrule::merging {
namespace {

/// Of every group, in their order: A [rank, r] and B [rows, rank].
using Pairs = std::vector<std::pair<const AdapterTensor*, const AdapterTensor*>>;

Result<Pairs> pairs_of(const Site& site, std::size_t r) {
  Pairs pairs;
  std::size_t rows = 0;
  for (;;) {
    const auto number = "." + std::to_string(pairs.size());
    if (site.module->find("adamss_A" + number) == nullptr) break;
    FERRULE_TRY(const auto* a, site.need("adamss_A" + number));
    FERRULE_TRY(const auto* b, site.need("adamss_B" + number));
    if (extent(*a, 1) != r || extent(*b, 1) != extent(*a, 0)) {
      return site.refuse("BS-2", "adamss_A" + number + " and adamss_B" + number +
                                     " do not fit each other and adamss_newB");
    }
    rows += extent(*b, 0);
    pairs.emplace_back(a, b);
  }
  if (pairs.empty() || rows != site.out()) {
    return site.refuse("BS-2", "its groups have " + std::to_string(rows) +
                                   " rows together, the layer has " + std::to_string(site.out()));
  }
  return pairs;
}

/// The rows of each group, made when they are needed first.
class Groups {
 public:
  Groups(Site site, Pairs pairs) : site_(std::move(site)), pairs_(std::move(pairs)) {}

  const Pairs& pairs() const noexcept { return pairs_; }

  /// The group of every row. Fails with MG-3 if they are not those that the file has tensors for.
  Result<std::vector<std::size_t>> labels() {
    const std::lock_guard lock(mutex_);
    if (labels_.empty()) {
      FERRULE_TRY(labels_, make());
    }
    return labels_;
  }

 private:
  /// The weight as PEFT loads it, with the bias as one more column.
  Matrix<float> weight() const {
    const auto columns = site_.in() + (site_.has_bias ? 1 : 0);
    Matrix<float> out(site_.out(), columns);
    const auto load = [&](const DiskTensor& from, std::size_t first, float* to, std::size_t count) {
      load_numbers(from.dtype(), from.view.bytes().data() + first * (bit_width(from.dtype()) / 8),
                   to, count);
    };
    std::vector<float> bias(site_.has_bias ? site_.out() : 0);
    if (site_.has_bias) load(*site_.disk_bias, 0, bias.data(), bias.size());
    for (std::size_t i = 0; i < out.rows; ++i) {
      load(*site_.disk, i * site_.in(), out.row(i), site_.in());
      if (site_.has_bias) out.at(i, columns - 1) = bias[i];
    }
    round_numbers(site_.dtype, out.values.data(), out.values.size());
    return out;
  }

  Result<std::vector<std::size_t>> make() const {
    const auto& config = site_.config();
    const auto whole = [&](std::string_view name, std::int64_t usual) {
      return static_cast<std::uint64_t>(
          std::max<std::int64_t>(0, config.integer(name).value_or(usual)));
    };
    if (whole("r", 100) >= site_.out()) {
      return site_.refuse("MG-3",
                          "AdaMSS of that rank takes all singular vectors of the base, so that all "
                          "rows are equally far apart and rounding decides on their groups, which "
                          "no file keeps");
    }
    auto labels =
        row_groups(weight(), whole("r", 100), whole("num_subspaces", 5), whole("random_seed", 0));
    std::vector<std::size_t> counts(pairs_.size());
    bool fits = labels.has_value();
    for (std::size_t i = 0; fits && i < labels->size(); ++i) {
      fits = (*labels)[i] < counts.size();
      if (fits) ++counts[(*labels)[i]];
    }
    for (std::size_t g = 0; fits && g < counts.size(); ++g) {
      fits = counts[g] == extent(*pairs_[g].second, 0);
    }
    if (fits) return *std::move(labels);
    return site_.refuse("MG-3",
                        "the groups that AdaMSS divides the base's rows into have other sizes "
                        "than those in the file: it was trained on another base, or with another "
                        "release of scikit-learn");
  }

  Site site_;
  Pairs pairs_;
  std::mutex mutex_;
  std::vector<std::size_t> labels_;
};

/// Columns `first` to `first + count` of the update: scatter(B A) newB.
StepMaker update_maker(const Site& site, const std::shared_ptr<Groups>& groups,
                       const AdapterTensor& shared, std::size_t first, std::size_t count) {
  const auto r = extent(shared, 0);
  const auto make = [site, groups, &shared, first, count, r](auto& a, auto& b) -> Result<void> {
    using T = typename std::remove_reference_t<decltype(a)>::value_type;
    FERRULE_TRY(const auto labels, groups->labels());
    const auto all = matrix_of<T>(shared);
    a.resize(r * count);
    for (std::size_t k = 0; k < r; ++k) {
      std::copy_n(all.row(k) + first, count, a.begin() + static_cast<std::ptrdiff_t>(k * count));
    }
    b.resize(site.out() * r);
    for (std::size_t g = 0; g < groups->pairs().size(); ++g) {
      const auto& [of_a, of_b] = groups->pairs()[g];
      const auto product = multiply(matrix_of<T>(*of_b), matrix_of<T>(*of_a));
      std::size_t next = 0;
      for (std::size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] != g) continue;
        std::copy_n(product.row(next++), r, b.begin() + static_cast<std::ptrdiff_t>(i * r));
      }
    }
    return {};
  };
  return low_rank_maker({.rank = r,
                         .a =
                             [count](std::size_t) {
                               return Strided{
                                   .tensor = {}, .first = 0, .vector = count, .element = 1};
                             },
                         .b =
                             [r](std::size_t) {
                               return Strided{.tensor = {}, .first = 0, .vector = 1, .element = r};
                             },
                         .make_float = make,
                         .make_double = make,
                         .scale = site.weight,
                         .rounding = DeltaRounding::kDelta});
}

}  // namespace

Result<SiteSteps> plan_adamss(const Site& site) {
  FERRULE_TRY(const auto* shared, site.need("adamss_newB"));
  const auto columns = site.in() + (site.has_bias ? 1 : 0);
  if (extent(*shared, 1) != columns) {
    return site.refuse("BS-2", "adamss_newB has " + std::to_string(extent(*shared, 1)) +
                                   " columns, expected " + std::to_string(columns));
  }
  if (site.undo) {
    return site.refuse("MG-9", "it makes its update from the weight: it cannot be undone");
  }
  const auto is_there = [](const DiskTensor* tensor) {
    return tensor != nullptr && tensor->quantized == nullptr && has_numbers(tensor->dtype());
  };
  if (!is_there(site.disk) || (site.has_bias && !is_there(site.disk_bias))) {
    return site.refuse("MG-10",
                       "the base does not keep its weight in one tensor of numbers, and "
                       "AdaMSS needs it whole; save the base first, with transformers' "
                       "save_pretrained(save_original_format=False)");
  }
  FERRULE_TRY(auto pairs, pairs_of(site, extent(*shared, 0)));
  const auto groups = std::make_shared<Groups>(site, std::move(pairs));
  SiteSteps steps;
  steps.weight.push_back(update_maker(site, groups, *shared, 0, site.in()));
  if (site.has_bias) steps.bias.push_back(update_maker(site, groups, *shared, site.in(), 1));
  return steps;
}

}  // namespace ferrule::merging
