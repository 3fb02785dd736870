// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/component_names.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "exchange/dialects/image/model_names.hpp"

namespace ferrule::exchange {

std::string_view component_of_class(std::string_view class_name) {
  if (class_name.starts_with("UNet")) return "unet";
  if (class_name.find("Transformer") != std::string_view::npos && class_name.ends_with("Model") &&
      class_name.find("DModel") != std::string_view::npos) {
    return "transformer";
  }
  if (class_name.starts_with("CLIPText")) return "text_encoder";
  return {};
}

bool is_component(std::string_view name) {
  constexpr std::string_view kNames[] = {"unet",           "transformer",     "transformer_2",
                                         "text_encoder",   "text_encoder_2",  "text_encoder_3",
                                         "text_encoder_4", "prior",           "image_encoder",
                                         "connectors",     "text_conditioner"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

std::string_view component_of_path(std::string_view path) {
  constexpr std::pair<std::string_view, std::string_view> kHeads[] = {
      {"down_blocks", "unet"},
      {"up_blocks", "unet"},
      {"mid_block", "unet"},
      {"transformer_blocks", "transformer"},
      {"single_transformer_blocks", "transformer"},
      {"text_model.encoder.layers", "text_encoder"},
      {"encoder.layers", "text_encoder"}};
  for (const auto& [head, component] : kHeads) {
    if (!path.starts_with(head) || path.size() == head.size()) continue;
    const char next = path[head.size()];
    if (next == '.' || next == '_') return component;
  }
  return {};
}

std::string_view component_of_module(std::string_view path) {
  const auto component = component_of_path(path);
  if (!component.empty()) return component;
  return is_transformer_path(path) ? "transformer" : "";
}

std::string modern_path(std::string_view path, std::string_view component) {
  std::string out(path);
  if (const auto at = out.find(".processor."); at != std::string::npos) out.erase(at, 10);
  if (component.starts_with("text_encoder")) {
    constexpr std::pair<std::string_view, std::string_view> kOld[] = {
        {"self_attn.to_q", "q_proj"},
        {"self_attn.to_k", "k_proj"},
        {"self_attn.to_v", "v_proj"},
        {"self_attn.to_out", "out_proj"}};
    for (const auto& [from, to] : kOld) {
      if (!out.ends_with(from)) continue;
      out.replace(out.size() - from.size() + 10, std::string::npos, to);
      return out;
    }
    return out;
  }
  // Anime-Z takes all underscores for dots.
  if (out.ends_with(".to.q") || out.ends_with(".to.k") || out.ends_with(".to.v")) {
    out[out.size() - 2] = '_';
  }
  const bool attention = out.ends_with("attn1.to_out") || out.ends_with("attn2.to_out");
  if (attention && component_of_path(out) == "unet") out += ".0";
  return out;
}

}  // namespace ferrule::exchange
