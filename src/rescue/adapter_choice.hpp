// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "container/tensor_plan.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/adapter_module.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/model_facts.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"
#include "peft/method.hpp"
#include "peft/selection.hpp"
#include "peft/state_layout.hpp"

namespace ferrule::rescues {

/// Which tensors of a state are an adapter, by names and shapes alone: no value of a layer's tensor
/// is read.
class AdapterChoice {
 public:
  /// `wanted` is the adapter's name, or empty. `where` is what findings name. All must outlive it.
  AdapterChoice(const AdapterConfig& config, const std::string& wanted,
                const std::filesystem::path& where)
      : config_(config), wanted_(wanted), where_(where) {}

  /// Fails with RS-10, RS-11 or as PEFT's rules of selection do (KY). The result points into
  /// `state`.
  Result<peft::Selection> select(const TensorSource& state);

  /// After select(): the adapter's name in the state; "default" if its tensors have none.
  const std::string& name() const noexcept { return name_; }

  /// The AD rules, and RS-12. `config` is the one of the selection. Adds what is not an error.
  Result<void> judge(const AdapterConfig& config, const container::TensorPlan& tensors,
                     std::vector<Finding>& findings) const;

 private:
  Result<std::string> choose_name() const;
  std::set<std::string, std::less<>> names() const;
  Error no_adapter(std::size_t count) const;
  Result<void> check_layers(const container::TensorPlan& tensors) const;
  void check_targets(std::span<const AdapterModule> modules, std::vector<Finding>& findings) const;
  void check_evenness(std::span<const AdapterModule> modules, std::vector<Finding>& findings) const;

  const AdapterConfig& config_;
  const std::string& wanted_;
  const std::filesystem::path& where_;
  const peft::Method* method_ = nullptr;
  std::optional<peft::StateLayout> layout_;
  std::string name_;
};

}  // namespace ferrule::rescues
