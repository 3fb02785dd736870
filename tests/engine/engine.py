# SPDX-License-Identifier: Apache-2.0
"""Drives the example engine: good adapters answer right, every bad file is refused, and nothing that is served changes.

    engine.py ENGINE
"""

import json
import math
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[1]
CASES = TESTS / "golden" / "cases"
GOOD = CASES / "lora" / "expected"
OTHER = CASES / "rslora" / "expected"


def tensors(folder: pathlib.Path) -> dict:
    """Key -> (shape, floats) of a file of F32 tensors."""
    raw = (folder / "adapter_model.safetensors").read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:start])
    header.pop("__metadata__", None)
    out = {}
    for key, tensor in header.items():
        assert tensor["dtype"] == "F32"
        begin, end = tensor["data_offsets"]
        out[key] = tensor["shape"], struct.unpack(f"<{(end - begin) // 4}f", raw[start + begin:start + end])
    return out


def modules(folder: pathlib.Path) -> list[str]:
    suffix = ".lora_A.weight"
    return [key.removeprefix("base_model.model.").removesuffix(suffix) for key in tensors(folder) if key.endswith(suffix)]


def write_base(folder: pathlib.Path):
    """A base with the modules of the good adapters, in their shapes."""
    header, at = {}, 0
    all_tensors = tensors(GOOD)
    for module in modules(GOOD):
        key = f"base_model.model.{module}.lora_"
        shape = [all_tensors[key + "B.weight"][0][0], all_tensors[key + "A.weight"][0][1]]
        size = 4 * shape[0] * shape[1]
        header[module + ".weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))


def update(folder: pathlib.Path, module: str) -> list[float]:
    """strength * B (A x) for ones, from PEFT's file and formula."""
    config = json.loads((folder / "adapter_config.json").read_text())
    strength = config["lora_alpha"] / (math.sqrt(config["r"]) if config["use_rslora"] else config["r"])
    all_tensors = tensors(folder)
    (rank, width), a = all_tensors[f"base_model.model.{module}.lora_A.weight"]
    (height, _), b = all_tensors[f"base_model.model.{module}.lora_B.weight"]
    low = [sum(a[r * width:(r + 1) * width]) for r in range(rank)]
    return [strength * sum(b[o * rank + r] * low[r] for r in range(rank)) for o in range(height)]


class Engine:
    def __init__(self, program: str, base: pathlib.Path, slots: int):
        self.process = subprocess.Popen([program, base, str(slots)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command: str) -> str:
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def expect_update(self, name: str, folder: pathlib.Path):
        for module in modules(folder):
            got = [float(word) for word in self.ask(f"run {name} {module}").split()]
            want = update(folder, module)
            assert len(got) == len(want), (name, module)
            for x, y in zip(got, want):
                assert math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-6), (name, module, x, y)


def refuse_everything_bad(engine: Engine, folder: pathlib.Path) -> int:
    """Each file of the corpus as weights or as config beside a good one; the number of those refused."""
    refused = 0
    for path in sorted((TESTS / "malformed").iterdir()):
        name = {".safetensors": "adapter_model.safetensors", ".bin": "adapter_model.bin",
                ".json": "adapter_config.json"}.get(path.suffix)
        if name is None or not path.is_file():
            continue
        candidate = folder / path.name
        shutil.copytree(GOOD, candidate)
        if path.suffix == ".bin":
            (candidate / "adapter_model.safetensors").unlink()
        shutil.copy(path, candidate / name)
        answer = engine.ask(f"load bad {candidate}")
        assert answer.startswith(("refused bad: ", "loaded bad: ")), (path.name, answer)
        refused += answer.startswith("refused")
        if answer.startswith("loaded"):
            engine.ask("evict bad")
    return refused


def main():
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        write_base(folder)
        engine = Engine(sys.argv[1], folder, 2)
        count = len(modules(GOOD))
        assert engine.ask(f"load a {GOOD}") == f"loaded a: {count} modules"
        engine.expect_update("a", GOOD)

        refused = refuse_everything_bad(engine, folder)
        assert refused > 200, refused
        engine.expect_update("a", GOOD)

        # Another adapter in its place, again and again, while the workers serve.
        for _ in range(20):
            assert engine.ask(f"load a {OTHER}").startswith("loaded")
            assert engine.ask("pause") == "served on"
            assert engine.ask(f"load a {GOOD}").startswith("loaded")
        engine.ask(f"load a {OTHER}")
        engine.expect_update("a", OTHER)

        # Two slots: the third adapter takes the place of the first.
        engine.ask(f"load b {GOOD}")
        engine.ask(f"load c {GOOD}")
        assert engine.ask("list") == "2 adapters: b c"
        assert engine.ask("evict b") == "evicted b"
        assert engine.ask(f"run b {modules(GOOD)[0]}") == 'there is no adapter "b"'
        engine.expect_update("c", GOOD)

        assert engine.ask("stats") == "served, 0 wrong"
        engine.process.stdin.close()
        assert engine.process.wait(60) == 0
    print(f"{refused} bad adapters were refused while it served")


if __name__ == "__main__":
    main()
