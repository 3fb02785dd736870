// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "check/adapter_match.hpp"
#include "ferrule/result.hpp"
#include "merge/method.hpp"
#include "model/base_model.hpp"
#include "peft/targets.hpp"

namespace ferrule::merging {

/// A parameter that is adapted itself (target_parameters).
struct ParameterSite {
  std::string name;
  StepMaker make;
};

/// Which parameter of its module each wrapper stands for. PEFT nests a wrapper for each targeted
/// parameter around the module, in the order in which the module registered them: the innermost,
/// whose keys have the most `.base_layer`, is the first.
class ParameterSites {
 public:
  ParameterSites(const model::BaseIndex& base, const LiveTensors& live,
                 const peft::TargetRule& targets, const checks::MatchResult& match);

  /// nullopt if the module is a layer that is adapted as such.
  Result<std::optional<ParameterSite>> find(const Site& site, const AdapterModule& module) const;

 private:
  std::vector<const model::BaseTensor*> targeted(const std::string& live) const;

  const model::BaseIndex& base_;
  const LiveTensors& live_;
  const peft::TargetRule& targets_;
  /// How many wrappers there are around a module, by its live path.
  std::map<std::string, std::size_t> wrappers_;
};

}  // namespace ferrule::merging
