# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the programs of examples/c_api, and compares what they print with the safetensors package.

    examples.py CC LIBFERRULE_C [RUSTC BINDGEN]
"""

import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

from safetensors import safe_open

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "c_api"
CASES = ROOT / "tests" / "golden" / "cases"
# LoRA without patterns: the strength is one division.
READ = ["lora", "rslora"]
SAVE = ["lora", "ia3", "loha", "ada", "bf16", "boft", "lora_bias_all"]

PREFIX = "base_model.model."


def expected(folder: pathlib.Path) -> list[str]:
    """What an example prints of an adapter, worked out without Ferrule."""
    config = json.loads((folder / "adapter_config.json").read_text())
    raw = (folder / "adapter_model.safetensors").read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:start])
    strength = config["lora_alpha"] / (math.sqrt(config["r"]) if config["use_rslora"] else config["r"])
    lines = []
    with safe_open(folder / "adapter_model.safetensors", "np") as file:
        for key in file.keys():
            tensor = header[key]
            begin, end = tensor["data_offsets"]
            module, role, _ = key.removeprefix(PREFIX).rsplit(".", 2)
            shape = ",".join(map(str, file.get_slice(key).get_shape()))
            lines.append(f"{module} {role} {key} {tensor['dtype']} [{shape}] at {start + begin}+{end - begin} "
                         f"times {strength:.9g}")
    return [f"{config['peft_type']}: {len(lines)} tensors"] + sorted(lines)


def run(*command, **environment) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def compare(what: str, printed: str, folder: pathlib.Path):
    lines = printed.splitlines()
    got, want = lines[:1] + sorted(lines[1:]), expected(folder)
    assert got == want, f"{what} of {folder}:\n" + "\n".join(got) + "\nexpected\n" + "\n".join(want)


def main():
    cc, library = sys.argv[1], pathlib.Path(sys.argv[2])
    node = pathlib.Path(sys.executable).parent / "node"
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(shutil.copy(EXAMPLES / "read_adapter.mjs", folder))
        pathlib.Path(folder, "node_modules").symlink_to(ROOT / "tests" / "capi" / "js" / "node_modules")
        program = pathlib.Path(folder) / "read_adapter"
        run(cc, "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", ROOT / "capi" / "include",
            EXAMPLES / "read_adapter.c", library, f"-Wl,-rpath,{library.parent}", "-o", program)
        for case in READ:
            adapter = CASES / case / "expected"
            compare("C", run(program, adapter), adapter)
            compare("Node", run(node, script, adapter, FERRULE_C=str(library)), adapter)
        if len(sys.argv) > 3:
            shutil.copy(EXAMPLES / "read_adapter.rs", folder)
            run(sys.argv[4], ROOT / "capi" / "include" / "ferrule" / "c.h", "--allowlist-function", "ferrule_.*",
                "--no-layout-tests", "-o", folder + "/ferrule_c.rs")
            rust = pathlib.Path(folder) / "read_adapter_rs"
            run(sys.argv[3], "-Dwarnings", folder + "/read_adapter.rs", "-L", library.parent, "-l", "ferrule_c", "-o", rust)
            for case in READ:
                compare("Rust", run(rust, CASES / case / "expected", LD_LIBRARY_PATH=str(library.parent)),
                        CASES / case / "expected")
        refused = subprocess.run([program, folder], capture_output=True, text=True)
        assert refused.returncode == 1 and "[AD-16]" in refused.stderr, refused
        missing = subprocess.run([program, folder + "/none"], capture_output=True, text=True)
        assert missing.returncode == 3, missing
        for case in SAVE:
            out = pathlib.Path(folder) / case
            (config,) = (CASES / case / "input_config").glob("*.json")
            run(sys.executable, EXAMPLES / "save_adapter.py", CASES / case / "state.safetensors", config, out,
                FERRULE_C=str(library))
            got, want = (path / "adapter_model.safetensors" for path in (out, CASES / case / "expected"))
            assert got.read_bytes() == want.read_bytes(), f"{case}: other bytes than PEFT's"
    print("the examples print what the safetensors package says, and save what PEFT saves")


if __name__ == "__main__":
    main()
