#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does all that README.md and docs/ show for the shell, in Python too, with neither numpy nor torch.

    walk_readme.py FERRULE ROOT

Every command of these pages runs as it is written, with FERRULE, in a folder in which its names are there; what stands for
it in Python runs in another copy of that folder. Both must write the same files and report the same document. A command
that is added to a page without its line here fails. Only the standard library is used, so that this runs in a system that
has nothing but Python and the wheel; those that ask a Hub need HF_ENDPOINT and HF_TOKEN of tests/hub/emulator.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

for name in ("numpy", "torch"):
    sys.modules[name] = None  # Importing them fails, also where they are installed.

import ferrule  # noqa: E402

AdapterConfig = ferrule.AdapterConfig

#: What the pages leave to `ferrule help`.
MORE = {
    "clean my-adapter": lambda: ferrule.clean("my-adapter"),
    "config upgrade my-adapter/adapter_config.json": lambda: AdapterConfig.upgrade("my-adapter/adapter_config.json"),
    "extract --base llama --tuned my-finetune -o lora --rank 2 --report page.html":
        lambda: ferrule.extract("llama", "my-finetune", "lora", rank=2, report="page.html"),
    "publish my-adapter root --keep 2": lambda: ferrule.publish("my-adapter", "root", keep=2),
    "resize adapter -o small --rank 2 --report page.html --threads 1":
        lambda: ferrule.resize("adapter", "small", rank=2, report="page.html", threads=1),
    "state-dict out -o FILE --adapter style": lambda: ferrule.state_dict("out", "FILE", adapter_name="style"),
}
#: Shards come from trainers, which have numpy or torch.
NOT_WALKED = {"help", "assemble"}
#: Lists of paths for several processes; Python has lists, and ferrule.ray.
LEFT_OUT = ("docs/fleets.md",)

#: {page: {a command on it, as it is written: the same in Python}}
WALK = {
    "README.md": {
        "save checkpoint-500 -o my-adapter --config adapter_config.json":
            lambda: ferrule.save("checkpoint-500", "my-adapter", "adapter_config.json"),
        "verify my-adapter": lambda: ferrule.verify("my-adapter"),
        "check my-adapter --base base-model": lambda: ferrule.check("my-adapter", "base-model"),
        "push my-adapter user/my-adapter": lambda: ferrule.push("my-adapter", "ann/my-adapter"),
        "save STATE -o out --config FILE": lambda: ferrule.save("STATE", "out", "FILE"),
        "inspect out --tensors": lambda: ferrule.inspect("out"),
        "state-dict out -o FILE": lambda: ferrule.state_dict("out", "FILE"),
        "rescue checkpoint-500 -o out": lambda: ferrule.rescue("checkpoint-500", "out"),
        "config new LORA r=16 ...": lambda: AdapterConfig.make("LORA", r=16),
        "config show out": lambda: ferrule.open("out").config,
        "verify out": lambda: ferrule.verify("out"),
        "check out --base BASE": lambda: ferrule.check("out", "BASE"),
        "explain out": lambda: ferrule.explain("out"),
        "fix out -o fixed": lambda: ferrule.fix("out", "fixed"),
        "convert out -o a.gguf --to gguf --base BASE": lambda: ferrule.convert("out", "a.gguf", to="gguf", base="BASE"),
        "convert old -o new": lambda: ferrule.convert("old", "new"),
        "scan FILE": lambda: ferrule.scan("FILE"),
        "diff a b": lambda: ferrule.diff("a", "b"),
        "id out": lambda: ferrule.content_id("out"),
        "merge out --base model -o merged": lambda: ferrule.merge("out", "model", "merged"),
        "normalize out -o plain": lambda: ferrule.normalize("out", "plain"),
        "combine a b -o c --method cat": lambda: ferrule.combine(["a", "b"], "c", method="cat"),
        "push out me/x": lambda: ferrule.push("out", "ann/x"),
        "pull me/x": lambda: ferrule.pull("ann/x"),
        "inspect f --tensors": lambda: ferrule.inspect("f"),
        "resize": None,  # In docs/combine.md.
    },
    "docs/check.md": {
        "check my-adapter": lambda: ferrule.check("my-adapter"),
        "check my-adapter --base models/llama": lambda: ferrule.check("my-adapter", "models/llama"),
        "check my-adapter --base models/llama --engine vllm --json":
            lambda: ferrule.check("my-adapter", "models/llama", engines=["vllm"]),
        "fix my-adapter -o fixed --base models/llama": lambda: ferrule.fix("my-adapter", "fixed", base="models/llama"),
    },
    "docs/combine.md": {
        "combine style subject -o both --method cat --weight 1 --weight 0.7":
            lambda: ferrule.combine(["style", "subject"], "both", method="cat", weights=[1, 0.7]),
        "combine a b c -o abc --method svd --rank 16":
            lambda: ferrule.combine(["a", "b", "c"], "abc", method="svd", rank=16),
        "combine tuned unwanted -o rest --method cat --weight=1 --weight=-1":
            lambda: ferrule.combine(["tuned", "unwanted"], "rest", method="cat", weights=[1, -1]),
        "resize adapter -o small --rank 8": lambda: ferrule.resize("adapter", "small", rank=8),
        "resize adapter -o small --energy 0.95": lambda: ferrule.resize("adapter", "small", energy=0.95),
        "resize adapter -o small --max-error 0.1": lambda: ferrule.resize("adapter", "small", max_error=0.1),
        "resize adapter -o small --budget 4000000": lambda: ferrule.resize("adapter", "small", budget=4000000),
        "extract --base llama --tuned my-finetune -o lora --rank 32":
            lambda: ferrule.extract("llama", "my-finetune", "lora", rank=32),
        "extract --base llama --tuned my-finetune -o lora --rank 64 --energy 0.99 --full-modules":
            lambda: ferrule.extract("llama", "my-finetune", "lora", rank=64, energy=0.99, full_modules=True),
        "to-lora my-loha -o lora --rank 16": lambda: ferrule.to_lora("my-loha", "lora", rank=16),
        "to-lora my-dora -o lora --max-error 0.05 --base llama":
            lambda: ferrule.to_lora("my-dora", "lora", max_error=0.05, base="llama"),
    },
    "docs/merge.md": {
        "merge my-adapter --base Llama-3.1-8B -o merged": lambda: ferrule.merge("my-adapter", "Llama-3.1-8B", "merged"),
        "merge style facts --base Llama-3.1-8B -o merged --weight 0.7 --weight 1":
            lambda: ferrule.merge(["style", "facts"], "Llama-3.1-8B", "merged", weights=[0.7, 1]),
        "unmerge my-adapter --base merged -o base-again": lambda: ferrule.unmerge("my-adapter", "merged", "base-again"),
    },
}


def shown(root):
    """{page: commands}: those of code blocks, and of README's table."""
    found = {}
    for page in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        name = str(page.relative_to(root))
        if name in LEFT_OUT:
            continue
        text = page.read_text(encoding="utf-8")
        lines = [line for block in re.findall(r"^```(?:sh)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
                 for line in block.splitlines() if line.startswith("ferrule ") and "[--" not in line]
        if page == root / "README.md":
            lines += re.findall(r"`(ferrule [^`]*)`", "".join(re.findall(r"^\|.*\|$", text, re.MULTILINE)))
        commands = {shlex.join(shlex.split(line, comments=True)[1:]) for line in lines}
        if commands:
            found[name] = commands
    return found


def read_safetensors(path):
    """{name: (dtype, shape, bytes)}"""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length:]
    return {name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]) for name, entry in header.items()}


def write_safetensors(path, tensors):
    header, body = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
         "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "vocab_size": 256, "head_dim": 16,
         "rms_norm_eps": 1e-6, "tie_word_embeddings": False}


def make_world(root, world):
    """A folder with all names that the pages use, out of the checkpoint of examples/quickstart: a Llama with LoRA on it."""
    quickstart = root / "examples/quickstart"
    live = read_safetensors(quickstart / "checkpoint-20/model.safetensors")
    base = world / "base-model"
    base.mkdir(parents=True)
    write_safetensors(base / "model.safetensors", {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): tensor
        for name, tensor in live.items() if ".lora_" not in name})
    (base / "config.json").write_text(json.dumps(LLAMA))
    (world / "models").mkdir()
    for name in ("BASE", "model", "llama", "models/llama", "Llama-3.1-8B"):
        shutil.copytree(base, world / name)

    config = AdapterConfig.open(quickstart / "adapter_config.json")
    config.base_model_name_or_path = "base-model"
    ferrule.save(quickstart / "checkpoint-20", world / "my-adapter", config)
    shutil.copytree(quickstart / "checkpoint-20", world / "checkpoint-500")
    shutil.copy(world / "my-adapter/adapter_config.json", world / "checkpoint-500")
    shutil.copytree(quickstart / "checkpoint-20", world / "STATE")
    for name in ("adapter_config.json", "FILE"):
        shutil.copy(world / "my-adapter/adapter_config.json", world / name)
    shutil.copy(world / "my-adapter/adapter_model.safetensors", world / "f")
    for name in ("out", "a", "style", "tuned", "adapter"):
        shutil.copytree(world / "my-adapter", world / name)
    ferrule.resize(world / "a", world / "b", rank=2)
    for name in ("c", "subject", "unwanted", "facts"):
        shutil.copytree(world / "b", world / name)
    ferrule.convert(world / "a", world / "old", to="bin")
    ferrule.merge(world / "a", base, world / "my-finetune", copy=True)
    ferrule.merge(world / "my-adapter", base, world / "merged", copy=True)
    shutil.copytree(root / "tests/golden/cases/loha/expected", world / "my-loha")
    make_dora(world)
    return world


def make_dora(world):
    """my-adapter as DoRA, with magnitudes of one."""
    shutil.copytree(world / "my-adapter", world / "my-dora")
    config = AdapterConfig.open(world / "my-dora")
    config.use_dora = True
    (world / "my-dora/adapter_config.json").write_text(config.to_json())
    weights = world / "my-dora/adapter_model.safetensors"
    tensors = read_safetensors(weights)
    for name, (dtype, (rows, _), _) in list(tensors.items()):
        if ".lora_B." in name:
            tensors[name.replace("lora_B.weight", "lora_magnitude_vector")] = (dtype, [rows], struct.pack("<f", 1) * rows)
    write_safetensors(weights, tensors)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def document_of(text):
    """A document, without what differs if the same is pushed twice."""
    document = json.loads(text)
    if "uploaded" in document:
        document["uploaded"] = sorted(document["uploaded"] + document.pop("unchanged"))
    return document


class Walk:
    """The folder that all commands find, and copies of it that they change."""

    def __init__(self, ferrule_command, root, folder):
        self.command, self.root, self.folder = ferrule_command, root, folder
        self.world = make_world(root, folder / "world")
        self.number = 0

    def copy(self, command):
        self.number += 1
        folder = shutil.copytree(self.world, self.folder / f"copy-{self.number}")
        if "-o merged" in command:
            shutil.rmtree(folder / "merged")
        return folder

    def shell(self, command):
        """The folder, and what was printed: the document if the command has one."""
        words = shlex.split(re.sub(r" (me|user)/", " ann/", command.replace(" ...", "")))  # A user of the emulated Hub.
        if words[0] not in ("config",) and "--json" not in words:
            words.append("--json")
        folder = self.copy(command)
        done = subprocess.run([self.command, *words], cwd=folder, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return folder, done.stdout

    def python(self, command, code):
        folder = self.copy(command)
        os.chdir(folder)
        try:
            return folder, code()
        finally:
            os.chdir(self.folder)

    def step(self, command, code):
        theirs, printed = self.shell(command)
        ours, result = self.python(command, code)
        assert files_of(theirs) == files_of(ours), f"{command}: other files than in Python"
        if isinstance(result, AdapterConfig):
            if "show" not in command:
                assert result.to_json().strip() == printed.strip(), printed
            else:
                assert printed.startswith(result.peft_type) and f'"{result.base_model_name_or_path}"' in printed, printed
        elif isinstance(result, str):
            assert json.loads(printed)["adapters"][0]["id"] == result, command
        else:
            result.raise_for_errors()
            document = json.dumps(result.to_dict(tensors=True) if "--tensors" in command else result.to_dict(), indent=2)
            assert document_of(document) == document_of(printed), f"printed:\n{printed}\nin Python:\n{document}"


def main():
    command, root = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    pages = shown(root)
    for page, commands in pages.items():
        missing = commands - WALK.get(page, {}).keys()
        assert not missing, f"{page} shows {sorted(missing)}, which this does not walk"
    usage = json.loads(subprocess.run([command, "help", "--json"], check=True, capture_output=True, text=True).stdout)
    verbs = {entry["command"].split()[1] for entry in usage["commands"] if " " in entry["command"]}
    verbs -= {text.split()[0] for steps in (*WALK.values(), MORE) for text in steps} | NOT_WALKED
    assert not verbs, f"nothing walks {sorted(verbs)}"
    walked, wrong = 0, []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary).resolve()
        walk = Walk(command, root, folder)
        for page, steps in {**WALK, "ferrule help": MORE}.items():
            gone = steps.keys() - pages.get(page, steps.keys())
            assert not gone, f"{page} does not show {sorted(gone)} any more"
            for text, code in steps.items():
                if code is None:
                    continue
                walked += 1
                try:
                    walk.step(text, code)
                except Exception as error:
                    wrong.append(f"{page}: ferrule {text}: {type(error).__name__}: {error}")
        os.chdir("/")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{walked} commands of {', '.join(WALK)}: the same in Python")


if __name__ == "__main__":
    main()
