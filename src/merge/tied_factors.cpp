// SPDX-License-Identifier: Apache-2.0
#include "merge/tied_factors.hpp"

#include <algorithm>
#include <string_view>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "regex/pattern.hpp"

namespace ferrule::merging {

Result<bool> ties_embedding(const AdapterConfig& config) {
  if (!config.flag("ensure_weight_tying")) return false;
  const auto is_known = [](std::string_view path) {
    const auto name = path.substr(path.rfind('.') + 1);
    return name == "embed_tokens" || name == "lm_head";
  };
  const auto saved = config.modules_to_save();
  if (std::any_of(saved.begin(), saved.end(), is_known)) return true;
  const auto* targets = config.find("target_modules");
  if (targets == nullptr) return false;
  if (const auto* expression = targets->if_string()) {
    FERRULE_TRY(const auto pattern, regex::Pattern::compile(*expression));
    FERRULE_TRY(const bool embedding, pattern.fullmatch("embed_tokens"));
    if (embedding) return true;
    return pattern.fullmatch("lm_head");
  }
  const auto* names = targets->if_array();
  return names != nullptr && std::any_of(names->begin(), names->end(), [&](const Json& name) {
           return name.if_string() != nullptr && is_known(*name.if_string());
         });
}

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
