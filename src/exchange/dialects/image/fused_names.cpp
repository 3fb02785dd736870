// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/fused_names.hpp"

#include <algorithm>
#include <numeric>
#include <span>

#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

/// One line of a table; '*' is a number. `paths` are below `block`.
struct Line {
  std::string_view original;
  std::string_view block;
  std::string_view paths;  ///< Separated by spaces.
  std::string_view ratio = "1";
  bool swapped = false;
};

constexpr std::string_view kDouble = "transformer_blocks.*.";
constexpr std::string_view kSingle = "single_transformer_blocks.*.";

constexpr Line kFlux[] = {
    {"double_blocks.*.img_attn.qkv", kDouble, "attn.to_q attn.to_k attn.to_v", "1 1 1"},
    {"double_blocks.*.img_attn.proj", kDouble, "attn.to_out.0"},
    {"double_blocks.*.img_mlp.0", kDouble, "ff.net.0.proj"},
    {"double_blocks.*.img_mlp.2", kDouble, "ff.net.2"},
    {"double_blocks.*.img_mod.lin", kDouble, "norm1.linear"},
    {"double_blocks.*.txt_attn.qkv", kDouble, "attn.add_q_proj attn.add_k_proj attn.add_v_proj",
     "1 1 1"},
    {"double_blocks.*.txt_attn.proj", kDouble, "attn.to_add_out"},
    {"double_blocks.*.txt_mlp.0", kDouble, "ff_context.net.0.proj"},
    {"double_blocks.*.txt_mlp.2", kDouble, "ff_context.net.2"},
    {"double_blocks.*.txt_mod.lin", kDouble, "norm1_context.linear"},
    {"single_blocks.*.linear1", kSingle, "attn.to_q attn.to_k attn.to_v proj_mlp", "1 1 1 4"},
    {"single_blocks.*.linear2", kSingle, "proj_out"},
    {"single_blocks.*.modulation.lin", kSingle, "norm.linear"},
    {"img_in", "", "x_embedder"},
    {"txt_in", "", "context_embedder"},
    {"time_in.in_layer", "", "time_text_embed.timestep_embedder.linear_1"},
    {"time_in.out_layer", "", "time_text_embed.timestep_embedder.linear_2"},
    {"vector_in.in_layer", "", "time_text_embed.text_embedder.linear_1"},
    {"vector_in.out_layer", "", "time_text_embed.text_embedder.linear_2"},
    {"guidance_in.in_layer", "", "time_text_embed.guidance_embedder.linear_1"},
    {"guidance_in.out_layer", "", "time_text_embed.guidance_embedder.linear_2"},
    {"final_layer.linear", "", "proj_out"},
    {"final_layer.adaLN_modulation.1", "", "norm_out.linear", "1", true},
};

constexpr Line kFlux2[] = {
    {"double_blocks.*.img_attn.qkv", kDouble, "attn.to_q attn.to_k attn.to_v", "1 1 1"},
    {"double_blocks.*.img_attn.proj", kDouble, "attn.to_out.0"},
    {"double_blocks.*.img_mlp.0", kDouble, "ff.linear_in"},
    {"double_blocks.*.img_mlp.2", kDouble, "ff.linear_out"},
    {"double_blocks.*.txt_attn.qkv", kDouble, "attn.add_q_proj attn.add_k_proj attn.add_v_proj",
     "1 1 1"},
    {"double_blocks.*.txt_attn.proj", kDouble, "attn.to_add_out"},
    {"double_blocks.*.txt_mlp.0", kDouble, "ff_context.linear_in"},
    {"double_blocks.*.txt_mlp.2", kDouble, "ff_context.linear_out"},
    {"single_blocks.*.linear1", kSingle, "attn.to_qkv_mlp_proj"},
    {"single_blocks.*.linear2", kSingle, "attn.to_out"},
    {"img_in", "", "x_embedder"},
    {"txt_in", "", "context_embedder"},
    {"time_in.in_layer", "", "time_guidance_embed.timestep_embedder.linear_1"},
    {"time_in.out_layer", "", "time_guidance_embed.timestep_embedder.linear_2"},
    {"guidance_in.in_layer", "", "time_guidance_embed.guidance_embedder.linear_1"},
    {"guidance_in.out_layer", "", "time_guidance_embed.guidance_embedder.linear_2"},
    {"single_stream_modulation.lin", "", "single_stream_modulation.linear"},
    {"double_stream_modulation_img.lin", "", "double_stream_modulation_img.linear"},
    {"double_stream_modulation_txt.lin", "", "double_stream_modulation_txt.linear"},
    {"final_layer.linear", "", "proj_out"},
    {"final_layer.adaLN_modulation.1", "", "norm_out.linear"},
};

constexpr Line kZImage[] = {
    {"layers.*.attention.qkv", "layers.*.", "attention.to_q attention.to_k attention.to_v",
     "1 1 1"},
    {"layers.*.attention.out", "layers.*.", "attention.to_out.0"},
    {"noise_refiner.*.attention.qkv", "noise_refiner.*.",
     "attention.to_q attention.to_k attention.to_v", "1 1 1"},
    {"noise_refiner.*.attention.out", "noise_refiner.*.", "attention.to_out.0"},
    {"context_refiner.*.attention.qkv", "context_refiner.*.",
     "attention.to_q attention.to_k attention.to_v", "1 1 1"},
    {"context_refiner.*.attention.out", "context_refiner.*.", "attention.to_out.0"},
};

std::span<const Line> table_of(Original original) {
  switch (original) {
    case Original::kFlux2:
      return kFlux2;
    case Original::kZImage:
      return kZImage;
    default:
      return kFlux;
  }
}

/// What '*' stands for; nullopt if the path is not of that form. "" if there is no '*'.
std::optional<std::string_view> number_in(std::string_view path, std::string_view form) {
  const auto star = form.find('*');
  if (star == std::string_view::npos) {
    return path == form ? std::optional(std::string_view()) : std::nullopt;
  }
  if (!path.starts_with(form.substr(0, star))) return std::nullopt;
  path.remove_prefix(star);
  const auto tail = form.substr(star + 1);
  if (!path.ends_with(tail)) return std::nullopt;
  path.remove_suffix(tail.size());
  const bool digits = !path.empty() && std::all_of(path.begin(), path.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
  return digits ? std::optional(path) : std::nullopt;
}

std::string with_number(std::string_view form, std::string_view number) {
  std::string out(form);
  const auto star = out.find('*');
  if (star != std::string::npos) out.replace(star, 1, number);
  return out;
}

FusedModule modules_of(const Line& line, std::string_view number) {
  FusedModule out;
  const auto block = with_number(line.block, number);
  for (std::size_t first = 0; first < line.paths.size();) {
    const auto end = std::min(line.paths.find(' ', first), line.paths.size());
    out.paths.push_back(block + std::string(line.paths.substr(first, end - first)));
    first = end + 1;
  }
  for (const char c : line.ratio) {
    if (c != ' ') out.ratio.push_back(static_cast<std::uint64_t>(c - '0'));
  }
  out.swapped = line.swapped;
  return out;
}

}  // namespace

std::uint64_t FusedModule::total() const {
  return std::accumulate(ratio.begin(), ratio.end(), std::uint64_t{0});
}

std::optional<FusedModule> from_original(std::string_view path, Original original) {
  for (const auto& line : table_of(original)) {
    if (const auto number = number_in(path, line.original)) return modules_of(line, *number);
  }
  return std::nullopt;
}

std::optional<OriginalPart> to_original(std::string_view path, Original original) {
  for (const auto& line : table_of(original)) {
    const auto blank = modules_of(line, "*");
    for (std::size_t part = 0; part < blank.paths.size(); ++part) {
      const auto number = number_in(path, blank.paths[part]);
      if (!number) continue;
      return OriginalPart{with_number(line.original, *number), part, modules_of(line, *number)};
    }
  }
  return std::nullopt;
}

}  // namespace ferrule::exchange
