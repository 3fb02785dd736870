// SPDX-License-Identifier: Apache-2.0
// Models of videos, and of sound. Sources as in model_tables.cpp.
#include "exchange/dialects/image/model_tables.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kThirds = "1 1 1";
constexpr std::string_view kQkv = "attn.to_q attn.to_k attn.to_v";

constexpr NameLine kWanBlock[] = {
    {"self_attn.q", "attn1.to_q"},
    {"self_attn.k", "attn1.to_k"},
    {"self_attn.v", "attn1.to_v"},
    {"self_attn.o", "attn1.to_out.0"},
    {"cross_attn.q", "attn2.to_q"},
    {"cross_attn.k", "attn2.to_k"},
    {"cross_attn.v", "attn2.to_v"},
    {"cross_attn.o", "attn2.to_out.0"},
    {"cross_attn.k_img", "attn2.add_k_proj"},
    {"cross_attn.v_img", "attn2.add_v_proj"},
    {"ffn.0", "ffn.net.0.proj"},
    {"ffn.2", "ffn.net.2"},
    {"before_proj", "proj_in"},
    {"after_proj", "proj_out"},
};
constexpr NameLine kWanTop[] = {
    {"time_embedding.0", "condition_embedder.time_embedder.linear_1"},
    {"time_embedding.2", "condition_embedder.time_embedder.linear_2"},
    {"text_embedding.0", "condition_embedder.text_embedder.linear_1"},
    {"text_embedding.2", "condition_embedder.text_embedder.linear_2"},
    {"time_projection.1", "condition_embedder.time_proj"},
    {"img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"},
    {"img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"},
    {"head.head", "proj_out"},
};
constexpr NameBlock kWan[] = {
    {"blocks.*.", "blocks.*.", kWanBlock},
    {"vace_blocks.*.", "vace_blocks.*.", kWanBlock},
    {"", "", kWanTop, "patch_embedding vace_patch_embedding"},
};

constexpr std::string_view kLtxAttention =
    "attn1.to_q attn1.to_k attn1.to_v attn1.to_out.0 attn2.to_q attn2.to_k attn2.to_v "
    "attn2.to_out.0 ff.net.0.proj ff.net.2";
constexpr NameLine kLtxTime[] = {
    {"linear", "linear"},
    {"emb.timestep_embedder.linear_1", "emb.timestep_embedder.linear_1"},
    {"emb.timestep_embedder.linear_2", "emb.timestep_embedder.linear_2"},
};
constexpr NameLine kLtxTop[] = {{"patchify_proj", "proj_in"}};
constexpr NameBlock kLtx[] = {
    {"transformer_blocks.*.", "transformer_blocks.*.", {}, kLtxAttention},
    {"adaln_single.", "time_embed.", kLtxTime},
    {"", "", kLtxTop, "caption_projection.linear_1 caption_projection.linear_2 proj_out"},
};

constexpr std::string_view kLtx2Attention =
    "attn1.to_gate_logits attn2.to_gate_logits audio_attn1.to_q audio_attn1.to_k audio_attn1.to_v "
    "audio_attn1.to_out.0 audio_attn1.to_gate_logits audio_attn2.to_q audio_attn2.to_k "
    "audio_attn2.to_v audio_attn2.to_out.0 audio_attn2.to_gate_logits audio_to_video_attn.to_q "
    "audio_to_video_attn.to_k audio_to_video_attn.to_v audio_to_video_attn.to_out.0 "
    "audio_to_video_attn.to_gate_logits video_to_audio_attn.to_q video_to_audio_attn.to_k "
    "video_to_audio_attn.to_v video_to_audio_attn.to_out.0 video_to_audio_attn.to_gate_logits "
    "audio_ff.net.0.proj audio_ff.net.2";
constexpr NameLine kLtx2Top[] = {
    {"patchify_proj", "proj_in"},
    {"audio_patchify_proj", "audio_proj_in"},
};
constexpr NameLine kLtx2Connectors[] = {
    {"aggregate_embed", "text_proj_in"},
    {"video_aggregate_embed", "video_text_proj_in"},
    {"audio_aggregate_embed", "audio_text_proj_in"},
};
constexpr NameBlock kLtx2[] = {
    {"transformer_blocks.*.", "transformer_blocks.*.", {}, kLtxAttention},
    {"transformer_blocks.*.", "transformer_blocks.*.", {}, kLtx2Attention},
    {"adaln_single.", "time_embed.", kLtxTime},
    {"audio_adaln_single.", "audio_time_embed.", kLtxTime},
    {"av_ca_video_scale_shift_adaln_single.", "av_cross_attn_video_scale_shift.", kLtxTime},
    {"av_ca_audio_scale_shift_adaln_single.", "av_cross_attn_audio_scale_shift.", kLtxTime},
    {"av_ca_a2v_gate_adaln_single.", "av_cross_attn_video_a2v_gate.", kLtxTime},
    {"av_ca_v2a_gate_adaln_single.", "av_cross_attn_audio_v2a_gate.", kLtxTime},
    {"prompt_adaln_single.", "prompt_adaln.", kLtxTime},
    {"audio_prompt_adaln_single.", "audio_prompt_adaln.", kLtxTime},
    {"", "", kLtx2Top,
     "caption_projection.linear_1 caption_projection.linear_2 audio_caption_projection.linear_1 "
     "audio_caption_projection.linear_2 proj_out audio_proj_out"},
    {"text_embedding_projection.", "", kLtx2Connectors, {}, "connectors"},
};

constexpr NameLine kMochiBlock[] = {
    {"attn.qkv_x", "attn1.to_q attn1.to_k attn1.to_v", kThirds},
    {"attn.qkv_y", "attn1.add_q_proj attn1.add_k_proj attn1.add_v_proj", kThirds},
    {"attn.proj_x", "attn1.to_out.0"},
    {"attn.proj_y", "attn1.to_add_out"},
    {"mlp_x.w1", "ff.net.0.proj", "1", Rows::kHalvesSwapped},
    {"mlp_x.w2", "ff.net.2"},
    {"mlp_y.w1", "ff_context.net.0.proj", "1", Rows::kHalvesSwapped},
    {"mlp_y.w2", "ff_context.net.2"},
    {"mod_x", "norm1.linear"},
    {"mod_y", "norm1_context.linear"},
    // Of the last block.
    {"mod_y", "norm1_context.linear_1"},
};
constexpr NameLine kMochiTop[] = {
    {"x_embedder.proj", "patch_embed.proj"},
    {"t_embedder.mlp.0", "time_embed.timestep_embedder.linear_1"},
    {"t_embedder.mlp.2", "time_embed.timestep_embedder.linear_2"},
    {"t5_y_embedder.to_kv", "time_embed.pooler.to_kv"},
    {"t5_y_embedder.to_q", "time_embed.pooler.to_q"},
    {"t5_y_embedder.to_out", "time_embed.pooler.to_out"},
    {"t5_yproj", "time_embed.caption_proj"},
    {"final_layer.mod", "norm_out.linear", "1", Rows::kHalvesSwapped},
    {"final_layer.linear", "proj_out"},
};
constexpr NameBlock kMochi[] = {
    {"blocks.*.", "transformer_blocks.*.", kMochiBlock},
    {"", "", kMochiTop},
};

constexpr NameLine kCosmosBlock[] = {
    {"self_attn.q_proj", "attn1.to_q"},
    {"self_attn.k_proj", "attn1.to_k"},
    {"self_attn.v_proj", "attn1.to_v"},
    {"self_attn.output_proj", "attn1.to_out.0"},
    {"cross_attn.q_proj", "attn2.to_q"},
    {"cross_attn.k_proj", "attn2.to_k"},
    {"cross_attn.v_proj", "attn2.to_v"},
    {"cross_attn.output_proj", "attn2.to_out.0"},
    {"mlp.layer1", "ff.net.0.proj"},
    {"mlp.layer2", "ff.net.2"},
    {"adaln_modulation_self_attn.1", "norm1.linear_1"},
    {"adaln_modulation_self_attn.2", "norm1.linear_2"},
    {"adaln_modulation_cross_attn.1", "norm2.linear_1"},
    {"adaln_modulation_cross_attn.2", "norm2.linear_2"},
    {"adaln_modulation_mlp.1", "norm3.linear_1"},
    {"adaln_modulation_mlp.2", "norm3.linear_2"},
};
constexpr NameLine kCosmosTop[] = {
    {"t_embedder.1.linear_1", "time_embed.t_embedder.linear_1"},
    {"t_embedder.1.linear_2", "time_embed.t_embedder.linear_2"},
    {"x_embedder.proj.1", "patch_embed.proj"},
    {"final_layer.adaln_modulation.1", "norm_out.linear_1"},
    {"final_layer.adaln_modulation.2", "norm_out.linear_2"},
    {"final_layer.linear", "proj_out"},
};
constexpr std::string_view kAnimaText =
    "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj cross_attn.q_proj "
    "cross_attn.k_proj cross_attn.v_proj cross_attn.o_proj mlp.0 mlp.2";
/// Cosmos-Predict 2, and Anima, which has its text conditioner beside.
constexpr NameBlock kCosmos[] = {
    {"blocks.*.", "transformer_blocks.*.", kCosmosBlock},
    {"", "", kCosmosTop},
    {"llm_adapter.blocks.*.", "blocks.*.", {}, kAnimaText, "text_conditioner"},
    {"llm_adapter.", "", {}, "out_proj", "text_conditioner"},
    {"llm_adapter.", "", {}, "**", "text_conditioner"},
};

constexpr NameLine kCosmosSelf[] = {
    {"block.attn.to_q.0", "attn1.to_q"},      {"block.attn.to_k.0", "attn1.to_k"},
    {"block.attn.to_v.0", "attn1.to_v"},      {"block.attn.to_out.0", "attn1.to_out.0"},
    {"adaLN_modulation.1", "norm1.linear_1"}, {"adaLN_modulation.2", "norm1.linear_2"},
};
constexpr NameLine kCosmosCross[] = {
    {"block.attn.to_q.0", "attn2.to_q"},      {"block.attn.to_k.0", "attn2.to_k"},
    {"block.attn.to_v.0", "attn2.to_v"},      {"block.attn.to_out.0", "attn2.to_out.0"},
    {"adaLN_modulation.1", "norm2.linear_1"}, {"adaLN_modulation.2", "norm2.linear_2"},
};
constexpr NameLine kCosmosMlp[] = {
    {"block.layer1", "ff.net.0.proj"},
    {"block.layer2", "ff.net.2"},
    {"adaLN_modulation.1", "norm3.linear_1"},
    {"adaLN_modulation.2", "norm3.linear_2"},
};
constexpr NameLine kCosmos1Top[] = {
    {"t_embedder.1.linear_1", "time_embed.t_embedder.linear_1"},
    {"t_embedder.1.linear_2", "time_embed.t_embedder.linear_2"},
    {"x_embedder.proj.1", "patch_embed.proj"},
    {"final_layer.adaLN_modulation.1", "norm_out.linear_1"},
    {"final_layer.adaLN_modulation.2", "norm_out.linear_2"},
    {"final_layer.linear", "proj_out"},
};
constexpr NameBlock kCosmos1[] = {
    {"blocks.block*.blocks.0.", "transformer_blocks.*.", kCosmosSelf},
    {"blocks.block*.blocks.1.", "transformer_blocks.*.", kCosmosCross},
    {"blocks.block*.blocks.2.", "transformer_blocks.*.", kCosmosMlp},
    {"", "", kCosmos1Top},
};

constexpr NameLine kMiniMaxBlock[] = {
    {"attn.qkv_proj", kQkv, kThirds},
    {"attn.out_proj", "attn.to_out.0"},
    {"mlp.fc1", "ff.net.0.proj", "1", Rows::kHalvesSwapped},
    {"mlp.fc2", "ff.net.2"},
    {"adaln_proj.linear", "adaln_proj.linear"},
};
constexpr NameLine kMiniMaxTop[] = {
    {"video_patch_proj", "proj_in"},
    {"audio_patch_proj", "audio_proj_in"},
    {"condition_proj", "context_embedder"},
    {"time_embedder.proj_in", "time_embedder.linear_1"},
    {"time_embedder.proj_out", "time_embedder.linear_2"},
    {"final_layer.adaln_proj.linear", "norm_out.linear"},
    {"final_layer.video_out", "proj_out"},
    {"final_layer.audio_out", "audio_proj_out"},
};
constexpr NameBlock kMiniMax[] = {
    {"blocks.*.", "transformer_blocks.*.", kMiniMaxBlock},
    {"token_refiner.blocks.*.", "token_refiner.refiner_blocks.*.", kMiniMaxBlock},
    {"", "", kMiniMaxTop},
};

constexpr NameLine kAceStepLayer[] = {
    {"self_attn.q_proj", "self_attn.to_q"},   {"self_attn.k_proj", "self_attn.to_k"},
    {"self_attn.v_proj", "self_attn.to_v"},   {"self_attn.o_proj", "self_attn.to_out.0"},
    {"cross_attn.q_proj", "cross_attn.to_q"}, {"cross_attn.k_proj", "cross_attn.to_k"},
    {"cross_attn.v_proj", "cross_attn.to_v"}, {"cross_attn.o_proj", "cross_attn.to_out.0"},
};
constexpr NameBlock kAceStep[] = {
    {"layers.*.", "layers.*.", kAceStepLayer, "mlp.gate_proj mlp.up_proj mlp.down_proj"},
};

constexpr std::string_view kCogBlock =
    "norm1.linear norm2.linear attn1.to_q attn1.to_k attn1.to_v attn1.to_out.0 ff.net.0.proj "
    "ff.net.2";
constexpr NameBlock kCogVideo[] = {
    {"transformer_blocks.*.", "transformer_blocks.*.", {}, kCogBlock},
    {"",
     "",
     {},
     "patch_embed.proj patch_embed.text_proj time_embedding.linear_1 time_embedding.linear_2 "
     "ofs_embedding.linear_1 ofs_embedding.linear_2 norm_out.linear proj_out"},
};
constexpr NameBlock kCogView4[] = {
    {"transformer_blocks.*.", "transformer_blocks.*.", {}, kCogBlock},
    {"",
     "",
     {},
     "patch_embed.proj patch_embed.text_proj time_condition_embed.timestep_embedder.linear_1 "
     "time_condition_embed.timestep_embedder.linear_2 "
     "time_condition_embed.condition_embedder.linear_1 "
     "time_condition_embed.condition_embedder.linear_2 norm_out.linear proj_out"},
};

constexpr std::string_view kKandinskyText =
    "text_modulation.out_layer self_attention.to_query self_attention.to_key "
    "self_attention.to_value self_attention.out_layer feed_forward.in_layer "
    "feed_forward.out_layer";
constexpr std::string_view kKandinskyVisual =
    "visual_modulation.out_layer self_attention.to_query self_attention.to_key "
    "self_attention.to_value self_attention.out_layer cross_attention.to_query "
    "cross_attention.to_key cross_attention.to_value cross_attention.out_layer "
    "feed_forward.in_layer feed_forward.out_layer";
constexpr NameBlock kKandinsky[] = {
    {"text_transformer_blocks.*.", "text_transformer_blocks.*.", {}, kKandinskyText},
    {"visual_transformer_blocks.*.", "visual_transformer_blocks.*.", {}, kKandinskyVisual},
    {"",
     "",
     {},
     "time_embeddings.in_layer time_embeddings.out_layer text_embeddings.in_layer "
     "pooled_text_embeddings.in_layer visual_embeddings.in_layer out_layer.modulation.out_layer "
     "out_layer.out_layer"},
};

constexpr ImageModel kModels[] = {
    {"wan", "wan2.1 wan2.2 skyreels",
     "WanTransformer3DModel WanVACETransformer3DModel WanAnimateTransformer3DModel "
     "SkyReelsV2Transformer3DModel ChronoEditTransformer3DModel HeliosTransformer3DModel",
     kWan, false, true},
    {"ltx", "ltxv ltx-video", "LTXVideoTransformer3DModel", kLtx},
    {"ltx2", "ltx-2", "LTX2VideoTransformer3DModel", kLtx2},
    {"mochi", "mochi-1", "MochiTransformer3DModel", kMochi},
    {"cosmos", "cosmos2 anima", "CosmosTransformer3DModel", kCosmos, false, true, false, "llama"},
    {"cosmos1", "", "", kCosmos1},
    {"minimax-h3", "", "MiniMaxH3Transformer3DModel", kMiniMax, false, true},
    {"kandinsky5", "kandinsky-5", "Kandinsky5Transformer3DModel", kKandinsky, false, true},
    {"cogvideox", "", "CogVideoXTransformer3DModel", kCogVideo},
    {"cogview4", "", "CogView4Transformer2DModel", kCogView4},
    {"ace-step", "ace_step", "AceStepTransformer1DModel", kAceStep, false, false, true},
};

}  // namespace

std::span<const ImageModel> video_models() { return kModels; }

}  // namespace ferrule::exchange
