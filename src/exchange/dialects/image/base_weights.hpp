// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>

#include "exchange/base_facts.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule::exchange {

/// The weights that --base has, opened when the first one of a component is asked for.
class BaseWeights {
 public:
  /// Both outlive this.
  BaseWeights(const BaseFacts& base, const OpenOptions& options) : base_(base), options_(options) {}

  /// A tensor of a component, as long as this lives; nullopt if the base has no weights, or not
  /// that one. Fails as Checkpoint::open() does.
  Result<std::optional<TensorView>> find(const std::string& component, const std::string& name);

 private:
  const BaseFacts& base_;
  const OpenOptions& options_;
  std::map<std::string, Checkpoint> opened_;
};

}  // namespace ferrule::exchange
