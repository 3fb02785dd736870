# SPDX-License-Identifier: Apache-2.0
"""Adapters as other programs saved them (tools/make_exchange_samples.py), converted to PEFT and back.

    program_samples.py FERRULE

The update of every module equals what the program itself added to the weight when it merged; written back in the program's
form and read again, it is still the same.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file

FERRULE = sys.argv[1]
SAMPLES = pathlib.Path(__file__).parent / "programs"
TOLERANCE = 1e-5  # The programs merge in float32.


def convert(source, output, to, base, *more, fails=False):
    done = subprocess.run([FERRULE, "convert", source, "-o", output, "--to", to, "--base", base, "--json", *more],
                          capture_output=True, text=True)
    if fails:
        assert done.returncode == 1 and not pathlib.Path(output).exists(), (source, done.returncode, done.stderr)
        return json.loads(done.stdout)["error"]
    assert done.returncode == 0, (source, to, done.stderr)
    report = json.loads(done.stdout)
    assert report["dropped"] == [], report
    return report


def updates(folder):
    """Weight's name -> what PEFT adds to it (IA3: what it multiplies the output by)."""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    out = {}
    for key, tensor in tensors.items():
        path, _, role = key.removeprefix("base_model.model.").partition(".lora_A.weight")
        if key.endswith(".ia3_l"):
            out[key.removeprefix("base_model.model.").removesuffix(".ia3_l") + ".weight"] = tensor.reshape(-1)
        if key.endswith(".lora_A.weight"):
            b = tensors[f"base_model.model.{path}.lora_B.weight"]
            rank = config["rank_pattern"].get(path, config["rank_pattern"].get(path.rsplit(".", 1)[-1], config["r"]))
            alpha = config["alpha_pattern"].get(path, config["alpha_pattern"].get(path.rsplit(".", 1)[-1], config["lora_alpha"]))
            assert rank == tensor.shape[0], (path, rank, tensor.shape)
            out[path + ".weight"] = alpha / rank * (b.astype(np.float64) @ tensor)
    return out


def compare(got, truth, name):
    assert sorted(got) == sorted(truth), (name, sorted(set(got) ^ set(truth)))
    for key, want in truth.items():
        have = got[key]
        if have.shape != want.shape:
            have = have.T  # GPT-2's Conv1D keeps its weight the other way round.
        error = np.linalg.norm(have - want) / np.linalg.norm(want)
        assert error < TOLERANCE, (name, key, error)


def foreign_adapters():
    """Other verbs take an adapter of any program, and say what they say of its PEFT form."""
    for name in ("torchtune", "keras-llama", "litgpt"):
        sample = SAMPLES / name
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            convert(sample / "adapter", work / "peft", "peft", sample / "base")

            def run(verb, path, *more):
                done = subprocess.run([FERRULE, verb, path, *more, "--base", sample / "base"], capture_output=True, text=True)
                assert done.returncode == 0, (verb, name, done.stderr)
                return done.stdout

            for verb, tail in (("explain", ["--json"]), ("inspect", ["--json"]), ("id", [])):
                told = [run(verb, path, *tail).replace(str(path), "") for path in (sample / "adapter", work / "peft")]
                if verb == "inspect":
                    told = [json.loads(text)["modules"] for text in told]
                assert told[0] == told[1], (verb, name, told)
            run("diff", sample / "adapter", work / "peft")
            run("normalize", sample / "adapter", "-o", work / "normal")
            compare(updates(work / "normal"), load_file(sample / "truth.safetensors"), name + ", normalized")


def strength_in_another_file():
    """--config of the other verbs, for files that do not hold their strength."""
    for name, file, settings in (("litgpt", "lit_model.pth.lora", "adapter/hyperparameters.yaml"),
                                 ("torchtune", "adapter_model.pt", "adapter/adapter_config.json"),
                                 ("lightning", "../adapter.ckpt", "config.json")):
        sample = SAMPLES / name
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            alone = work / pathlib.Path(file).name
            alone.write_bytes((sample / "adapter" / file if file[0] != "." else sample / file[3:]).read_bytes())
            more = ["--base", sample / "base", "--config", sample / settings]
            convert(alone, work / "peft", "peft", *more[1:])

            def run(verb, *words, code=0):
                done = subprocess.run([FERRULE, verb, *words], capture_output=True, text=True)
                assert done.returncode == code, (verb, name, done.returncode, done.stderr)
                return done.stdout

            for verb, tail in (("explain", ["--json"]), ("inspect", ["--json"]), ("id", [])):
                told = [run(verb, path, *tail, *more).replace(str(path), "") for path in (alone, work / "peft")]
                if verb == "inspect":
                    told = [json.loads(text)["modules"] for text in told]
                assert told[0] == told[1], (verb, name, told)
            assert "EX-6" in subprocess.run([FERRULE, "explain", alone, *more[:2]], capture_output=True, text=True).stderr
            run("diff", alone, work / "peft", "--exit-code", *more)
            checked = subprocess.run([FERRULE, "check", alone, "--json", *more], capture_output=True, text=True)
            assert json.loads(checked.stdout)["modules"]["total"] > 0 and not checked.stderr, (name, checked.stderr)  # A base without weights.
            run("normalize", alone, "-o", work / "normal", *more)
            compare(updates(work / "normal"), load_file(sample / "truth.safetensors"), name + ", normalized")


def whole_tensors():
    """What was trained beside the factors is PEFT's modules_to_save."""
    for name, file, keys in (("swift", "default/adapter_model.safetensors", ["lm_head.weight"]),
                             ("paddle-trainable", "peft_model-00001-of-00001.safetensors", ["model.norm.weight"] + [
                                 f"model.layers.{layer}.{norm}_layernorm.weight" for layer in (0, 1) for norm in ("input", "post_attention")])):
        sample = SAMPLES / name
        with tempfile.TemporaryDirectory() as work:
            out = pathlib.Path(work) / "peft"
            convert(sample / "adapter", out, "peft", sample / "base")
            before, after = load_file(sample / "adapter" / file), load_file(out / "adapter_model.safetensors")
            saved = sorted(json.loads((out / "adapter_config.json").read_text())["modules_to_save"])
            assert saved == sorted(key.removesuffix(".weight") for key in keys), saved
            for key in keys:
                assert np.array_equal(after["base_model.model." + key], before[key]), key


def swift_folders():
    """ms-swift's folder of the adapter itself, and tuners of its own."""
    sample = SAMPLES / "swift"
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        report = convert(sample / "adapter/default", work / "peft", "peft", sample / "base")
        assert report["from"] == "swift", report["from"]
        compare(updates(work / "peft"), load_file(sample / "truth.safetensors"), "swift, its own folder")
        config = json.loads((sample / "adapter/default/adapter_config.json").read_text())
        for field, value in (("swift_type", "RESTUNING"), ("use_qa_lora", True)):
            other = work / field / "default"
            other.mkdir(parents=True)
            (other / "adapter_config.json").write_text(json.dumps({**config, field: value}))
            (other / "adapter_model.safetensors").write_bytes((sample / "adapter/default/adapter_model.safetensors").read_bytes())
            error = convert(other, work / "out", "peft", sample / "base", fails=True)
            assert error["rule"] == "EX-3", error


def two_programs_in_one_folder():
    with tempfile.TemporaryDirectory() as work:
        both = pathlib.Path(work) / "both"
        both.mkdir()
        for name in ("torchtune", "litgpt"):
            for path in (SAMPLES / name / "adapter").iterdir():
                (both / path.name).write_bytes(path.read_bytes())
        base = SAMPLES / "litgpt/base"
        error = convert(both, both.parent / "out", "peft", base, fails=True)
        assert error["rule"] == "EX-2" and "lit_model.pth.lora" in error["message"] and "adapter_model.pt" in error["message"], error
        for name in ("torchtune", "litgpt"):
            convert(both, both.parent / name, "peft", base, "--from", name)


def main():
    count = 0
    for sample in sorted(SAMPLES.iterdir()):
        truth = load_file(sample / "truth.safetensors")
        program = sample.name.split("-")[0]
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            config = sample / "config.json"
            source = sample / ("adapter.ckpt" if program == "lightning" else "adapter")
            report = convert(source, work / "peft", "peft", sample / "base", *(["--config", config] if config.exists() else []))
            assert report["from"] == program, report["from"]
            compare(updates(work / "peft"), truth, sample.name)
            count += 1
            if sample.name in ("adapterhub-gpt2-ia3", "paddle-trainable") or program in ("lightning", "swift"):
                continue  # What the library's own form of these cannot say is read only.
            convert(work / "peft", work / "back", program, sample / "base")
            convert(work / "back", work / "again", "peft", sample / "base")
            compare(updates(work / "again"), truth, sample.name + ", back and again")
            count += 1
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for name, file in (("torchtune", "adapter_model.pt"), ("litgpt", "lit_model.pth.lora")):
            alone = work / name / file
            alone.parent.mkdir()
            alone.write_bytes((SAMPLES / name / "adapter" / file).read_bytes())
            error = convert(alone, work / "out", "peft", SAMPLES / name / "base", fails=True)
            assert error["rule"] == "EX-6", error
            count += 1
    with tempfile.TemporaryDirectory() as work:
        error = convert(SAMPLES / "lightning/adapter.ckpt", pathlib.Path(work) / "out", "peft", SAMPLES / "lightning/base", fails=True)
        assert error["rule"] == "EX-6", error
        count += 1
    foreign_adapters()
    strength_in_another_file()
    two_programs_in_one_folder()
    whole_tensors()
    swift_folders()
    assert count >= 20, count
    print(f"{count} conversions")


if __name__ == "__main__":
    main()
