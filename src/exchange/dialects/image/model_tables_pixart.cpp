// SPDX-License-Identifier: Apache-2.0
// PixArt, and Sana, which has its attention. Sources as in model_tables.cpp, and the script of
// diffusers that converts PixArt.
#include "exchange/dialects/image/model_tables.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kThirds = "1 1 1";

constexpr NameLine kAttention[] = {
    {"attn.qkv", "attn1.to_q attn1.to_k attn1.to_v", kThirds},
    {"attn.proj", "attn1.to_out.0"},
    {"cross_attn.q_linear", "attn2.to_q"},
    {"cross_attn.kv_linear", "attn2.to_k attn2.to_v", "1 1"},
    {"cross_attn.proj", "attn2.to_out.0"},
};
constexpr NameLine kSanaMlp[] = {
    {"mlp.inverted_conv.conv", "ff.conv_inverted"},
    {"mlp.depth_conv.conv", "ff.conv_depth"},
    {"mlp.point_conv.conv", "ff.conv_point"},
};
constexpr NameLine kSanaTop[] = {
    {"x_embedder.proj", "patch_embed.proj"},
    {"t_embedder.mlp.0", "time_embed.emb.timestep_embedder.linear_1"},
    {"t_embedder.mlp.2", "time_embed.emb.timestep_embedder.linear_2"},
    {"t_block.1", "time_embed.linear"},
    {"y_embedder.y_proj.fc1", "caption_projection.linear_1"},
    {"y_embedder.y_proj.fc2", "caption_projection.linear_2"},
    {"final_layer.linear", "proj_out"},
};
constexpr NameBlock kSana[] = {
    {"blocks.*.", "transformer_blocks.*.", kAttention},
    {"blocks.*.", "transformer_blocks.*.", kSanaMlp},
    {"", "", kSanaTop},
};

constexpr NameLine kPixArtMlp[] = {
    {"mlp.fc1", "ff.net.0.proj"},
    {"mlp.fc2", "ff.net.2"},
};
constexpr NameLine kPixArtTop[] = {
    {"x_embedder.proj", "pos_embed.proj"},
    {"t_embedder.mlp.0", "adaln_single.emb.timestep_embedder.linear_1"},
    {"t_embedder.mlp.2", "adaln_single.emb.timestep_embedder.linear_2"},
    {"csize_embedder.mlp.0", "adaln_single.emb.resolution_embedder.linear_1"},
    {"csize_embedder.mlp.2", "adaln_single.emb.resolution_embedder.linear_2"},
    {"ar_embedder.mlp.0", "adaln_single.emb.aspect_ratio_embedder.linear_1"},
    {"ar_embedder.mlp.2", "adaln_single.emb.aspect_ratio_embedder.linear_2"},
    {"t_block.1", "adaln_single.linear"},
    {"y_embedder.y_proj.fc1", "caption_projection.linear_1"},
    {"y_embedder.y_proj.fc2", "caption_projection.linear_2"},
    {"final_layer.linear", "proj_out"},
};
constexpr NameBlock kPixArt[] = {
    {"blocks.*.", "transformer_blocks.*.", kAttention},
    {"blocks.*.", "transformer_blocks.*.", kPixArtMlp},
    {"", "", kPixArtTop},
};

constexpr ImageModel kModels[] = {
    {"sana", "", "SanaTransformer2DModel", kSana},
    {"pixart", "pixart-alpha pixart-sigma", "PixArtTransformer2DModel", kPixArt},
};

}  // namespace

std::span<const ImageModel> pixart_models() { return kModels; }

}  // namespace ferrule::exchange
