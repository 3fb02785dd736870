# SPDX-License-Identifier: Apache-2.0
"""Builds a minimal library without the packages that it must not need, and measures a program on top of it.

    minimal.py SOURCE WORK CXX FERRULE
"""

import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys

SOURCE, WORK = map(pathlib.Path, sys.argv[1:3])
CXX, FERRULE = sys.argv[3:5]
CASES = SOURCE / "tests/golden/cases"
MAX_BYTES = 700_000
#: The C++ runtime and what it needs itself.
RUNTIME = re.compile(r"(libstdc\+\+|libm|libgcc_s|libc|libpthread|ld-linux.*)\.so\.\d+")
MISSING = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in ("OpenSSL", "yaml-cpp", "PkgConfig", "Eigen3", "CURL")]


def run(*words, code=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if code is not None and done.returncode != code:
        sys.exit(f"{' '.join(map(str, words))} gave {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def build() -> pathlib.Path:
    shutil.rmtree(WORK, ignore_errors=True)
    settings = [f"-DCMAKE_CXX_COMPILER={CXX}", "-DCMAKE_BUILD_TYPE=MinSizeRel"]
    run("cmake", "-S", SOURCE, "-B", WORK / "library", "-DFERRULE_MINIMAL=ON", "-DFERRULE_UNITY=ON", *settings, *MISSING)
    run("cmake", "--build", WORK / "library", "--parallel", "2")
    run("cmake", "--install", WORK / "library", "--prefix", WORK / "prefix")
    run("cmake", "-S", SOURCE / "tests/consume/minimal", "-B", WORK / "stranger", f"-DCMAKE_PREFIX_PATH={WORK}/prefix",
        *settings, *MISSING)
    run("cmake", "--build", WORK / "stranger")
    return WORK / "stranger"


def measure(program: pathlib.Path) -> int:
    run("strip", program)
    needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", program).stdout)
    others = [name for name in needed if not RUNTIME.fullmatch(name)]
    assert not others, f"{program.name} needs {others}"
    return program.stat().st_size


def compare_open(program: pathlib.Path) -> int:
    """It says of PEFT's adapters what the whole library says."""
    compared = 0
    for case in sorted(CASES.iterdir()):
        folder = case / "expected"
        if not (folder / "adapter_model.safetensors").exists():
            continue
        lines = run(program, folder).stdout.splitlines()
        document = json.loads(run(FERRULE, "explain", folder, "--json").stdout)
        ours = {path: float(value) for path, _, value in (line.rpartition(" ") for line in lines)}
        for module in document["modules"]:
            if module["strength"] is not None and document["peft_type"] != "DELORA":
                assert ours[module["module"]] == module["strength"], (folder, module)
                compared += 1
    return compared


def survive(program: pathlib.Path) -> int:
    """No broken file ends it by a signal, and what is not safetensors is refused."""
    files = sorted(path for path in (SOURCE / "tests/malformed").iterdir() if path.suffix in (".safetensors", ".json", ".bin"))
    for number, path in enumerate(files):
        folder = WORK / "corpus" / str(number)
        shutil.copytree(CASES / "lora/expected", folder)
        if path.suffix == ".bin":
            (folder / "adapter_model.safetensors").unlink()
        name = {".safetensors": "adapter_model.safetensors", ".json": "adapter_config.json", ".bin": "adapter_model.bin"}
        shutil.copy(path, folder / name[path.suffix])
        code = run(program, folder, code=None).returncode
        assert code in (0, 1), (path, code)
        assert code == 1 or path.suffix != ".bin", path
    return len(files)


def write_base(folder: pathlib.Path, adapter: pathlib.Path):
    raw = (adapter / "adapter_model.safetensors").read_bytes()
    tensors = json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]])
    header, at = {}, 0
    for key, tensor in tensors.items():
        if key.endswith(".lora_A.weight"):
            module = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            shape = [tensors[key.replace("lora_A", "lora_B")]["shape"][0], tensor["shape"][1]]
            size = 4 * shape[0] * shape[1]
            header[module + ".weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
            at += size
    text = json.dumps(header).encode()
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))


def compare_check(program: pathlib.Path):
    base = WORK / "base"
    write_base(base, CASES / "lora/expected")
    for name in ("lora", "rslora", "ia3"):
        adapter = CASES / name / "expected"
        if not adapter.exists():
            continue
        done = run(program, adapter, base, code=None)
        document = json.loads(run(FERRULE, "check", adapter, "--base", base, "--json", code=None).stdout)
        rules = [line.split()[0] for line in done.stdout.splitlines()[1:]]
        assert rules == [finding["rule"] for finding in document["findings"]], (name, done.stdout, document)


def main():
    programs = build()
    size = measure(programs / "open")
    with_check = measure(programs / "check")
    compared = compare_open(programs / "open")
    assert compared > 100, compared
    broken = survive(programs / "open")
    compare_check(programs / "check")
    print(f"open: {size} bytes, check: {with_check} bytes; {compared} strengths, {broken} broken files")
    assert size < MAX_BYTES, size


if __name__ == "__main__":
    main()
