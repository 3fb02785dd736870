// SPDX-License-Identifier: Apache-2.0
// Names of experts and of what is beside them, in transformers 4 and 5.
#include <algorithm>
#include <array>
#include <iterator>

#include "exchange/experts.hpp"

namespace ferrule::exchange {
namespace {

struct Spelling {
  std::string_view name;
  std::string_view part;
};
constexpr std::array<Spelling, 6> kParts = {{{"gate_proj", "gate"},
                                             {"up_proj", "up"},
                                             {"down_proj", "down"},
                                             {"w1", "gate"},
                                             {"w3", "up"},
                                             {"w2", "down"}}};

constexpr std::string_view kOldBlock = "block_sparse_moe";

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  if (const auto at = out.find(from); at != std::string::npos) out.replace(at, from.size(), to);
  return out;
}

}  // namespace

std::optional<ExpertPlace> expert_place(std::string_view path) {
  constexpr std::string_view kExperts = ".experts.";
  const auto at = path.rfind(kExperts);
  if (at == std::string_view::npos) return std::nullopt;
  const auto rest = path.substr(at + kExperts.size());
  const auto dot = rest.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot > 6) return std::nullopt;
  ExpertPlace place;
  for (const char digit : rest.substr(0, dot)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    place.index = place.index * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  const auto name = rest.substr(dot + 1);
  for (const auto& spelling : kParts) {
    if (spelling.name != name) continue;
    place.part = spelling.part;
    place.experts = std::string(path.substr(0, at + kExperts.size() - 1));
    return place;
  }
  return std::nullopt;
}

std::string canonical_path(std::string_view path) {
  std::string out(path);
  if (const auto place = expert_place(path)) {
    out = place->experts + "." + std::to_string(place->index) + "." + std::string(place->part) +
          "_proj";
  } else if (!path.ends_with("block_sparse_moe.gate")) {
    return out;
  }
  return replaced(out, kOldBlock, "mlp");
}

std::string old_path(std::string_view path, std::string_view model_type) {
  if (model_type != "mixtral" && model_type != "phimoe" && model_type != "minimax" &&
      model_type != "minimax_m2" && model_type != "lfm2_moe") {
    return std::string(path);
  }
  if (path.ends_with(".mlp.gate")) return replaced(path, ".mlp.gate", ".block_sparse_moe.gate");
  const auto place = expert_place(path);
  if (!place) return std::string(path);
  const std::string_view name = place->part == "gate" ? "w1" : place->part == "up" ? "w3" : "w2";
  return replaced(place->experts, ".mlp.", ".block_sparse_moe.") + "." +
         std::to_string(place->index) + "." + std::string(name);
}

bool is_peft_parameter(std::string_view path, std::string_view model_type) {
  const auto ends = [&](std::string_view tail) { return path.ends_with(tail); };
  if (ends(".mlp.gate") || ends(".block_sparse_moe.router")) return true;
  if (ends(".mlp.router")) return model_type == "gpt_oss";
  if (ends(".feed_forward.gate")) return model_type == "lfm2_moe";
  if (ends(".feed_forward.router")) return model_type == "jamba";
  // _MODEL_TO_CONVERSION_PATTERN of transformers 5.23, where it is "qwen2_moe".
  constexpr std::array<std::string_view, 24> kClaimed = {"afmoe",
                                                         "cohere2_moe",
                                                         "deepseek_v2",
                                                         "deepseek_v3",
                                                         "deepseek_v32",
                                                         "dots1",
                                                         "ernie4_5_moe",
                                                         "exaone_moe",
                                                         "flex_olmo",
                                                         "glm4_moe",
                                                         "glm4_moe_lite",
                                                         "glm4v_moe",
                                                         "glm_moe_dsa",
                                                         "longcat_flash",
                                                         "hunyuan_v1_moe",
                                                         "mellum",
                                                         "olmoe",
                                                         "qwen3_moe",
                                                         "qwen3_next",
                                                         "qwen3_omni_moe",
                                                         "qwen3_omni_moe_thinker",
                                                         "qwen3_omni_moe_text",
                                                         "solar_open",
                                                         "beam"};
  if (!ends(".gate_proj") && !ends(".up_proj") && !ends(".down_proj")) return false;
  return std::find(kClaimed.begin(), kClaimed.end(), model_type) != kClaimed.end();
}

std::uint64_t expert_count(const BaseFacts& base) {
  const auto* model = base.model();
  if (model == nullptr) return 0;
  for (const auto* field :
       {"num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"}) {
    const auto count = model->integer(field);
    if (count && *count > 0) return static_cast<std::uint64_t>(*count);
  }
  return 0;
}

}  // namespace ferrule::exchange
