// SPDX-License-Identifier: Apache-2.0
#include "ferrule/method_roles.hpp"

#include "peft/method.hpp"

namespace ferrule {

std::vector<MethodRole> method_roles(std::string_view peft_type) {
  std::vector<MethodRole> roles;
  const auto* method = peft::find_method(peft_type);
  if (method == nullptr) return roles;
  if (method->prompt_learning) {
    roles.push_back({"prompt_embeddings", true});
    if (peft_type == "MULTITASK_PROMPT_TUNING") {
      roles.push_back({"prefix_task_cols", true});
      roles.push_back({"prefix_task_rows", true});
    }
    return roles;
  }
  for (const auto& role : method->roles) {
    if (role.saved == peft::Saved::kNo) continue;
    roles.push_back({role.attribute, role.scope == peft::Scope::kModel});
  }
  return roles;
}

}  // namespace ferrule
