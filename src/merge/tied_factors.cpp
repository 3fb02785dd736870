// SPDX-License-Identifier: Apache-2.0
#include "merge/tied_factors.hpp"

#include "merge/dense.hpp"

namespace ferrule::merging {

bool tied_factors_agree(const checks::MatchResult& match) {
  const AdapterTensor* embedding[2] = {nullptr, nullptr};
  const AdapterTensor* head[2] = {nullptr, nullptr};
  for (const auto& module : match.modules) {
    const bool is_head = module.live.ends_with("lm_head") || module.live.ends_with("embed_out") ||
                         module.live.ends_with("proj_out");
    if (const auto* a = module.module->find("lora_embedding_A")) {
      embedding[0] = a;
      embedding[1] = module.module->find("lora_embedding_B");
    } else if (is_head && module.module->find("lora_A") != nullptr) {
      head[0] = module.module->find("lora_A");
      head[1] = module.module->find("lora_B");
    }
  }
  if (embedding[0] == nullptr || embedding[1] == nullptr || head[0] == nullptr ||
      head[1] == nullptr) {
    return true;
  }
  // The head's A is the embedding's B, transposed, and the other way round.
  const auto transposes = [](const AdapterTensor& x, const AdapterTensor& y) {
    const auto a = matrix_of<float>(x);
    const auto b = transposed(matrix_of<float>(y));
    return a.rows == b.rows && a.values == b.values;
  };
  return transposes(*head[0], *embedding[1]) && transposes(*head[1], *embedding[0]);
}

}  // namespace ferrule::merging
