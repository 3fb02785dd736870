// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/flat_name.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

#include "base/ascii.hpp"

namespace ferrule::exchange {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::array kUnet = {"down_blocks"sv,
                              "up_blocks"sv,
                              "mid_block"sv,
                              "attentions"sv,
                              "resnets"sv,
                              "transformer_blocks"sv,
                              "attn1"sv,
                              "attn2"sv,
                              "to_q"sv,
                              "to_k"sv,
                              "to_v"sv,
                              "to_out"sv,
                              "ff"sv,
                              "net"sv,
                              "proj"sv,
                              "proj_in"sv,
                              "proj_out"sv,
                              "conv1"sv,
                              "conv2"sv,
                              "conv_shortcut"sv,
                              "time_emb_proj"sv,
                              "downsamplers"sv,
                              "upsamplers"sv,
                              "conv"sv,
                              "conv_in"sv,
                              "conv_out"sv,
                              "time_embedding"sv,
                              "add_embedding"sv,
                              "linear_1"sv,
                              "linear_2"sv,
                              "motion_modules"sv};
constexpr std::array kClip = {"text_model"sv,
                              "encoder"sv,
                              "layers"sv,
                              "self_attn"sv,
                              "q_proj"sv,
                              "k_proj"sv,
                              "v_proj"sv,
                              "out_proj"sv,
                              "mlp"sv,
                              "fc1"sv,
                              "fc2"sv,
                              "text_projection"sv,
                              "embeddings"sv,
                              "position_embedding"sv,
                              "token_embedding"sv};
constexpr std::array kT5 = {"encoder"sv, "block"sv, "layer"sv, "SelfAttention"sv,  "q"sv,
                            "k"sv,       "v"sv,     "o"sv,     "DenseReluDense"sv, "wi"sv,
                            "wi_0"sv,    "wi_1"sv,  "wo"sv};
constexpr std::array kLlama = {"model"sv,       "layers"sv,  "self_attn"sv, "q_proj"sv,
                               "k_proj"sv,      "v_proj"sv,  "o_proj"sv,    "mlp"sv,
                               "gate_proj"sv,   "up_proj"sv, "down_proj"sv, "lm_head"sv,
                               "embed_tokens"sv};

struct Family {
  std::string_view name;
  std::span<const std::string_view> words;
};
constexpr Family kFamilies[] = {{"unet", kUnet}, {"clip", kClip}, {"t5", kT5}, {"llama", kLlama}};

struct ClassFamily {
  std::string_view class_name;
  std::string_view family;
};
constexpr ClassFamily kClasses[] = {{"UNet2DConditionModel", "unet"},
                                    {"CLIPTextModel", "clip"},
                                    {"CLIPTextModelWithProjection", "clip"},
                                    {"T5EncoderModel", "t5"},
                                    {"UMT5EncoderModel", "t5"},
                                    {"LlamaForCausalLM", "llama"},
                                    {"MistralForCausalLM", "llama"},
                                    {"Qwen2ForCausalLM", "llama"},
                                    {"Qwen3ForCausalLM", "llama"},
                                    {"GemmaForCausalLM", "llama"},
                                    {"Gemma2ForCausalLM", "llama"}};

/// The first parts of `text` that are numbers up to eight digits, without them; false if they are
/// not.
template <std::size_t kCount>
bool take_numbers(std::string_view& text, std::array<std::uint64_t, kCount>& out) {
  for (auto& number : out) {
    const auto part = text.substr(0, text.find('_'));
    if (!base::is_number(part) || part.size() > 8) return false;
    std::from_chars(part.data(), part.data() + part.size(), number);
    text.remove_prefix(std::min(text.size(), part.size() + 1));
  }
  return true;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// What is inside of a block, after the block's own name.
std::string inside(std::string_view rest) {
  struct Renamed {
    std::string_view from;
    std::string_view to;
  };
  constexpr Renamed kResnet[] = {{"in_layers_2", "conv1"},
                                 {"out_layers_3", "conv2"},
                                 {"emb_layers_1", "time_emb_proj"},
                                 {"skip_connection", "conv_shortcut"}};
  for (const auto& [from, to] : kResnet) {
    if (rest == from) return std::string(to);
  }
  return std::string(rest);
}

std::string joined(std::string_view head, std::uint64_t block, std::string_view kind,
                   std::uint64_t index, std::string_view rest) {
  std::string out(head);
  out += '_' + std::to_string(block) + '_';
  out += kind;
  out += '_' + std::to_string(index);
  if (!rest.empty()) out += '_' + inside(rest);
  return out;
}

std::optional<std::string> from_input(std::string_view rest, std::uint64_t layers) {
  std::array<std::uint64_t, 2> at{};
  if (!take_numbers(rest, at)) return std::nullopt;
  const auto [block, part] = at;
  if (block == 0) {
    if (part != 0 || !rest.empty()) return std::nullopt;
    return "conv_in";
  }
  const auto outer = (block - 1) / (layers + 1);
  if (rest == "op") return joined("down_blocks", outer, "downsamplers", 0, "conv");
  if (part > 1) return std::nullopt;
  return joined("down_blocks", outer, part == 0 ? "resnets" : "attentions",
                (block - 1) % (layers + 1), rest);
}

std::optional<std::string> from_output(std::string_view rest, std::uint64_t layers) {
  std::array<std::uint64_t, 2> at{};
  if (!take_numbers(rest, at)) return std::nullopt;
  const auto [block, part] = at;
  const auto outer = block / (layers + 1);
  // Second in a block without attention, else third.
  if (rest == "conv" && part > 0) return joined("up_blocks", outer, "upsamplers", 0, "conv");
  if (part > 1) return std::nullopt;
  return joined("up_blocks", outer, part == 0 ? "resnets" : "attentions", block % (layers + 1),
                rest);
}

std::optional<std::string> from_middle(std::string_view rest) {
  std::array<std::uint64_t, 1> at{};
  if (!take_numbers(rest, at) || at[0] > 2) return std::nullopt;
  std::string out = at[0] == 1 ? "mid_block_attentions_0" : "mid_block_resnets_";
  if (at[0] != 1) out += at[0] == 0 ? '0' : '1';
  if (!rest.empty()) out += '_' + inside(rest);
  return out;
}

}  // namespace

std::string flatten(std::string_view path) {
  std::string out(path);
  std::replace(out.begin(), out.end(), '.', '_');
  return out;
}

std::optional<std::string> unflatten(std::string_view text,
                                     std::span<const std::string_view> words) {
  // From the end: where a rest of the text can be made of words, the first word's length.
  std::vector<std::size_t> first(text.size() + 1, 0);
  first[text.size()] = 1;
  for (std::size_t at = text.size(); at-- > 0;) {
    if (at > 0 && text[at - 1] != '_') continue;
    const auto rest = text.substr(at);
    const auto fits = [&](std::size_t length) {
      if (length == rest.size()) return true;
      return rest[length] == '_' && at + length + 1 < text.size() && first[at + length + 1] != 0;
    };
    for (const auto word : words) {
      if (word.size() > first[at] && rest.starts_with(word) && fits(word.size())) {
        first[at] = word.size();
      }
    }
    const auto number = rest.substr(0, rest.find('_'));
    if (first[at] == 0 && base::is_number(number) && fits(number.size())) first[at] = number.size();
  }
  if (text.empty() || first[0] == 0) return std::nullopt;
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += first[at] + 1) {
    if (!out.empty()) out += '.';
    out += text.substr(at, first[at]);
  }
  return out;
}

std::span<const std::string_view> words_of(std::string_view family) {
  for (const auto& [name, words] : kFamilies) {
    if (name == family) return words;
  }
  return {};
}

std::string_view family_of_class(std::string_view class_name) {
  for (const auto& [name, family] : kClasses) {
    if (name == class_name) return family;
  }
  return {};
}

bool is_sgm(std::string_view flat) {
  for (const auto head : {"input_blocks_"sv, "middle_block_"sv, "output_blocks_"sv,
                          "time_embed_0"sv, "time_embed_2"sv, "label_emb_0_"sv, "out_2"sv}) {
    if (flat.starts_with(head)) return true;
  }
  return false;
}

std::optional<std::string> from_sgm(std::string_view flat, std::uint64_t layers) {
  if (flat == "time_embed_0") return "time_embedding_linear_1";
  if (flat == "time_embed_2") return "time_embedding_linear_2";
  if (flat == "label_emb_0_0") return "add_embedding_linear_1";
  if (flat == "label_emb_0_2") return "add_embedding_linear_2";
  if (flat == "out_2") return "conv_out";
  if (take_prefix(flat, "input_blocks_")) return from_input(flat, layers);
  if (take_prefix(flat, "middle_block_")) return from_middle(flat);
  if (take_prefix(flat, "output_blocks_")) return from_output(flat, layers);
  return std::nullopt;
}

}  // namespace ferrule::exchange
