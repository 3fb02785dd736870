# SPDX-License-Identifier: Apache-2.0
"""extract, resize and combine beside the torch that does the same, and PEFT's add_weighted_adapter.

    python factor_bench.py FERRULE [--layers N] [--rounds N] [--only TEXT] [--folder DIR] [--json FILE]

Ours are whole processes, from the start to the files in place (flushed as the command does it by default). The peers' figures are the
inner time of a process that has torch loaded and warm: reading the tensors, the algebra, writing the result. Both use all cores. Every
round compares the errors: ours may be at most 1 % above the peer's, or the run ends. The slow peers (a full SVD, add_weighted_adapter)
run twice. Adapters are 7B-shaped, with --layers of the 32 layers (default 2); both sides grow with them alike.
"""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import peft
import torch
from safetensors.torch import load_file, save_file
from side_by_side import Table, arguments, fail

SHAPES = {"self_attn.q_proj": (4096, 4096), "self_attn.k_proj": (4096, 4096), "self_attn.v_proj": (4096, 4096),
          "self_attn.o_proj": (4096, 4096), "mlp.gate_proj": (11008, 4096), "mlp.up_proj": (11008, 4096),
          "mlp.down_proj": (4096, 11008)}
CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 11008,
          "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000}


def write_adapter(folder, layers, rank, seed, shapes=SHAPES):
    """A LoRA whose updates have singular values that fall, as trained ones do."""
    torch.manual_seed(seed)
    tensors = {}
    fall = torch.logspace(0, -2, rank)
    for layer in range(layers):
        for name, (out, into) in shapes.items():
            key = f"base_model.model.model.layers.{layer}.{name}."
            tensors[key + "lora_A.weight"] = torch.randn(rank, into) * fall[:, None] / into**0.5
            tensors[key + "lora_B.weight"] = torch.randn(out, rank) / out**0.5
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=sorted({name.split(".")[-1] for name in shapes}))
    config.base_model_name_or_path = "base"
    config.save_pretrained(folder)
    return folder


def factors(folder):
    """(name, A, B times the strength) of each module."""
    tensors = load_file(folder / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    for key in sorted(tensors):
        if not key.endswith("lora_A.weight"):
            continue
        name = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        rank, alpha = (next((value for pattern, value in config[table].items() if pattern.removeprefix("^").replace("\\", "") == name),
                            config[field]) for table, field in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha")))
        yield name, tensors[key], tensors[key.replace("lora_A", "lora_B")] * (alpha / rank)


def distance(left, right):
    """|B A - D C| of low-rank products, without making them."""
    a, b = torch.cat([left[0], right[0]]).double(), torch.cat([left[1], -right[1]], 1).double()
    ra, rb = torch.linalg.qr(a.T).R, torch.linalg.qr(b).R
    return torch.linalg.matrix_norm(rb @ ra.T).item()


class Sides:
    def __init__(self, ferrule, folder):
        self.ferrule, self.folder = ferrule, folder
        self.error = None

    def ours(self, words, error):
        out = self.folder / "ours"
        shutil.rmtree(out, ignore_errors=True)
        start = time.perf_counter_ns()
        subprocess.run([self.ferrule, *map(str, words), "-o", out, "--threads", "0"], check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter_ns() - start
        self.error = error(out)
        return took, None

    def peer(self, work, error):
        start = time.perf_counter_ns()
        result = work(self.folder / "peer.safetensors")
        took = time.perf_counter_ns() - start
        theirs = error(result)
        if self.error > theirs * 1.01 + 1e-6:
            fail(f"our error is {self.error}, the peer's {theirs}")
        return took, None


def extract_rows(table, sides, folder):
    torch.manual_seed(0)
    name = "model.layers.0.self_attn.q_proj.weight"
    weight = torch.randn(4096, 4096) * 0.02
    update = sum(torch.outer(torch.randn(4096), torch.randn(4096)) * (5e-4 / (1 + i)) for i in range(64))
    for side, value in (("base", weight), ("tuned", weight + update)):
        (folder / side).mkdir()
        save_file({name: value}, folder / side / "model.safetensors", metadata={"format": "pt"})
        (folder / side / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")

    def delta():
        return load_file(folder / "tuned" / "model.safetensors")[name] - load_file(folder / "base" / "model.safetensors")[name]

    def written(path, u, s, vt):
        save_file({"A": vt.contiguous(), "B": (u * s).contiguous()}, path)
        return vt, u * s

    def lowrank(path):
        u, s, v = torch.svd_lowrank(delta(), q=32, niter=2)
        return written(path, u, s, v.T)

    def full(path):
        u, s, vt = torch.linalg.svd(delta(), full_matrices=False)
        return written(path, u[:, :32], s[:32], vt[:32])

    true = delta()

    def error(pair):
        return ((true - pair[1] @ pair[0]).norm() / true.norm()).item()

    def ours():
        return sides.ours(["extract", "--base", folder / "base", "--tuned", folder / "tuned", "--rank", 32],
                          lambda out: error(next(factors(out))[1:]))

    table.row("extract r 32 of 4096 x 4096, svd_lowrank", 3, ours, lambda: sides.peer(lowrank, error))
    table.row("extract r 32 of 4096 x 4096, linalg.svd", 300, ours, lambda: sides.peer(full, error), rounds=1, warm=0)


def resize_rows(table, sides, folder, layers):
    adapter = write_adapter(folder / "r64", layers, 64, 1)
    true = {name: (a, b) for name, a, b in factors(adapter)}

    def error(pairs):
        return sum(distance(true[name], (a, b)) ** 2 for name, a, b in pairs) ** 0.5

    def save(path, pairs):
        save_file({f"{name}.{side}": value.contiguous() for name, a, b in pairs for side, value in (("A", a), ("B", b))}, path)
        return pairs

    def core(path):
        pairs = []
        for name, a, b in factors(adapter):
            qa, ra = torch.linalg.qr(a.T)
            qb, rb = torch.linalg.qr(b)
            u, s, vt = torch.linalg.svd(rb @ ra.T)
            pairs.append((name, vt[:16] @ qa.T, qb @ (u[:, :16] * s[:16])))
        return save(path, pairs)

    def dense(path):
        pairs = []
        for name, a, b in factors(adapter):
            u, s, v = torch.svd_lowrank(b @ a, q=32, niter=2)
            pairs.append((name, v[:, :16].T, u[:, :16] * s[:16]))
        return save(path, pairs)

    def ours():
        return sides.ours(["resize", adapter, "--rank", 16], lambda out: error(factors(out)))

    table.row("resize 64 to 16, QR and core in torch", 2, ours, lambda: sides.peer(core, error))
    table.row("resize 64 to 16, svd_lowrank of the products", 20, ours, lambda: sides.peer(dense, error), rounds=2, warm=0)


def combine_rows(table, sides, folder):
    shapes = {"self_attn.q_proj": (4096, 4096)}
    adapters = [write_adapter(folder / f"c{i}", 1, 16, 10 + i, shapes) for i in range(8)]

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = torch.nn.Module()
            self.model.layers = torch.nn.ModuleList([torch.nn.Module()])
            self.model.layers[0].self_attn = torch.nn.Module()
            self.model.layers[0].self_attn.q_proj = torch.nn.Linear(4096, 4096, bias=False)

    model = peft.PeftModel.from_pretrained(Model(), adapters[0], adapter_name="a0")
    for i, adapter in enumerate(adapters[1:], 1):
        model.load_adapter(adapter, adapter_name=f"a{i}")
    sides_of = [next(factors(adapter))[1:] for adapter in adapters]
    true = (torch.cat([a for a, _ in sides_of]), torch.cat([b for _, b in sides_of], 1))

    def peer(path):
        model.add_weighted_adapter([f"a{i}" for i in range(8)], [1.0] * 8, "sum", combination_type="svd", svd_rank=16)
        layer = model.base_model.model.model.layers[0].self_attn.q_proj
        pair = layer.lora_A["sum"].weight.data, layer.lora_B["sum"].weight.data
        save_file({"A": pair[0].contiguous(), "B": pair[1].contiguous()}, path)
        model.delete_adapter("sum")
        return pair

    def ours():
        return sides.ours(["combine", *adapters, "--method", "svd", "--rank", 16],
                          lambda out: distance(true, next(factors(out))[1:]))

    table.row("combine eight r 16 of 4096 x 4096, PEFT svd", 50, ours, lambda: sides.peer(peer, lambda pair: distance(true, pair)),
              rounds=2, warm=0)


def main():
    options = arguments(__doc__, 5, "ferrule")
    options.add_argument("--layers", type=int, default=2)
    options = options.parse_args()
    table = Table(options, torch=torch.__version__, peft=peft.__version__)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = pathlib.Path(folder)
        sides = Sides(options.ferrule, folder)
        extract_rows(table, sides, folder)
        resize_rows(table, sides, folder, options.layers)
        combine_rows(table, sides, folder)
    table.write()


main()
