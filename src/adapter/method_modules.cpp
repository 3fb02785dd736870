// SPDX-License-Identifier: Apache-2.0
#include "adapter/method_modules.hpp"

#include <algorithm>

#include "peft/method.hpp"

namespace ferrule::adapter {

bool is_method_role(const AdapterConfig& config, std::string_view role) {
  const auto* method = peft::find_method(config.peft_type());
  return method != nullptr && !role.empty() &&
         (peft::find_role(*method, peft::Scope::kLayer, role) != nullptr ||
          peft::find_role(*method, peft::Scope::kModel, role) != nullptr);
}

bool has_method_tensors(const AdapterConfig& config, const AdapterModule& module) {
  return !module.path().empty() && std::any_of(module.tensors().begin(), module.tensors().end(),
                                               [&](const AdapterTensor& tensor) {
                                                 return is_method_role(config, tensor.role);
                                               });
}

}  // namespace ferrule::adapter
