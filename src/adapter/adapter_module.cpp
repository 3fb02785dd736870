// SPDX-License-Identifier: Apache-2.0
#include "ferrule/adapter_module.hpp"

namespace ferrule {

const AdapterTensor* AdapterModule::find(std::string_view role) const& noexcept {
  const auto dot = role.find('.');
  const auto name = role.substr(0, dot);
  const auto leaf = dot == std::string_view::npos ? std::string_view() : role.substr(dot + 1);
  const AdapterTensor* first = nullptr;
  for (const auto& tensor : tensors_) {
    if (tensor.role != name) continue;
    if (tensor.leaf == leaf || (leaf.empty() && tensor.leaf == "weight")) return &tensor;
    if (leaf.empty() && first == nullptr) first = &tensor;
  }
  return first;
}

std::optional<TensorView> AdapterModule::tensor(std::string_view role) const noexcept {
  const auto* found = find(role);
  return found == nullptr ? std::nullopt : std::optional(found->tensor);
}

}  // namespace ferrule
