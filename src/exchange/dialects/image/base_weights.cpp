// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/base_weights.hpp"

#include <utility>

#include "base/try.hpp"

namespace ferrule::exchange {

Result<std::optional<TensorView>> BaseWeights::find(const std::string& component,
                                                    const std::string& name) {
  const bool below = base_.component(component) != nullptr && !component.empty();
  const auto* facts = below ? base_.component(component) : base_.model();
  if (facts == nullptr || facts->modules.empty()) return std::optional<TensorView>();
  const std::string key = below ? component : std::string();
  auto found = opened_.find(key);
  if (found == opened_.end()) {
    FERRULE_TRY(auto weights,
                Checkpoint::open(below ? base_.path / component : base_.path, options_));
    found = opened_.emplace(key, std::move(weights)).first;
  }
  return found->second.find(name);
}

}  // namespace ferrule::exchange
