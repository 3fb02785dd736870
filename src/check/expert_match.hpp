// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "check/adapter_match.hpp"
#include "check/live_config.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/finding.hpp"
#include "model/base_model.hpp"

namespace ferrule::checks {

/// Modules of an adapter that was made for experts one by one, on a base whose experts are fused.
/// PEFT puts them together at load: gate and up become the inner wrapper of the experts, down the
/// outer one. What it makes of them is played through to the end: names, ranks and strengths.
class ExpertGroups {
 public:
  ExpertGroups(const AdapterConfig& config, const LiveConfig& live, const model::BaseIndex& base,
               const peft::TargetRule& targets)
      : config_(config), live_(live), base_(base), targets_(targets) {}

  struct Member {
    const AdapterModule* module;
    std::size_t place;
    std::size_t source;
  };
  /// The modules that make one fused parameter.
  struct Group {
    std::size_t sources = 1;
    std::vector<Member> members;
  };
  /// The experts of one layer.
  struct Container {
    Group pair;  ///< gate_up_proj, under `base_layer`.
    Group down;  ///< down_proj.
  };

  /// `place` is what settle() names it by.
  void add(const model::TransformersNames::Renamed& renamed, const AdapterModule& module,
           std::size_t place);

  struct Settled {
    std::vector<std::pair<std::size_t, Standing>> standings;
    /// One for each cause, with a count.
    std::vector<Finding> findings;
  };
  /// The verdict on all of them. Fails with kLimitExceeded (CF-22).
  Result<Settled> settle() const;

  /// By the path of the experts.
  const std::map<std::string, Container>& containers() const noexcept { return containers_; }

 private:
  struct Cause {
    std::string code;
    std::string message;
    std::string advice;
  };
  Result<Cause> judge(const std::string& path, const Container& container) const;
  Result<Cause> judge_group(const std::string& parameter, const Group& group) const;
  std::string count_text(const std::string& parameter, const Group& group) const;
  bool fits(const std::string& parameter, const Group& group) const;

  const AdapterConfig& config_;
  const LiveConfig& live_;
  const model::BaseIndex& base_;
  const peft::TargetRule& targets_;
  std::map<std::string, Container> containers_;
};

}  // namespace ferrule::checks
