# SPDX-License-Identifier: Apache-2.0
"""Quantized weights as the libraries write them whose formats they are, and what these libraries dequantize them to.

The libraries are not pinned for the usual tests, which read what this program wrote (tests/merge/quantized):

  pip install --no-deps bitsandbytes==0.50.0 compressed-tensors==0.20.1 loguru==0.7.3 gptqmodel==7.7.0 autoawq==0.2.9 \
    nvidia-modelopt==0.47.0 omegaconf pulp
  quantized_bases.py FOLDER
"""
import importlib.util
import json
import os
import sys

import torch
from safetensors.torch import save_file

OUT, IN = 32, 64


def weights(seed, out=OUT, columns=IN):
    torch.manual_seed(seed)
    return torch.randn(out, columns) * 0.05 * (1 + torch.rand(out, 1))


def bitsandbytes4(kind, nested, dtype):
    import bitsandbytes.functional as F

    packed, state = F.quantize_4bit(weights(1).to(dtype), quant_type=kind, compress_statistics=nested, blocksize=64)
    tensors = {"weight": packed, **{f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}}
    return tensors, F.dequantize_4bit(packed, state), {"quant_method": "bitsandbytes", "load_in_4bit": True}


def bitsandbytes8():
    import bitsandbytes.functional as F

    values, rows, _ = F.int8_vectorwise_quant(weights(2).half())
    tensors = {"weight": values, "SCB": rows, "weight_format": torch.tensor(0, dtype=torch.uint8)}
    return tensors, F.int8_vectorwise_dequant(values, rows), {"quant_method": "bitsandbytes", "load_in_8bit": True}


def compressed(layout, scales, zeros=None, extra=None, **args):
    """Of compressed-tensors: its own compressor of that layout, and back."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    weight = weights(3)
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args))
    if layout in ("float-quantized", "int-quantized"):
        scheme.input_activations = QuantizationArgs(num_bits=8, type=args["type"], dynamic=True, strategy="token")
    state = {"weight": weight.to(scales.dtype), "weight_scale": scales, **(extra or {})}
    if zeros is not None:
        state["weight_zero_point"] = zeros
    compressor = BaseCompressor.get_value_from_registry(layout)
    tensors = compressor.compress(state, scheme)
    want = compressor.decompress(dict(tensors), scheme)["weight"]
    group = json.loads(scheme.model_dump_json())
    config = {"quant_method": "compressed-tensors", "format": layout, "config_groups": {"group_0": group},
              "quantization_status": "compressed", "ignore": ["lm_head"]}
    return {k: v.contiguous() for k, v in tensors.items()}, want, config


def int_scales(bits, size, dtype=torch.bfloat16, symmetric=True):
    groups = weights(3).unflatten(-1, (-1, size))
    if symmetric:
        return (groups.abs().amax(-1) / (2 ** (bits - 1) - 0.5)).to(dtype), None
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scale = ((high - low) / (2**bits - 1)).to(dtype)
    return scale, (-(2 ** (bits - 1)) - low / scale.float()).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).to(torch.int8)


def packed_ints(bits, size, symmetric=True, dtype=torch.bfloat16):
    scale, zeros = int_scales(bits, size, dtype, symmetric)
    return compressed("pack-quantized", scale, zeros, num_bits=bits, type="int", symmetric=symmetric, strategy="group",
                      group_size=size)


def nvfp4():
    groups = weights(3).unflatten(-1, (-1, 16)).abs().amax(-1)
    whole = torch.tensor([448 * 6 / groups.max().item()], dtype=torch.float32)
    scale = (whole * groups / 6).to(torch.float8_e4m3fn).to(torch.bfloat16)
    return compressed("nvfp4-pack-quantized", scale, extra={"weight_global_scale": whole}, num_bits=4, type="float",
                      strategy="tensor_group", group_size=16, scale_dtype=torch.float8_e4m3fn)


def nvfp4_modelopt():
    from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor

    packed, scale, whole = NVFP4QTensor.quantize(weights(3).bfloat16(), 16)
    want = packed.dequantize(dtype=torch.float32, scale=scale, double_scale=whole, block_sizes={-1: 16})
    tensors = {"weight": packed._quantized_data, "weight_scale": scale, "weight_scale_2": whole.float()}
    return tensors, want, {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}


def mxfp4_rows():
    groups = weights(3).unflatten(-1, (-1, 32)).abs().amax(-1)
    scale = (2.0 ** (torch.floor(torch.log2(groups)) - 2)).to(torch.bfloat16)
    return compressed("mxfp4-pack-quantized", scale, num_bits=4, type="float", strategy="group", group_size=32,
                      scale_dtype=torch.uint8)


def float8(strategy, dtype=torch.bfloat16):
    weight = weights(3)
    if strategy == "tensor":
        scale, more = weight.abs().max().reshape(1), {}
    elif strategy == "channel":
        scale, more = weight.abs().amax(-1, keepdim=True), {}
    else:
        scale = weight.reshape(2, 16, 2, 32).abs().amax((1, 3))
        more = {"block_structure": [16, 32]}
    return compressed("float-quantized", (scale / 448).to(dtype), num_bits=8, type="float", strategy=strategy, **more)


def int8_channels():
    scale = (weights(3).abs().amax(-1, keepdim=True) / 127).to(torch.bfloat16)
    return compressed("int-quantized", scale, num_bits=8, type="int", strategy="channel")


def gptq(bits, order, version):
    """Packed and dequantized by GPTQModel's own layer for the CPU."""
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v2_to_v1_format_module

    size = 32
    weight = weights(4)
    g_idx = torch.arange(IN, dtype=torch.int32) // size
    if order:
        g_idx = g_idx[torch.randperm(IN)]
    scale, zero = torch.zeros(OUT, IN // size), torch.zeros(OUT, IN // size)
    for group in range(IN // size):
        part = weight[:, g_idx == group]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        scale[:, group] = (high - low) / (2**bits - 1)
        zero[:, group] = (-low / scale[:, group]).round().clamp(1, 2**bits - 1)
    linear = torch.nn.Linear(IN, OUT, bias=False)
    linear.weight.data = weight
    layer = TorchLinear(bits=bits, group_size=size, sym=False, desc_act=order, in_features=IN, out_features=OUT, bias=False,
                        pack_dtype=torch.int32, register_buffers=True)
    layer.pack_original(linear, scale, zero, g_idx)  # In Python: pack() compiles an extension first.
    layer.post_init()
    want = layer.dequantize_weight().T.contiguous()
    if version == "gptq":
        convert_gptq_v2_to_v1_format_module(layer, quantize_config=type("Config", (), {"bits": bits, "pack_dtype": torch.int32})())
    tensors = {k: getattr(layer, k).clone().contiguous() for k in ("qweight", "qzeros", "scales", "g_idx")}
    return tensors, want, {"quant_method": "gptq", "bits": bits, "group_size": size, "desc_act": order, "sym": False,
                           "checkpoint_format": version}


def awq(path):
    """Packed as AutoAWQ's WQLinear_GEMM.from_linear does, and dequantized by its dequantize_gemm."""
    spec = importlib.util.spec_from_file_location("packing_utils", path)
    packing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packing)
    size, weight = 32, weights(5)
    groups = weight.unflatten(-1, (-1, size))
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scale = ((high - low) / 15).half()
    zero = (-low / scale.float()).round().clamp(0, 15).int()
    values = ((groups / scale.float()[..., None]).round() + zero[..., None]).clamp(0, 15).int().flatten(1).T
    order = torch.tensor(packing.AWQ_ORDER)

    def pack(matrix):
        eights = matrix.unflatten(-1, (-1, 8))[..., order]
        return (eights.long() << (4 * torch.arange(8))).sum(-1).to(torch.int64).bitwise_and(0xFFFFFFFF).to(torch.uint32).view(torch.int32)

    tensors = {"qweight": pack(values), "qzeros": pack(zero.T), "scales": scale.T.contiguous()}
    want = packing.dequantize_gemm(tensors["qweight"], tensors["qzeros"], tensors["scales"], 4, size).T.contiguous()
    return tensors, want, {"quant_method": "awq", "bits": 4, "group_size": size, "zero_point": True, "version": "gemm"}


def fp8_blocks(scale_dtype=torch.float32, out=OUT, columns=IN, block=(16, 32)):
    """DeepSeek's: dequantized by transformers."""
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    weight = weights(6, out, columns)
    blocks = weight.reshape(out // block[0], block[0], columns // block[1], block[1])
    scale = blocks.abs().amax((1, 3)) / 448
    if scale_dtype == torch.float8_e8m0fnu:
        scale = 2.0 ** torch.ceil(torch.log2(scale))
    scale = scale.to(scale_dtype)
    values = (blocks / scale.float()[:, None, :, None]).reshape(out, columns).to(torch.float8_e4m3fn)
    want = Fp8Dequantize(None)._dequantize_one(values, scale, output_dtype=torch.float32)
    return {"weight": values, "weight_scale_inv": scale}, want, {"quant_method": "fp8", "weight_block_size": list(block)}


def fp8_cut_blocks():
    """Extents that the block does not divide. Fp8Dequantize takes other blocks there; this is what trains (findings)."""
    from transformers.integrations.finegrained_fp8 import _dequantize_fp8_weight

    block, weight = [32, 32], weights(7, 48, 40)
    padded = torch.nn.functional.pad(weight, (0, 24, 0, 16)).reshape(2, 32, 2, 32)
    scale = padded.abs().amax((1, 3)) / 448
    values = (padded / scale[:, None, :, None]).reshape(64, 64)[:48, :40].contiguous().to(torch.float8_e4m3fn)
    want = _dequantize_fp8_weight(values, scale, block, torch.float32)
    return {"weight": values, "weight_scale_inv": scale}, want, {"quant_method": "fp8", "weight_block_size": block}


AWQ_FILE = os.environ.get("AWQ_PACKING_UTILS", "awq/utils/packing_utils.py")
# Those of libraries that are not pinned. "rounds": the library's own result, which is cast to the output's dtype.
CASES = {
    "nf4": lambda: bitsandbytes4("nf4", False, torch.bfloat16),
    "nf4_nested": lambda: bitsandbytes4("nf4", True, torch.bfloat16),
    "nf4_half": lambda: bitsandbytes4("nf4", True, torch.float16),
    "fp4": lambda: bitsandbytes4("fp4", False, torch.float32),
    "int8": bitsandbytes8,
    "ints4": lambda: packed_ints(4, 32),
    "ints4_zeros": lambda: packed_ints(4, 16, symmetric=False),
    "ints3": lambda: packed_ints(3, 32, dtype=torch.float16),
    "ints8": lambda: packed_ints(8, 64, dtype=torch.float32),
    "nvfp4": nvfp4,
    "nvfp4_modelopt": nvfp4_modelopt,
    "mxfp4_rows": mxfp4_rows,
    "fp8_tensor": lambda: float8("tensor"),
    "fp8_channel": lambda: float8("channel", torch.float32),
    "fp8_block": lambda: float8("block"),
    "int8_channel": int8_channels,
    "gptq": lambda: gptq(4, False, "gptq"),
    "gptq_order": lambda: gptq(4, True, "gptq"),
    "gptq_v2": lambda: gptq(4, False, "gptq_v2"),
    "gptq_2": lambda: gptq(2, False, "gptq"),
    "gptq_3": lambda: gptq(3, False, "gptq"),
    "gptq_8": lambda: gptq(8, True, "gptq"),
    "awq": lambda: awq(AWQ_FILE),
}
# Those of transformers, which is pinned.
PINNED = {
    "fp8_blocks": fp8_blocks,
    "fp8_blocks_bf16": lambda: fp8_blocks(torch.bfloat16),
    "fp8_cut_blocks": fp8_cut_blocks,
    "fp8_exponents": lambda: fp8_blocks(torch.float8_e8m0fnu),
}


def write(folder):
    os.makedirs(folder, exist_ok=True)
    for name, make in CASES.items():
        tensors, want, config = make()
        save_file({**{f"in.{k}": v.contiguous() for k, v in tensors.items()}, "want": want.contiguous()},
                  f"{folder}/{name}.safetensors", metadata={"quantization_config": json.dumps(config)})
        print(name, {k: (str(v.dtype), list(v.shape)) for k, v in tensors.items()}, want.dtype)


if __name__ == "__main__":
    write(sys.argv[1])
