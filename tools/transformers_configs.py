# SPDX-License-Identifier: Apache-2.0
"""Configs for classes of transformers whose default config builds nothing, for tools/make_transformers_names.py.

Each change makes of a class's default config one like those of its published models, as far as it decides which modules
there are. Sizes that no module depends on can be anything.
"""

from collections import defaultdict


def give(**values):
    """Sets fields; a double underscore goes down into a config."""

    def change(config):
        for field, value in values.items():
            where = config
            *parents, last = field.split("__")
            for parent in parents:
                where = getattr(where, parent)
            setattr(where, last, value)

    return change


def lists(field):
    """The class adds a list to what its config made a tuple of."""
    return lambda config: setattr(config, field, list(getattr(config, field)))


def of(part, change):
    return lambda config: change(getattr(config, part))


def dense_and_sparse(config):
    config.mlp_layer_types = ["dense"] + ["sparse"] * (config.num_hidden_layers - 1)


def conv_and_attention(config):
    config.layer_types, config.num_hidden_layers = ["conv", "full_attention"] * 2, 4
    config.num_dense_layers = 1


def rope_of_each_layer_type(config):
    kinds = ("full_attention", "sliding_attention")
    config.rope_parameters = {kind: {"rope_type": "default", "rope_theta": 10000.0} for kind in kinds}


def resnet():
    from transformers import ResNetConfig

    return ResNetConfig(out_features=["stage2", "stage3", "stage4"])


SERIES = give(prediction_length=8, context_length=8)
GEMMA_EXPERTS = give(num_experts=4, top_k_experts=2, moe_intermediate_size=32)
INDEXER = give(indexer_budget=64, indexer_compress_ratio=4, indexer_n_heads=4, indexer_kv_heads=1, indexer_head_dim=32)
ONE_BY_ONE = give(intraclass_block_config=defaultdict(lambda: [1, 1, 0]), kernel_list=[3, 2, 2])
SAPIENS_HEAD = give(head_config__upsample_out_channels=[64, 64], head_config__upsample_kernel_sizes=[4, 4],
                    head_config__conv_out_channels=[64, 64], head_config__conv_kernel_sizes=[1, 1])
TALKER = give(text_config__shared_expert_intermediate_size=64, spatial_merge_size=2)

CONFIGS = {
    "AutoformerConfig": SERIES,
    "AyaVisionConfig": give(vision_config__num_attention_heads=16),
    "BayesianDetectorConfig": give(watermarking_depth=4),
    "BridgeTowerConfig": give(contrastive_hidden_size=512, logit_scale_init_value=2.6),
    "CohereCompassConfig": of("text_config", rope_of_each_layer_type),
    "CohereCompassTextConfig": rope_of_each_layer_type,
    "ConvNextConfig": lists("hidden_sizes"),
    "ConvNextV2Config": lists("hidden_sizes"),
    "DeepseekOcr2Config": of("text_config", dense_and_sparse),
    "DeepseekOcr2TextConfig": dense_and_sparse,
    "DiffusionGemmaConfig": of("text_config", GEMMA_EXPERTS),
    "DiffusionGemmaTextConfig": GEMMA_EXPERTS,
    "Dots1Config": give(n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2),
    "FocalNetConfig": lists("hidden_sizes"),
    "Gemma4AssistantConfig": of("text_config", lambda text: give(num_kv_shared_layers=text.num_hidden_layers)(text)),
    "Granite4VisionConfig": give(deepstack_layer_map=[(-1, 0), (-2, 1)], downsample_rate="1/2"),
    "HieraConfig": give(decoder_hidden_size=512, decoder_depth=2, decoder_num_heads=16),
    "InformerConfig": SERIES,
    "Lfm2MoeConfig": conv_and_attention,
    "MoshiConfig": give(audio_vocab_size=2048),
    "OmDetTurboConfig": lambda config: give(backbone_config=resnet(), timm_kwargs={})(config),
    "PerceiverConfig": give(num_cross_attention_heads=1),
    "PerceptionLMConfig": give(vision_config__model_args={"embed_dim": 64}),
    "PPOCRV5ServerDetConfig": ONE_BY_ONE,
    "PPOCRV6MediumDetConfig": ONE_BY_ONE,
    "Qwen3OmniMoeConfig": of("talker_config", TALKER),
    "Qwen3OmniMoeTalkerConfig": TALKER,
    "Qwen4ExpConfig": of("text_config", INDEXER),
    "Qwen4ExpTextConfig": INDEXER,
    "ReformerConfig": give(is_decoder=True),
    "Sapiens2Config": SAPIENS_HEAD,
    "TimeSeriesTransformerConfig": SERIES,
    "ViltConfig": give(num_images=2),
    "VitMatteConfig": lists("fusion_hidden_sizes"),
}
# Classes that share a config with classes that need none of it.
CLASSES = {
    "BeitForSemanticSegmentation": give(out_indices=[0, 1, 2, 3], num_hidden_layers=4),
    "T5GemmaEncoderModel": give(is_encoder_decoder=False),
}


def config_of(cls):
    """The config that the class is made of."""
    if cls.__name__ == "EsmForProteinFolding":
        return cls.config_class(vocab_size=33, is_folding_model=True)
    if cls.__name__ == "Gemma4AssistantForCausalLM":
        return cls.config_class(text_config={"model_type": "gemma4_text", "hidden_size_per_layer_input": 0,
                                             "vocab_size_per_layer_input": 0})
    if cls.__name__ == "UVDocBridge":
        return cls.config_class().backbone_config
    return cls.config_class()


def complete(cls, config):
    for change in (CONFIGS.get(type(config).__name__), CLASSES.get(cls.__name__)):
        if change:
            change(config)


def without_other_libraries():
    """Models that hold one of another library are built around an empty module: what is in it depends on that library's
    model, which a config names. Kernels of another library are not needed to build."""
    import torch
    from transformers.models.layoutlmv2 import modeling_layoutlmv2
    from transformers.models.timm_wrapper import modeling_timm_wrapper
    from transformers.utils import import_utils

    def empty(*_, **__):
        module = torch.nn.Module()
        module.num_features = 64
        return module

    for name in ("timm", "natten", "detectron2"):
        import_utils.BACKENDS_MAPPING[name] = (lambda: True, "")
    modeling_timm_wrapper._create_timm_model_with_error_handling = empty
    modeling_layoutlmv2.LayoutLMv2VisualBackbone = empty
