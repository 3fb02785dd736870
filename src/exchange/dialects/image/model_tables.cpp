// SPDX-License-Identifier: Apache-2.0
// Sources: the converters of diffusers 0.42.1 for LoRA files (lora_conversion_utils.py) and for
// whole checkpoints (single_file_utils.py), which tests/exchange/image_families.py runs beside
// Ferrule.
#include "exchange/dialects/image/model_tables.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kQkv = "attn.to_q attn.to_k attn.to_v";
constexpr std::string_view kAddedQkv = "attn.add_q_proj attn.add_k_proj attn.add_v_proj";
constexpr std::string_view kThirds = "1 1 1";

constexpr NameLine kFluxDouble[] = {
    {"img_attn.qkv", kQkv, kThirds},
    {"img_attn.proj", "attn.to_out.0"},
    {"img_mlp.0", "ff.net.0.proj", "1", Rows::kAsTheyAre, 4},
    {"img_mlp.2", "ff.net.2", "1", Rows::kAsTheyAre, 1, 4},
    {"img_mod.lin", "norm1.linear"},
    {"txt_attn.qkv", kAddedQkv, kThirds},
    {"txt_attn.proj", "attn.to_add_out"},
    {"txt_mlp.0", "ff_context.net.0.proj", "1", Rows::kAsTheyAre, 4},
    {"txt_mlp.2", "ff_context.net.2", "1", Rows::kAsTheyAre, 1, 4},
    {"txt_mod.lin", "norm1_context.linear"},
    {"img_attn.norm.query_norm", "attn.norm_q"},
    {"img_attn.norm.key_norm", "attn.norm_k"},
    {"txt_attn.norm.query_norm", "attn.norm_added_q"},
    {"txt_attn.norm.key_norm", "attn.norm_added_k"},
    // XLabs' trainer. ".processor" is taken off before.
    {"qkv_lora1", kQkv, kThirds},
    {"proj_lora1", "attn.to_out.0"},
    {"qkv_lora2", kAddedQkv, kThirds},
    {"proj_lora2", "attn.to_add_out"},
};
constexpr NameLine kFluxSingle[] = {
    {"linear1", "attn.to_q attn.to_k attn.to_v proj_mlp", "1 1 1 4", Rows::kAsTheyAre, 7},
    {"linear2", "proj_out", "1", Rows::kAsTheyAre, 1, 5},
    {"modulation.lin", "norm.linear"},
    {"norm.query_norm", "attn.norm_q"},
    {"norm.key_norm", "attn.norm_k"},
    {"qkv_lora", kQkv, kThirds},
    {"proj_lora", "proj_out"},
};
constexpr NameLine kFluxTop[] = {
    {"img_in", "x_embedder"},
    {"txt_in", "context_embedder"},
    {"time_in.in_layer", "time_text_embed.timestep_embedder.linear_1", "1", Rows::kAsTheyAre, 12},
    {"time_in.out_layer", "time_text_embed.timestep_embedder.linear_2"},
    {"vector_in.in_layer", "time_text_embed.text_embedder.linear_1"},
    {"vector_in.out_layer", "time_text_embed.text_embedder.linear_2"},
    {"guidance_in.in_layer", "time_text_embed.guidance_embedder.linear_1"},
    {"guidance_in.out_layer", "time_text_embed.guidance_embedder.linear_2"},
    {"final_layer.linear", "proj_out"},
    {"final_layer.adaLN_modulation.1", "norm_out.linear", "1", Rows::kHalvesSwapped},
    // Chroma.
    {"distilled_guidance_layer.layers.*.in_layer", "distilled_guidance_layer.layers.*.linear_1"},
    {"distilled_guidance_layer.layers.*.out_layer", "distilled_guidance_layer.layers.*.linear_2"},
};
constexpr NameBlock kFlux[] = {
    {"double_blocks.*.", "transformer_blocks.*.", kFluxDouble},
    {"single_blocks.*.", "single_transformer_blocks.*.", kFluxSingle},
    {"", "", kFluxTop, "distilled_guidance_layer.in_proj distilled_guidance_layer.out_proj"},
};

constexpr NameLine kFlux2Double[] = {
    {"img_attn.qkv", kQkv, kThirds},
    {"img_attn.proj", "attn.to_out.0"},
    {"img_mlp.0", "ff.linear_in", "1", Rows::kAsTheyAre, 6},
    {"img_mlp.2", "ff.linear_out", "1", Rows::kAsTheyAre, 1, 3},
    {"txt_attn.qkv", kAddedQkv, kThirds},
    {"txt_attn.proj", "attn.to_add_out"},
    {"txt_mlp.0", "ff_context.linear_in", "1", Rows::kAsTheyAre, 6},
    {"txt_mlp.2", "ff_context.linear_out", "1", Rows::kAsTheyAre, 1, 3},
};
constexpr NameLine kFlux2Single[] = {
    {"linear1", "attn.to_qkv_mlp_proj", "1", Rows::kAsTheyAre, 9},
    {"linear2", "attn.to_out", "1", Rows::kAsTheyAre, 1, 4},
};
constexpr NameLine kFlux2Top[] = {
    {"img_in", "x_embedder"},
    {"txt_in", "context_embedder"},
    {"time_in.in_layer", "time_guidance_embed.timestep_embedder.linear_1"},
    {"time_in.out_layer", "time_guidance_embed.timestep_embedder.linear_2"},
    {"guidance_in.in_layer", "time_guidance_embed.guidance_embedder.linear_1"},
    {"guidance_in.out_layer", "time_guidance_embed.guidance_embedder.linear_2"},
    {"single_stream_modulation.lin", "single_stream_modulation.linear"},
    {"double_stream_modulation_img.lin", "double_stream_modulation_img.linear"},
    {"double_stream_modulation_txt.lin", "double_stream_modulation_txt.linear"},
    {"final_layer.linear", "proj_out"},
    {"final_layer.adaLN_modulation.1", "norm_out.linear", "1", Rows::kHalvesSwapped},
};
constexpr std::string_view kFlux2Block =
    "attn.to_q attn.to_k attn.to_v attn.to_out.0 attn.add_q_proj attn.add_k_proj attn.add_v_proj "
    "attn.to_add_out attn.to_qkv attn.to_added_qkv ff.linear_in ff.linear_out "
    "ff_context.linear_in ff_context.linear_out";
constexpr NameBlock kFlux2[] = {
    {"double_blocks.*.", "transformer_blocks.*.", kFlux2Double},
    {"single_blocks.*.", "single_transformer_blocks.*.", kFlux2Single},
    {"", "", kFlux2Top},
    {"transformer_blocks.*.", "transformer_blocks.*.", {}, kFlux2Block},
    // What some exporters make of "transformer_blocks".
    {"sformer_blocks.*.", "transformer_blocks.*.", {}, kFlux2Block},
};

constexpr NameLine kFlux3Block[] = {
    {"q_proj", "attn.to_q"},       {"k_proj", "attn.to_k"},    {"v_proj", "attn.to_v"},
    {"attn_out", "attn.to_out.0"}, {"mlp_in", "ff.linear_in"}, {"mlp_out", "ff.linear_out"},
};
constexpr NameLine kFlux3Top[] = {
    {"emb_in.image", "x_embedders.image"},
    {"emb_in.image_cond", "x_embedders.image_cond"},
    {"txt_in", "context_embedder"},
    {"time_in.in_layer", "timestep_embedder.linear_1"},
    {"time_in.out_layer", "timestep_embedder.linear_2"},
    {"ref_time_in.in_layer", "target_timestep_embedder.linear_1"},
    {"ref_time_in.out_layer", "target_timestep_embedder.linear_2"},
    {"final_layer.image.linear", "proj_out"},
    {"final_layer.image.adaLN_modulation.1", "norm_out.linear", "1", Rows::kHalvesSwapped},
};
constexpr NameLine kFlux3Modulation[] = {
    {"image.lin", "image.linear"},
    {"image_cond.lin", "image_cond.linear"},
    {"txt.lin", "txt.linear"},
};
constexpr NameBlock kFlux3[] = {
    {"content_mode_blocks.image.*.", "mode_blocks.image.*.", kFlux3Block},
    {"content_mode_blocks.image_cond.*.", "mode_blocks.image_cond.*.", kFlux3Block},
    {"mode_blocks.image.*.", "mode_blocks.image.*.", kFlux3Block},
    {"mode_blocks.image_cond.*.", "mode_blocks.image_cond.*.", kFlux3Block},
    {"txt_mode_blocks.*.", "txt_mode_blocks.*.", kFlux3Block},
    {"single_blocks.*.", "single_transformer_blocks.*.", kFlux3Block},
    {"early_stream_modulations.", "early_stream_modulations.", kFlux3Modulation},
    {"single_stream_modulations.", "single_stream_modulations.", kFlux3Modulation},
    {"", "", kFlux3Top},
};

constexpr NameLine kSd3Joint[] = {
    {"x_block.attn.qkv", kQkv, kThirds},
    {"x_block.attn.proj", "attn.to_out.0"},
    {"x_block.attn2.qkv", "attn2.to_q attn2.to_k attn2.to_v", kThirds},
    {"x_block.attn2.proj", "attn2.to_out.0"},
    {"x_block.mlp.fc1", "ff.net.0.proj"},
    {"x_block.mlp.fc2", "ff.net.2"},
    {"x_block.adaLN_modulation.1", "norm1.linear"},
    {"context_block.attn.qkv", kAddedQkv, kThirds},
    {"context_block.attn.proj", "attn.to_add_out"},
    {"context_block.mlp.fc1", "ff_context.net.0.proj"},
    {"context_block.mlp.fc2", "ff_context.net.2"},
    // Of the last block shift and scale alone.
    {"context_block.adaLN_modulation.1", "norm1_context.linear", "1", Rows::kHalvesSwappedIfTwice},
};
constexpr NameLine kSd3Top[] = {
    {"x_embedder.proj", "pos_embed.proj"},
    {"t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"},
    {"t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"},
    {"y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"},
    {"y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"},
    {"final_layer.linear", "proj_out"},
    {"final_layer.adaLN_modulation.1", "norm_out.linear", "1", Rows::kHalvesSwapped},
};
constexpr NameBlock kSd3[] = {
    {"joint_blocks.*.", "transformer_blocks.*.", kSd3Joint},
    {"", "", kSd3Top, "context_embedder"},
};

constexpr NameBlock kQwen[] = {
    {"transformer_blocks.*.",
     "transformer_blocks.*.",
     {},
     "attn.to_q attn.to_k attn.to_v attn.to_out.0 attn.add_q_proj attn.add_k_proj attn.add_v_proj "
     "attn.to_add_out img_mod.1 txt_mod.1 img_mlp.net.0.proj img_mlp.net.2 txt_mlp.net.0.proj "
     "txt_mlp.net.2"},
    {"",
     "",
     {},
     "img_in txt_in proj_out norm_out.linear time_text_embed.timestep_embedder.linear_1 "
     "time_text_embed.timestep_embedder.linear_2"},
};

constexpr NameLine kZImageBlock[] = {
    {"attention.qkv", "attention.to_q attention.to_k attention.to_v", kThirds, Rows::kAsTheyAre, 3},
    {"attention.out", "attention.to_out.0"},
};
constexpr std::string_view kZImageSame =
    "attention.to_q attention.to_k attention.to_v attention.to_out.0 feed_forward.w1 "
    "feed_forward.w2 feed_forward.w3 adaLN_modulation.0";
constexpr NameLine kZImageTop[] = {
    {"x_embedder", "all_x_embedder.2-1"},
    {"final_layer.linear", "all_final_layer.2-1.linear"},
    {"final_layer.adaLN_modulation.1", "all_final_layer.2-1.adaLN_modulation.1"},
};
constexpr NameBlock kZImage[] = {
    {"layers.*.", "layers.*.", kZImageBlock, kZImageSame},
    {"noise_refiner.*.", "noise_refiner.*.", kZImageBlock, kZImageSame},
    {"context_refiner.*.", "context_refiner.*.", kZImageBlock, kZImageSame},
    {"", "", kZImageTop,
     "all_x_embedder.2-1 all_final_layer.2-1.linear all_final_layer.2-1.adaLN_modulation.1 "
     "cap_embedder.1 t_embedder.mlp.0 t_embedder.mlp.2"},
};

constexpr NameLine kIdeogramLayer[] = {
    {"attention.qkv", "attention.to_q attention.to_k attention.to_v", kThirds, Rows::kAsTheyAre, 3},
    {"attention.o", "attention.to_out.0"},
};
constexpr NameBlock kIdeogram[] = {
    {"layers.*.", "layers.*.", kIdeogramLayer,
     "feed_forward.w1 feed_forward.w2 feed_forward.w3 adaln_modulation"},
    {"",
     "",
     {},
     "input_proj llm_cond_proj t_embedding.mlp_in t_embedding.mlp_out adaln_proj "
     "final_layer.linear final_layer.adaln_modulation"},
};

constexpr NameLine kLuminaBlock[] = {
    {"attention.qkv", kQkv, "3 1 1", Rows::kAsTheyAre, 5, 3},
    {"attention.out", "attn.to_out.0"},
    {"feed_forward.w1", "feed_forward.linear_1"},
    {"feed_forward.w2", "feed_forward.linear_2"},
    {"feed_forward.w3", "feed_forward.linear_3"},
    {"adaLN_modulation.1", "norm1.linear"},
};
constexpr NameLine kLuminaTop[] = {
    {"cap_embedder.1", "time_caption_embed.caption_embedder.1"},
    {"t_embedder.mlp.0", "time_caption_embed.timestep_embedder.linear_1"},
    {"t_embedder.mlp.2", "time_caption_embed.timestep_embedder.linear_2"},
    {"final_layer.adaLN_modulation.1", "norm_out.linear_1"},
    {"final_layer.linear", "norm_out.linear_2"},
};
constexpr NameBlock kLumina[] = {
    {"layers.*.", "layers.*.", kLuminaBlock},
    {"noise_refiner.*.", "noise_refiner.*.", kLuminaBlock},
    {"context_refiner.*.", "context_refiner.*.", kLuminaBlock},
    {"", "", kLuminaTop, "x_embedder"},
};

constexpr NameLine kAuraDouble[] = {
    {"mlpX.c_fc1", "ff.linear_1"},
    {"mlpX.c_fc2", "ff.linear_2"},
    {"mlpX.c_proj", "ff.out_projection"},
    {"mlpC.c_fc1", "ff_context.linear_1"},
    {"mlpC.c_fc2", "ff_context.linear_2"},
    {"mlpC.c_proj", "ff_context.out_projection"},
    {"modX.1", "norm1.linear"},
    {"modC.1", "norm1_context.linear"},
    {"attn.w2q", "attn.to_q"},
    {"attn.w2k", "attn.to_k"},
    {"attn.w2v", "attn.to_v"},
    {"attn.w2o", "attn.to_out.0"},
    {"attn.w1q", "attn.add_q_proj"},
    {"attn.w1k", "attn.add_k_proj"},
    {"attn.w1v", "attn.add_v_proj"},
    {"attn.w1o", "attn.to_add_out"},
};
constexpr NameLine kAuraSingle[] = {
    {"mlp.c_fc1", "ff.linear_1"},        {"mlp.c_fc2", "ff.linear_2"},
    {"mlp.c_proj", "ff.out_projection"}, {"modCX.1", "norm1.linear"},
    {"attn.w1q", "attn.to_q"},           {"attn.w1k", "attn.to_k"},
    {"attn.w1v", "attn.to_v"},           {"attn.w1o", "attn.to_out.0"},
};
constexpr NameLine kAuraTop[] = {
    {"t_embedder.mlp.0", "time_step_proj.linear_1"},
    {"t_embedder.mlp.2", "time_step_proj.linear_2"},
    {"cond_seq_linear", "context_embedder"},
    {"init_x_linear", "pos_embed.proj"},
    {"final_linear", "proj_out"},
    {"modF.1", "norm_out.linear", "1", Rows::kHalvesSwapped},
};
constexpr NameBlock kAura[] = {
    {"double_layers.*.", "joint_transformer_blocks.*.", kAuraDouble},
    {"single_layers.*.", "single_transformer_blocks.*.", kAuraSingle},
    {"", "", kAuraTop},
};

constexpr std::string_view kHiDreamBlock =
    "adaLN_modulation.1 attn1.to_q attn1.to_k attn1.to_v attn1.to_out attn1.to_q_t attn1.to_k_t "
    "attn1.to_v_t attn1.to_out_t ff_i.w1 ff_i.w2 ff_i.w3 ff_i.shared_experts.w1 "
    "ff_i.shared_experts.w2 ff_i.shared_experts.w3 ff_i.experts.*.w1 ff_i.experts.*.w2 "
    "ff_i.experts.*.w3 ff_t.w1 ff_t.w2 ff_t.w3";
constexpr NameBlock kHiDream[] = {
    {"double_stream_blocks.*.block.", "double_stream_blocks.*.block.", {}, kHiDreamBlock},
    {"single_stream_blocks.*.block.", "single_stream_blocks.*.block.", {}, kHiDreamBlock},
    {"",
     "",
     {},
     "caption_projection.*.linear t_embedder.timestep_embedder.linear_1 "
     "t_embedder.timestep_embedder.linear_2 p_embedder.pooled_embedder.linear_1 "
     "p_embedder.pooled_embedder.linear_2 x_embedder.proj final_layer.linear "
     "final_layer.adaLN_modulation.1"},
};

constexpr NameLine kKreaBlock[] = {
    {"attn.wq", "attn.to_q"},     {"attn.wk", "attn.to_k"},      {"attn.wv", "attn.to_v"},
    {"attn.wo", "attn.to_out.0"}, {"attn.gate", "attn.to_gate"}, {"mlp.gate", "ff.gate"},
    {"mlp.up", "ff.up"},          {"mlp.down", "ff.down"},
};
constexpr NameLine kKreaTop[] = {
    {"first", "img_in"},
    {"last.linear", "final_layer.linear"},
    {"tmlp.0", "time_embed.linear_1"},
    {"tmlp.2", "time_embed.linear_2"},
    {"tproj.1", "time_mod_proj"},
    {"txtmlp.1", "txt_in.linear_1"},
    {"txtmlp.3", "txt_in.linear_2"},
    {"txtfusion.projector", "text_fusion.projector"},
};
constexpr NameBlock kKrea[] = {
    {"blocks.*.", "transformer_blocks.*.", kKreaBlock},
    {"txtfusion.layerwise_blocks.*.", "text_fusion.layerwise_blocks.*.", kKreaBlock},
    {"txtfusion.refiner_blocks.*.", "text_fusion.refiner_blocks.*.", kKreaBlock},
    {"", "", kKreaTop},
};

constexpr NameBlock kErnie[] = {
    {"layers.*.",
     "layers.*.",
     {},
     "self_attention.to_q self_attention.to_k self_attention.to_v self_attention.to_out.0 "
     "mlp.gate_proj mlp.up_proj mlp.linear_fc2"},
    {"",
     "",
     {},
     "x_embedder.proj text_proj time_embedding.linear_1 time_embedding.linear_2 "
     "adaLN_modulation.1 final_norm.linear final_linear"},
};

constexpr ImageModel kModels[] = {
    {"flux", "flux1 flux.1 chroma", "FluxTransformer2DModel ChromaTransformer2DModel", kFlux, true,
     true},
    {"flux2", "flux.2", "Flux2Transformer2DModel", kFlux2, true, true},
    {"flux3", "flux.3", "Flux3Transformer2DModel", kFlux3},
    {"sd3", "sd3.5 stable-diffusion-3", "SD3Transformer2DModel", kSd3, false, true},
    {"qwen-image", "qwenimage qwen_image", "QwenImageTransformer2DModel", kQwen, false, true},
    {"z-image", "zimage z_image", "ZImageTransformer2DModel", kZImage},
    {"ideogram4", "ideogram", "Ideogram4Transformer2DModel", kIdeogram},
    {"lumina2", "lumina lumina-2", "Lumina2Transformer2DModel", kLumina, false, true, false,
     "llama"},
    {"auraflow", "aura-flow", "AuraFlowTransformer2DModel", kAura},
    {"hidream", "hidream-i1", "HiDreamImageTransformer2DModel", kHiDream},
    {"krea2", "krea-2", "Krea2Transformer2DModel", kKrea},
    {"ernie-image", "ernie_image", "ErnieImageTransformer2DModel", kErnie, false, false, true},
};

}  // namespace

std::span<const ImageModel> still_models() { return kModels; }

}  // namespace ferrule::exchange
