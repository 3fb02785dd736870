# SPDX-License-Identifier: Apache-2.0
"""`ferrule check` against quantized bases: the adapter of the right size fits, one of another size does not.

usage: check_quantized.py FERRULE

Each base is a small Llama whose linear layers have the tensors, shapes and dtypes of the format, as its library writes
them. If the sizes can be told from the file, another width is bad; the others are found by name. Every base is mentioned.
Bases whose weights torch computes (weight norm, the new way and the old) are not quantized: check says nothing of them.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import torch
from check_models import GQA, P, QV, T
from safetensors.torch import load_file, save_file

FERRULE = sys.argv[1]


def zeros(*shape, dtype=torch.float16):
    return torch.zeros(shape, dtype=dtype)


def ints(*shape):
    return zeros(*shape, dtype=torch.int32)


def bytes_(*shape):
    return zeros(*shape, dtype=torch.uint8)


def gptq(bits):
    def tensors(out, into):
        return {"qweight": ints(into * bits // 32, out), "qzeros": ints(1, out * bits // 32), "scales": zeros(1, out), "g_idx": ints(into)}

    return tensors


def awq(out, into):
    return {"qweight": ints(into, out // 8), "qzeros": ints(1, out // 8), "scales": zeros(1, out)}


def four_bits(out, into):
    return {"weight": bytes_(out * into // 2, 1), "weight.absmax": zeros(out * into // 64, dtype=torch.float32),
            "weight.quant_map": zeros(16, dtype=torch.float32), "weight.quant_state.bitsandbytes__nf4": bytes_(80)}


def eight_bits(out, into):
    return {"weight": zeros(out, into, dtype=torch.int8), "SCB": zeros(out, dtype=torch.float32), "weight_format": bytes_()}


def torchao(dtype):
    return lambda out, into: {"_weight_qdata": zeros(out, into, dtype=dtype), "_weight_scale": zeros(out, 1, dtype=torch.float32)}


def torchao_four(out, into):
    return {"_weight_qdata": bytes_(out, into // 2), "_weight_scale": zeros(into // 32, out), "_weight_zero_point": zeros(into // 32, out)}


def fp8(out, into):
    return {"weight": zeros(out, into, dtype=torch.float8_e4m3fn), "weight_scale_inv": zeros(1, 1, dtype=torch.float32)}


def compressed(out, into):
    return {"weight_packed": ints(out, into // 8), "weight_scale": zeros(out, 1), "weight_shape": zeros(2, dtype=torch.int64)}


def nvfp4(out, into):
    return {"weight": bytes_(out, into // 2), "weight_scale": zeros(out, into // 16, dtype=torch.float8_e4m3fn), "weight_scale_2": zeros(1, dtype=torch.float32)}


def hqq(out, into):
    return {"W_q": bytes_(out * into // 128, 64), "scale": zeros(out * into // 64, 1), "zero": zeros(out * into // 64, 1)}


def quanto(out, into):
    return {"weight._data": zeros(out, into, dtype=torch.int8), "weight._scale": zeros(out, 1), "input_scale": zeros(1), "output_scale": zeros(1)}


def eetq(out, into):
    return {"weight": zeros(into, out, dtype=torch.int8), "weight_scales": zeros(out)}


def bitnet(out, into):
    return {"weight": bytes_(out // 4, into), "weight_scale": zeros(1)}


def aqlm(out, into):
    return {"codes": zeros(out, into // 8, 1, dtype=torch.int16), "codebooks": zeros(1, 256, 1, 8), "scales": zeros(out, 1, 1, 1)}


# name: (tensors of a layer, quantization_config, whether the file tells the sizes)
FORMATS = {
    "gptq": (gptq(4), {"quant_method": "gptq", "bits": 4, "group_size": 128}, True),
    "gptq_of_3_bits": (gptq(3), {"quant_method": "gptq", "bits": 3, "group_size": 128}, True),
    "gptq_of_8_bits": (gptq(8), {"quant_method": "gptq", "bits": 8, "group_size": 128}, True),
    "gptq_with_its_config_elsewhere": (gptq(4), None, True),
    "auto_round": (gptq(4), {"quant_method": "auto-round", "bits": 4, "packing_format": "auto_round:auto_gptq"}, True),
    "awq": (awq, {"quant_method": "awq", "bits": 4, "version": "gemm"}, True),
    "awq_with_its_config_elsewhere": (awq, None, True),
    "bitsandbytes_4": (four_bits, {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, True),
    "bitsandbytes_8": (eight_bits, {"quant_method": "bitsandbytes", "load_in_8bit": True}, True),
    "torchao_int8": (torchao(torch.int8), {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig"}}}, True),
    "torchao_float8": (torchao(torch.float8_e4m3fn), {"quant_method": "torchao", "quant_type": {"default": {"_type": "Float8WeightOnlyConfig"}}}, True),
    "torchao_int4": (torchao_four, {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}}}, False),
    "fp8": (fp8, {"quant_method": "fp8", "weight_block_size": [128, 128]}, True),
    "compressed_tensors": (compressed, {"quant_method": "compressed-tensors", "format": "pack-quantized"}, False),
    "nvfp4": (nvfp4, {"quant_method": "modelopt", "quant_algo": "NVFP4"}, False),
    "hqq": (hqq, {"quant_method": "hqq"}, False),
    "quanto": (quanto, {"quant_method": "quanto", "weights": "int8"}, True),
    "eetq": (eetq, {"quant_method": "eetq", "weights": "int8"}, False),
    "bitnet": (bitnet, {"quant_method": "bitnet"}, False),
    "aqlm": (aqlm, {"quant_method": "aqlm"}, False),
}


def parametrized(norms, direction):
    return lambda out, into: {norms: zeros(out, 1, dtype=torch.float32), direction: zeros(out, into, dtype=torch.float32)}


PLAIN = {
    "weight_norm": parametrized("parametrizations.weight.original0", "parametrizations.weight.original1"),
    "old_weight_norm": parametrized("weight_g", "weight_v"),
}


def llama(**changes):
    torch.manual_seed(0)
    return T.LlamaForCausalLM(T.LlamaConfig(**{**GQA, **changes}))


def quantize(plain, base, tensors_of, quantization):
    base.mkdir()
    tensors = {}
    for key, value in load_file(plain / "model.safetensors").items():
        if key.endswith("_proj.weight"):
            stem = key[: -len("weight")]
            tensors.update({stem + name: value for name, value in tensors_of(*value.shape).items()})
        else:
            tensors[key] = value
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((plain / "config.json").read_text())
    if quantization:
        config["quantization_config"] = quantization
    (base / "config.json").write_text(json.dumps(config))


def check(adapter, base):
    done = subprocess.run([FERRULE, "check", adapter, "--base", base, "--json"], capture_output=True, text=True)
    answer = json.loads(done.stdout)
    return answer["verdict"], {finding["rule"] for finding in answer["findings"]}, answer


def main():
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        llama().save_pretrained(work / "plain")
        for name, changes, config in (("right", {}, QV), ("wider", {"hidden_size": 64}, QV), ("elsewhere", {}, {"target_modules": ["q_proj"]})):
            P.get_peft_model(llama(**changes), P.LoraConfig(r=4, **config)).save_pretrained(work / name)
        elsewhere = work / "elsewhere" / "adapter_model.safetensors"
        save_file({k.replace("q_proj", "qq_proj"): v for k, v in load_file(elsewhere).items()}, elsewhere)
        for name, (tensors_of, quantization, sized) in FORMATS.items():
            base = work / name
            quantize(work / "plain", base, tensors_of, quantization)
            for adapter, verdict, rule in (("right", "ok", "BS-14"), ("wider", "bad" if sized else "ok", "BS-2" if sized else "BS-14"), ("elsewhere", "bad", "BS-1")):
                found, rules, answer = check(work / adapter, base)
                if found != verdict or rule not in rules or "BS-14" not in rules:
                    failed.append(f"{name}, {adapter}: expected {verdict} with {rule} and BS-14, got {json.dumps(answer)[:600]}")
        for name, tensors_of in PLAIN.items():
            quantize(work / "plain", work / name, tensors_of, None)
            for adapter, verdict, rules in (("right", "ok", set()), ("wider", "bad", {"BS-2"}), ("elsewhere", "bad", {"BS-1"})):
                found, found_rules, answer = check(work / adapter, work / name)
                if found != verdict or not rules <= found_rules or "BS-14" in found_rules:
                    failed.append(f"{name}, {adapter}: expected {verdict} with {rules}, got {json.dumps(answer)[:600]}")
    print("\n".join(failed) or f"{len(FORMATS) + len(PLAIN)} formats as expected")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
