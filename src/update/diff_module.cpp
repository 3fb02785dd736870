// SPDX-License-Identifier: Apache-2.0
#include "update/diff_module.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "adapter/method_modules.hpp"

namespace ferrule::update {
namespace {

std::string tensor_name(const AdapterTensor& tensor) {
  std::string name(tensor.role.empty() ? std::string_view("?") : tensor.role);
  if (!tensor.leaf.empty() && tensor.leaf != "weight") name += "." + std::string(tensor.leaf);
  return name;
}

/// The tensor of the other module that plays the same part.
const AdapterTensor* counterpart(const AdapterModule& module, const AdapterTensor& tensor) {
  for (const auto& other : module.tensors()) {
    if (other.role == tensor.role && other.leaf == tensor.leaf) return &other;
  }
  return nullptr;
}

/// Gathers the parts of one module: its update if it is a product, and every other tensor.
class ModuleJudge {
 public:
  ModuleJudge(const Adapter& a, const AdapterModule& in_a, const Adapter& b,
              const AdapterModule& in_b)
      : a_(a), in_a_(in_a), b_(b), in_b_(in_b) {}

  ModuleComparison judge() {
    if (a_.config().peft_type() != b_.config().peft_type() &&
        (adapter::has_method_tensors(a_.config(), in_a_) ||
         adapter::has_method_tensors(b_.config(), in_b_))) {
      return unmeasured();
    }
    mine_ = low_rank_update(a_.config(), in_a_);
    theirs_ = low_rank_update(b_.config(), in_b_);
    if (mine_.has_value() != theirs_.has_value()) mine_.reset(), theirs_.reset();
    if (mine_ && !add_update()) return shape();
    for (const auto& tensor : in_a_.tensors()) {
      if (mine_ && mine_->uses(tensor)) continue;
      if (!add_tensor(tensor)) return shape();
    }
    for (const auto& tensor : in_b_.tensors()) {
      if (theirs_ && theirs_->uses(tensor)) continue;
      if (counterpart(in_a_, tensor) != nullptr) continue;
      out_.others.add({.aa = 0,
                       .bb = squared_norm(tensor.tensor),
                       .ab = 0,
                       .distance = squared_norm(tensor.tensor)});
      differs_ = true;
    }
    return finish();
  }

 private:
  ModuleComparison unmeasured() {
    out_.diff.measure.verdict = DiffVerdict::kDifferent;
    out_.unmeasured = true;
    return std::move(out_);
  }

  ModuleComparison shape() {
    out_ = {};
    out_.diff.measure.verdict = DiffVerdict::kShape;
    out_.unmeasured = true;
    return std::move(out_);
  }

  bool add_update() {
    if (!same_shape(*mine_, *theirs_)) return false;
    const auto compared = compare(*mine_, *theirs_);
    out_.updates = compared.squares;
    out_.tolerance = compared.tolerance;
    identical_ = identical_ && mine_->strength == theirs_->strength &&
                 compare(mine_->a->tensor, theirs_->a->tensor).same_bytes &&
                 compare(mine_->b->tensor, theirs_->b->tensor).same_bytes;
    return true;
  }

  /// False if the shapes differ.
  bool add_tensor(const AdapterTensor& tensor) {
    const auto* other = counterpart(in_b_, tensor);
    if (other == nullptr) {
      const double square = squared_norm(tensor.tensor);
      out_.others.add({.aa = square, .bb = 0, .ab = 0, .distance = square});
      differs_ = true;
      return true;
    }
    if (!same_shape(tensor.tensor, other->tensor)) return false;
    const auto compared = compare(tensor.tensor, other->tensor);
    identical_ = identical_ && compared.same_bytes;
    if (!compared.squares) {
      if (!compared.same_bytes) differs_ = out_.unmeasured = true;
      return true;
    }
    out_.others.add(*compared.squares);
    const auto& squares = *compared.squares;
    if (!(squares.distance <= compared.tolerance * compared.tolerance * squares.aa)) {
      differs_ = true;
    }
    return true;
  }

  /// b over a if all tensors are the same and the method multiplies them by its strength.
  double strength_ratio() const {
    if (mine_ || !adapter::has_method_tensors(a_.config(), in_a_)) return 1;
    return in_b_.strength() / in_a_.strength();
  }

  ModuleComparison finish() {
    const auto update = measure_squares(out_.updates, out_.tolerance, true);
    const auto rest = measure_squares(out_.others, 0, false);
    out_.non_finite = !std::isfinite(out_.updates.aa + out_.updates.bb + out_.updates.distance +
                                     out_.others.aa + out_.others.bb + out_.others.distance);
    auto& measure = out_.diff.measure;
    measure = mine_ ? update : rest;
    if (mine_ && !out_.others.zero()) {
      measure.relative_distance = std::max(update.relative_distance, rest.relative_distance);
    }
    const double ratio = strength_ratio();
    if (out_.non_finite) {
      measure = {.verdict = identical_ && ratio == 1 ? DiffVerdict::kSame : DiffVerdict::kDifferent,
                 .factor = {},
                 .relative_distance = {},
                 .cosine = {}};
    } else if (differs_ || (mine_ && update.verdict == DiffVerdict::kDifferent)) {
      measure.verdict = DiffVerdict::kDifferent;
      measure.factor.reset();
    } else if (mine_) {
      // A multiple of the update with other tensors unchanged is not a multiple of the whole.
      const bool whole = update.verdict == DiffVerdict::kSame || out_.others.zero();
      measure.verdict = whole ? update.verdict : DiffVerdict::kDifferent;
      if (!whole) measure.factor.reset();
    } else {
      judge_by_strength(ratio, measure);
    }
    return std::move(out_);
  }

  void judge_by_strength(double ratio, DiffMeasure& measure) {
    measure.verdict = DiffVerdict::kSame;
    if (out_.others.zero()) return;
    measure.factor = 1;
    if (ratio == 1) return;
    // Tensors are equal, so their update by any method is a multiple.
    const bool numeric = std::isfinite(ratio);
    measure.verdict = numeric ? DiffVerdict::kScaled : DiffVerdict::kDifferent;
    measure.factor = numeric ? std::optional(ratio) : std::nullopt;
    measure.relative_distance = numeric ? std::optional(std::fabs(1 - ratio)) : std::nullopt;
    out_.others.bb *= ratio * ratio;
    out_.others.ab *= ratio;
    out_.others.distance = out_.others.aa * (1 - ratio) * (1 - ratio);
  }

  const Adapter& a_;
  const AdapterModule& in_a_;
  const Adapter& b_;
  const AdapterModule& in_b_;
  std::optional<LowRankUpdate> mine_, theirs_;
  ModuleComparison out_;
  bool identical_ = true;
  bool differs_ = false;
};

ModuleComparison judge_alone(const Adapter& adapter, const AdapterModule& module, bool in_a) {
  ModuleComparison out;
  out.diff.measure.verdict = in_a ? DiffVerdict::kOnlyA : DiffVerdict::kOnlyB;
  const auto update = low_rank_update(adapter.config(), module);
  const auto place = [in_a](double square) {
    return Squares{.aa = in_a ? square : 0, .bb = in_a ? 0 : square, .ab = 0, .distance = square};
  };
  if (update) out.updates = place(squared_norm(*update));
  for (const auto& tensor : module.tensors()) {
    if (!update || !update->uses(tensor)) out.others.add(place(squared_norm(tensor.tensor)));
  }
  out.non_finite = !std::isfinite(out.updates.distance + out.others.distance);
  if (in_a && out.updates.aa + out.others.aa > 0) out.diff.measure.relative_distance = 1;
  return out;
}

TensorDiff tensor_diff(const AdapterTensor* a, const AdapterTensor* b) {
  TensorDiff diff;
  diff.name = tensor_name(a != nullptr ? *a : *b);
  if (a != nullptr) {
    diff.dtype_a = a->tensor.dtype();
    diff.shape_a.assign(a->tensor.shape().begin(), a->tensor.shape().end());
  }
  if (b != nullptr) {
    diff.dtype_b = b->tensor.dtype();
    diff.shape_b.assign(b->tensor.shape().begin(), b->tensor.shape().end());
  }
  if (a == nullptr || b == nullptr) {
    diff.measure.verdict = a != nullptr ? DiffVerdict::kOnlyA : DiffVerdict::kOnlyB;
    return diff;
  }
  if (!same_shape(a->tensor, b->tensor)) {
    diff.measure.verdict = DiffVerdict::kShape;
    return diff;
  }
  const auto compared = compare(a->tensor, b->tensor);
  if (compared.squares) {
    diff.measure = measure_squares(*compared.squares, compared.tolerance, true);
    if (std::isfinite(compared.largest_difference)) {
      diff.largest_difference = compared.largest_difference;
    }
  } else {
    diff.measure.verdict = DiffVerdict::kDifferent;
  }
  if (compared.same_bytes) diff.measure.verdict = DiffVerdict::kSame;
  return diff;
}

void add_tensors(const AdapterModule* a, const AdapterModule* b, ModuleDiff& diff) {
  if (a != nullptr) {
    for (const auto& tensor : a->tensors()) {
      diff.tensors.push_back(
          tensor_diff(&tensor, b == nullptr ? nullptr : counterpart(*b, tensor)));
    }
  }
  if (b == nullptr) return;
  for (const auto& tensor : b->tensors()) {
    if (a != nullptr && counterpart(*a, tensor) != nullptr) continue;
    diff.tensors.push_back(tensor_diff(nullptr, &tensor));
  }
}

}  // namespace

ModuleComparison compare_modules(const Adapter& a, const AdapterModule* in_a, const Adapter& b,
                                 const AdapterModule* in_b, bool list_tensors) {
  auto out = in_a == nullptr   ? judge_alone(b, *in_b, false)
             : in_b == nullptr ? judge_alone(a, *in_a, true)
                               : ModuleJudge(a, *in_a, b, *in_b).judge();
  out.diff.path = std::string((in_a != nullptr ? in_a : in_b)->path());
  if (list_tensors) add_tensors(in_a, in_b, out.diff);
  return out;
}

}  // namespace ferrule::update
