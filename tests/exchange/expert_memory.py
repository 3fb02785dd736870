# SPDX-License-Identifier: Apache-2.0
"""expert_memory.py FERRULE: joining 110 MB of single experts, whose gate and up share A, stays under 64 MiB of resident memory."""

import json
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile

FERRULE = sys.argv[1]
LIMIT_KIB = 64 * 1024
LAYERS, EXPERTS, HIDDEN, INNER, RANK = 4, 64, 2048, 256, 32


def write_adapter(folder):
    header, at, shapes = {}, 0, {"gate_proj": (INNER, HIDDEN), "up_proj": (INNER, HIDDEN), "down_proj": (HIDDEN, INNER)}
    for layer in range(LAYERS):
        for expert in range(EXPERTS):
            for part, (rows, columns) in shapes.items():
                for half, shape in (("A", [RANK, columns]), ("B", [rows, RANK])):
                    size = 2 * shape[0] * shape[1]
                    header[f"base_model.model.model.layers.{layer}.mlp.experts.{expert}.{part}.lora_{half}.weight"] = {
                        "dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
                    at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "source").mkdir()
    (folder / "source/adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": RANK, "lora_alpha": 32, "target_modules": sorted(shapes)}))
    with open(folder / "source/adapter_model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for entry in header.values():
            out.write(struct.pack("<HH", 0x3C00, 0x3D80) * ((entry["data_offsets"][1] - entry["data_offsets"][0]) // 4))
    (folder / "base").mkdir()
    (folder / "base/config.json").write_text(json.dumps(
        {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "num_experts": EXPERTS, "num_hidden_layers": LAYERS}))


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_adapter(folder)
        for source, to in (("source", "fused-expert"), ("fused-expert", "per-expert")):
            subprocess.run([FERRULE, "convert", folder / source, "-o", folder / to, "--to", to, "--base", folder / "base", "--durability", "fast"],
                           check=True, stdout=subprocess.DEVNULL)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        assert os.path.getsize(folder / "fused-expert/adapter_model.safetensors") > 64 << 20
        assert peak < LIMIT_KIB, f"{peak} KiB"
        print(f"peak {peak} KiB")


if __name__ == "__main__":
    main()
