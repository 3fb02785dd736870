// SPDX-License-Identifier: Apache-2.0
#include "merge/operations.hpp"

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "merge/model_text.hpp"

namespace ferrule::merging {
namespace {

bool same_bytes(const TensorView& a, const TensorView& b) {
  return a.dtype() == b.dtype() &&
         std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end()) &&
         std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end());
}

/// Changes from the last one on that replaces everything before it.
std::vector<const Operation*> effective(const std::vector<Operation>* list) {
  std::vector<const Operation*> out;
  if (list == nullptr) return out;
  for (const auto& operation : *list) {
    if (operation.replaces) out.clear();
    out.push_back(&operation);
  }
  return out;
}

bool same_effect(const std::vector<Operation>* a, const std::vector<Operation>* b) {
  const auto mine = effective(a);
  const auto theirs = effective(b);
  return std::equal(mine.begin(), mine.end(), theirs.begin(), theirs.end(),
                    [](const Operation* x, const Operation* y) {
                      return x->id == y->id ||
                             (x->replaces && y->replaces && same_bytes(*x->replaces, *y->replaces));
                    });
}

}  // namespace

Operations::Operations(const model::BaseIndex& base, const LiveTensors& live)
    : base_(base), live_(live) {
  for (const auto& [name, kept] : base.tied) {
    // The one that holds the memory may itself be called by another name.
    const auto* holder = base.find(kept);
    const std::string root = holder == nullptr ? kept : holder->name;
    if (live.find(root) == nullptr || name == root) continue;
    auto& group = groups_[root];
    if (group.empty()) group.push_back(root);
    if (std::find(group.begin(), group.end(), name) == group.end()) group.push_back(name);
    holder_[name] = root;
    holder_[root] = root;
  }
}

std::vector<std::string> Operations::group_of(const std::string& name) const {
  const auto found = holder_.find(name);
  if (found == holder_.end()) return {name};
  return groups_.at(found->second);
}

void Operations::add(const std::string& name, StepMaker make, std::optional<TensorView> replaces) {
  if (restored_.contains(name)) return;
  operations_[name].push_back({next_++, std::move(make), std::move(replaces)});
}

void Operations::restore(const std::string& name, StepMaker make,
                         std::optional<TensorView> replaces) {
  if (restored_.contains(name)) return;
  add_to_all(name, std::move(make), std::move(replaces));
  for (const auto& member : group_of(name)) restored_.insert(member);
}

void Operations::add_to_all(const std::string& name, StepMaker make,
                            std::optional<TensorView> replaces) {
  for (const auto& member : group_of(name)) {
    if (!restored_.contains(member)) operations_[member].push_back({next_, make, replaces});
  }
  ++next_;
}

void Operations::keep_tied(const std::string& name) {
  const auto group = group_of(name);
  if (group.size() < 2) return;
  // The first that is changed decides: the embedding, or the head if that alone is adapted.
  const auto changed = std::find_if(group.begin(), group.end(), [&](const std::string& member) {
    return operations_.contains(member);
  });
  if (changed == group.end()) return;
  const auto list = operations_.at(*changed);
  for (const auto& member : group) operations_[member] = list;
}

Result<void> Operations::settle_one(const std::string& name, const LiveTensor& live,
                                    MergePlan& plan) const {
  const auto found = operations_.find(name);
  if (found == operations_.end()) return {};
  if (!live.is_known) {
    return base::unsupported("MG-10", "the base keeps " + quote(name) +
                                          " in a layout that Ferrule does not merge into; save the "
                                          "base first, with transformers' "
                                          "save_pretrained(save_original_format=False)");
  }
  for (const auto& part : live.parts) {
    auto& tensor = plan.changed[part.disk];
    tensor.name = part.disk->name;
    tensor.source = part.disk;
    for (const auto& operation : found->second) {
      FERRULE_TRY(auto step, operation.make({live, part}));
      if (step) tensor.steps.push_back(std::move(step));
    }
  }
  return {};
}

/// The others of a group that has one tensor on disk: each gets its own if it became different.
Result<void> Operations::settle_tied(const std::string& holder, MergePlan& plan) const {
  const auto list = [&](const std::string& name) {
    const auto found = operations_.find(name);
    return found == operations_.end() ? nullptr : &found->second;
  };
  for (const auto& name : groups_.at(holder)) {
    if (name == holder) continue;
    const bool same = same_effect(list(holder), list(name));
    if (!same) plan.unties = true;
    if (same || live_.find(name) != nullptr) continue;  // On disk itself, and settled as such.
    FERRULE_CHECK(add_copy(name, holder, plan));
  }
  return {};
}

/// The tensor of that name, which until now was `holder` itself.
Result<void> Operations::add_copy(const std::string& name, const std::string& holder,
                                  MergePlan& plan) const {
  const auto* live = live_.find(holder);
  if (live->parts.size() != 1 || !live->parts.front().is_whole) {
    return base::unsupported("MG-10", "the base keeps " + quote(holder) + " in several tensors");
  }
  TensorPlan tensor{.name = name, .source = live->parts.front().disk, .steps = {}};
  const auto found = operations_.find(name);
  if (found != operations_.end()) {
    for (const auto& operation : found->second) {
      FERRULE_TRY(auto step, operation.make({*live, live->parts.front()}));
      tensor.steps.push_back(std::move(step));
    }
  }
  plan.added.push_back(std::move(tensor));
  return {};
}

/// With tie_word_embeddings false nothing is tied any more, so that all others of a group need a
/// tensor, too: an encoder-decoder's embeddings beside its head.
Result<void> Operations::write_all(MergePlan& plan) const {
  const auto* type = base_.config.find("model_type");
  const bool forced = type != nullptr && type->if_string() != nullptr &&
                      ties_whatever_the_config(*type->if_string());
  if (!plan.unties || forced) return {};
  for (const auto& [holder, group] : groups_) {
    for (const auto& name : group) {
      const bool there = name == holder || live_.find(name) != nullptr ||
                         std::any_of(plan.added.begin(), plan.added.end(),
                                     [&](const TensorPlan& added) { return added.name == name; });
      if (!there) FERRULE_CHECK(add_copy(name, holder, plan));
    }
  }
  return {};
}

Result<void> Operations::settle(MergePlan& plan) const {
  for (const auto& [name, live] : live_.all()) FERRULE_CHECK(settle_one(name, live, plan));
  for (const auto& [holder, group] : groups_) FERRULE_CHECK(settle_tied(holder, plan));
  return write_all(plan);
}

}  // namespace ferrule::merging
