// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "merge/method.hpp"
#include "merge/plan.hpp"
#include "model/base_model.hpp"

namespace ferrule::merging {

/// One change of a live parameter. Two with the same number are the same change.
struct Operation {
  std::size_t id = 0;
  StepMaker make;
  /// For a change that puts a tensor in place of the weight: which one.
  std::optional<TensorView> replaces = {};
};

/// The changes of every live parameter, in their order. Parameters that share memory (tied heads)
/// are kept apart as far as an unmerged model keeps them apart: what PEFT loads over the base's own
/// weights goes to all of them, what a layer of an adapter adds goes to one.
class Operations {
 public:
  Operations(const model::BaseIndex& base, const LiveTensors& live);

  /// A change of the parameter alone.
  void add(const std::string& name, StepMaker make, std::optional<TensorView> replaces = {});
  /// A change of the memory that the parameter shares with others.
  void add_to_all(const std::string& name, StepMaker make, std::optional<TensorView> replaces = {});
  /// The same, and whatever comes after it is of no account: the parameter is what it was before.
  void restore(const std::string& name, StepMaker make, std::optional<TensorView> replaces);
  /// What is done to one parameter of the group is done to all (ensure_weight_tying).
  void keep_tied(const std::string& name);

  /// Turns all into steps of tensors on disk.
  Result<void> settle(MergePlan& plan) const;

 private:
  std::vector<std::string> group_of(const std::string& name) const;
  Result<void> settle_one(const std::string& name, const LiveTensor& live, MergePlan& plan) const;
  Result<void> settle_tied(const std::string& holder, MergePlan& plan) const;
  Result<void> add_copy(const std::string& name, const std::string& holder, MergePlan& plan) const;
  Result<void> write_all(MergePlan& plan) const;

  const model::BaseIndex& base_;
  const LiveTensors& live_;
  std::size_t next_ = 0;
  std::map<std::string, std::vector<Operation>> operations_;
  /// Names that share memory, by the one that is on disk.
  std::map<std::string, std::vector<std::string>> groups_;
  std::map<std::string, std::string> holder_;
  std::set<std::string> restored_;
};

}  // namespace ferrule::merging
