// SPDX-License-Identifier: Apache-2.0
// Tencent's models, whose blocks are alike. Sources as in model_tables.cpp, and the scripts of
// diffusers that convert HunyuanVideo 1.5 and HunyuanImage 2.1.
#include "exchange/dialects/image/model_tables.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kThirds = "1 1 1";
constexpr std::string_view kQkv = "attn.to_q attn.to_k attn.to_v";
constexpr std::string_view kAddedQkv = "attn.add_q_proj attn.add_k_proj attn.add_v_proj";

constexpr NameLine kHunyuanDouble[] = {
    {"img_attn_qkv", kQkv, kThirds},
    {"img_attn_proj", "attn.to_out.0"},
    {"img_mlp.fc1", "ff.net.0.proj"},
    {"img_mlp.fc2", "ff.net.2"},
    {"img_mod.linear", "norm1.linear"},
    {"txt_attn_qkv", kAddedQkv, kThirds},
    {"txt_attn_proj", "attn.to_add_out"},
    {"txt_mlp.fc1", "ff_context.net.0.proj"},
    {"txt_mlp.fc2", "ff_context.net.2"},
    {"txt_mod.linear", "norm1_context.linear"},
    // ComfyUI has Flux's names here.
    {"img_attn.qkv", kQkv, kThirds},
    {"img_attn.proj", "attn.to_out.0"},
    {"img_mlp.0", "ff.net.0.proj"},
    {"img_mlp.2", "ff.net.2"},
    {"img_mod.lin", "norm1.linear"},
    {"txt_attn.qkv", kAddedQkv, kThirds},
    {"txt_attn.proj", "attn.to_add_out"},
    {"txt_mlp.0", "ff_context.net.0.proj"},
    {"txt_mlp.2", "ff_context.net.2"},
    {"txt_mod.lin", "norm1_context.linear"},
};
constexpr NameLine kHunyuanSingle[] = {
    {"linear1", "attn.to_q attn.to_k attn.to_v proj_mlp", "1 1 1 4", Rows::kAsTheyAre, 7},
    {"linear2", "proj_out", "1", Rows::kAsTheyAre, 1, 5},
    {"modulation.linear", "norm.linear"},
    {"modulation.lin", "norm.linear"},
};
constexpr NameLine kHunyuanRefiner[] = {
    {"self_attn_qkv", kQkv, kThirds},
    {"self_attn_proj", "attn.to_out.0"},
    {"mlp.fc1", "ff.net.0.proj"},
    {"mlp.fc2", "ff.net.2"},
    {"adaLN_modulation.1", "norm_out.linear"},
    {"self_attn.qkv", kQkv, kThirds},
    {"self_attn.proj", "attn.to_out.0"},
    {"mlp.0", "ff.net.0.proj"},
    {"mlp.2", "ff.net.2"},
};
constexpr NameLine kHunyuanText[] = {
    {"input_embedder", "proj_in"},
    {"t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"},
    {"t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"},
    {"c_embedder.linear_1", "time_text_embed.text_embedder.linear_1"},
    {"c_embedder.linear_2", "time_text_embed.text_embedder.linear_2"},
    {"t_embedder.in_layer", "time_text_embed.timestep_embedder.linear_1"},
    {"t_embedder.out_layer", "time_text_embed.timestep_embedder.linear_2"},
    {"c_embedder.in_layer", "time_text_embed.text_embedder.linear_1"},
    {"c_embedder.out_layer", "time_text_embed.text_embedder.linear_2"},
};
/// musubi-tuner has q, k and v apart.
constexpr NameLine kHunyuanApart[] = {
    {"img_attn_q", "attn.to_q"},       {"img_attn_k", "attn.to_k"},
    {"img_attn_v", "attn.to_v"},       {"txt_attn_q", "attn.add_q_proj"},
    {"txt_attn_k", "attn.add_k_proj"}, {"txt_attn_v", "attn.add_v_proj"},
};
constexpr NameLine kHunyuanSingleApart[] = {
    {"linear1_q", "attn.to_q"},  {"linear1_k", "attn.to_k"}, {"linear1_v", "attn.to_v"},
    {"linear1_mlp", "proj_mlp"}, {"linear2.fc", "proj_out"},
};
constexpr NameLine kHunyuanTop[] = {
    {"img_in.proj", "x_embedder.proj"},
    {"time_in.mlp.0", "time_text_embed.timestep_embedder.linear_1", "1", Rows::kAsTheyAre, 12},
    {"time_in.mlp.2", "time_text_embed.timestep_embedder.linear_2"},
    {"guidance_in.mlp.0", "time_text_embed.guidance_embedder.linear_1", "1", Rows::kAsTheyAre, 12},
    {"guidance_in.mlp.2", "time_text_embed.guidance_embedder.linear_2"},
    {"time_in.in_layer", "time_text_embed.timestep_embedder.linear_1", "1", Rows::kAsTheyAre, 12},
    {"time_in.out_layer", "time_text_embed.timestep_embedder.linear_2"},
    {"guidance_in.in_layer", "time_text_embed.guidance_embedder.linear_1", "1", Rows::kAsTheyAre,
     12},
    {"guidance_in.out_layer", "time_text_embed.guidance_embedder.linear_2"},
    {"vector_in.in_layer", "time_text_embed.text_embedder.linear_1"},
    {"vector_in.out_layer", "time_text_embed.text_embedder.linear_2"},
    {"final_layer.linear", "proj_out"},
    {"final_layer.adaLN_modulation.1", "norm_out.linear", "1", Rows::kHalvesSwapped},
};
constexpr NameBlock kHunyuan[] = {
    {"double_blocks.*.", "transformer_blocks.*.", kHunyuanDouble},
    {"single_blocks.*.", "single_transformer_blocks.*.", kHunyuanSingle},
    {"txt_in.individual_token_refiner.blocks.*.",
     "context_embedder.token_refiner.refiner_blocks.*.", kHunyuanRefiner},
    {"txt_in.", "context_embedder.", kHunyuanText},
    // FramePack has modules of its own, in one spelling.
    {"", "", kHunyuanTop,
     "clean_x_embedder.proj clean_x_embedder.proj_2x clean_x_embedder.proj_4x image_projection.up "
     "image_projection.down"},
};

// How many rows there are for each of 256 columns tells the three apart.
constexpr NameLine kHunyuan15Top[] = {
    {"img_in.proj", "x_embedder.proj"},
    {"time_in.mlp.0", "time_embed.timestep_embedder.linear_1", "1", Rows::kAsTheyAre, 8},
    {"time_in.mlp.2", "time_embed.timestep_embedder.linear_2"},
    {"time_in.in_layer", "time_embed.timestep_embedder.linear_1", "1", Rows::kAsTheyAre, 8},
    {"time_in.out_layer", "time_embed.timestep_embedder.linear_2"},
    {"time_r_in.mlp.0", "time_embed.timestep_embedder_r.linear_1"},
    {"time_r_in.mlp.2", "time_embed.timestep_embedder_r.linear_2"},
    {"byt5_in.fc1", "context_embedder_2.linear_1"},
    {"byt5_in.fc2", "context_embedder_2.linear_2"},
    {"byt5_in.fc3", "context_embedder_2.linear_3", "1", Rows::kAsTheyAre, 1},
    {"vision_in.proj.1", "image_embedder.linear_1"},
    {"vision_in.proj.3", "image_embedder.linear_2"},
    {"final_layer.linear", "proj_out"},
    {"final_layer.adaLN_modulation.1", "norm_out.linear", "1", Rows::kHalvesSwapped},
};
constexpr NameBlock kHunyuan15[] = {
    {"double_blocks.*.", "transformer_blocks.*.", kHunyuanApart},
    {"double_blocks.*.", "transformer_blocks.*.", kHunyuanDouble},
    {"txt_in.individual_token_refiner.blocks.*.",
     "context_embedder.token_refiner.refiner_blocks.*.", kHunyuanRefiner},
    {"txt_in.", "context_embedder.", kHunyuanText},
    {"", "", kHunyuan15Top},
};

constexpr NameLine kHunyuanImageTop[] = {
    {"img_in.proj", "x_embedder.proj"},
    {"time_in.mlp.0", "time_guidance_embed.timestep_embedder.linear_1", "1", Rows::kAsTheyAre, 14},
    {"time_in.mlp.2", "time_guidance_embed.timestep_embedder.linear_2"},
    {"time_in.in_layer", "time_guidance_embed.timestep_embedder.linear_1", "1", Rows::kAsTheyAre,
     14},
    {"time_in.out_layer", "time_guidance_embed.timestep_embedder.linear_2"},
    {"time_r_in.mlp.0", "time_guidance_embed.timestep_embedder_r.linear_1"},
    {"time_r_in.mlp.2", "time_guidance_embed.timestep_embedder_r.linear_2"},
    {"guidance_in.mlp.0", "time_guidance_embed.guidance_embedder.linear_1", "1", Rows::kAsTheyAre,
     14},
    {"guidance_in.mlp.2", "time_guidance_embed.guidance_embedder.linear_2"},
    {"byt5_in.fc1", "context_embedder_2.linear_1"},
    {"byt5_in.fc2", "context_embedder_2.linear_2"},
    {"byt5_in.fc3", "context_embedder_2.linear_3", "1", Rows::kAsTheyAre, 7, 4},
    {"final_layer.linear", "proj_out"},
    {"final_layer.adaLN_modulation.1", "norm_out.linear", "1", Rows::kHalvesSwapped},
};
constexpr NameBlock kHunyuanImage[] = {
    {"double_blocks.*.", "transformer_blocks.*.", kHunyuanDouble},
    {"double_blocks.*.", "transformer_blocks.*.", kHunyuanApart},
    {"single_blocks.*.", "single_transformer_blocks.*.", kHunyuanSingle},
    {"single_blocks.*.", "single_transformer_blocks.*.", kHunyuanSingleApart},
    {"txt_in.individual_token_refiner.blocks.*.",
     "context_embedder.token_refiner.refiner_blocks.*.", kHunyuanRefiner},
    {"txt_in.", "context_embedder.", kHunyuanText},
    {"", "", kHunyuanImageTop},
};

constexpr ImageModel kModels[] = {
    {"hunyuan-video", "hunyuan_video hunyuanvideo framepack",
     "HunyuanVideoTransformer3DModel HunyuanVideoFramepackTransformer3DModel", kHunyuan, false,
     true},
    {"hunyuan-video-1.5", "hunyuan_video_1_5 hunyuanvideo-1.5", "HunyuanVideo15Transformer3DModel",
     kHunyuan15, false, true},
    {"hunyuan-image", "hunyuan_image hunyuan-image-2.1", "HunyuanImageTransformer2DModel",
     kHunyuanImage, false, true},
};

}  // namespace

std::span<const ImageModel> hunyuan_models() { return kModels; }

}  // namespace ferrule::exchange
