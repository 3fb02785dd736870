// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "check/adapter_match.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/finding.hpp"
#include "model/base_model.hpp"

namespace ferrule::checks {

/// Modules of an adapter that was made for experts one by one, on a base whose experts are fused.
/// PEFT puts them together at load where a whole set is there: every expert, and every source of
/// the fused parameter (gate and up).
class ExpertGroups {
 public:
  explicit ExpertGroups(const model::BaseIndex& base) : base_(base) {}

  /// `place` is what settle() names it by.
  void add(const model::TransformersNames::Renamed& renamed, const AdapterModule& module,
           std::size_t place);

  struct Settled {
    std::size_t place;
    Standing standing;
    std::optional<Finding> finding;
  };
  /// The verdict on each, in no order.
  std::vector<Settled> settle() const;

 private:
  struct Member {
    const AdapterModule* module;
    std::size_t place;
    std::size_t source;
  };
  struct Group {
    std::size_t sources = 1;
    std::vector<Member> members;
  };
  void settle_group(const std::string& target, const Group& group, std::vector<Settled>& out) const;

  const model::BaseIndex& base_;
  std::map<std::string, Group> groups_;
};

}  // namespace ferrule::checks
