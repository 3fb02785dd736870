# SPDX-License-Identifier: Apache-2.0
"""convert_memory.py FERRULE: a conversion of 300 MB stays under 64 MiB of resident memory.

There and back through both formats; the tensors' bytes must come back as they were.
"""
import hashlib
import json
import resource
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

FERRULE = sys.argv[1]
LIMIT_KIB = 64 * 1024
ROWS, COLUMNS, TENSORS = 4096, 1024, 18


def write_adapter(folder):
    header, at = {}, 0
    for i in range(TENSORS):
        size = ROWS * COLUMNS * 4
        header[f"layer.{i:02}.lora_A.weight"] = {"dtype": "F32", "shape": [ROWS, COLUMNS], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with open(folder / "adapter_model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for i in range(TENSORS):
            for _ in range(ROWS):
                out.write(struct.pack("<I", i * 7919) * COLUMNS)


def data_digest(path):
    with open(path, "rb") as file:
        file.seek(8 + struct.unpack("<Q", file.read(8))[0])
        digest = hashlib.sha256()
        # In pieces: a child's peak counts what this process held when it forked.
        while piece := file.read(1 << 20):
            digest.update(piece)
        return digest.hexdigest()


def main():
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "adapter"
        write_adapter(folder)
        before = data_digest(folder / "adapter_model.safetensors")
        for form in ("bin", "bin", "safetensors", "safetensors"):
            subprocess.run([FERRULE, "convert", str(folder), "-o", str(folder), "--format", form,
                            "--durability", "fast"], check=True, stdout=subprocess.DEVNULL)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        assert data_digest(folder / "adapter_model.safetensors") == before
        assert peak < LIMIT_KIB, f"{peak} KiB"
        print(f"peak {peak} KiB")


if __name__ == "__main__":
    main()
