# SPDX-License-Identifier: Apache-2.0
"""Runs `ferrule rescue` and `assemble` and judges what they wrote."""

import json
import pathlib
import shutil
import subprocess
import tempfile

from safetensors import safe_open


def tensors_of(folder):
    out = {}
    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        for name in file.keys():
            tensor = file.get_tensor(name)
            out[name] = (tensor.dtype, tuple(tensor.shape), tensor.contiguous().flatten().view(dtype=__import__("torch").uint8).tolist())
    return out


# Directories of small zips are read in large pieces.
SMALL = 200_000


class Checks:
    def __init__(self, ferrule):
        self.ferrule = ferrule
        self.passed = self.failed = 0

    def run(self, verb, checkpoint, config, *options):
        """The exit code, what it printed, and the folder that it was to write."""
        out = pathlib.Path(tempfile.mkdtemp()) / "out"
        given = ["--config", str(config)] if config else []
        done = subprocess.run(
            [self.ferrule, verb, str(checkpoint), "-o", str(out), *given, *options], capture_output=True, text=True, timeout=120
        )
        return done, out

    def report(self, name, why):
        if why:
            self.failed += 1
            print(f"FAILED {name}: {why}")
        else:
            self.passed += 1

    def good(self, checkpoint, expected, verb="rescue", says=None, options=(), config=True):
        given = expected / "adapter_config.json" if config else None
        done, out = self.run(verb, checkpoint, given, "--json", *options)
        self.report(f"{verb} {checkpoint}", self.difference(done, out, expected, says or {}))
        shutil.rmtree(out.parent)

    @staticmethod
    def difference(done, out, expected, says):
        if done.returncode != 0:
            return f"exit {done.returncode}: {done.stderr.strip()[:300]}"
        report = json.loads(done.stdout)
        wrong = {key: report[key] for key, value in says.items() if report[key] != value}
        if wrong:
            return f"reports {wrong}, expected {says}"
        if report["bytes_read"] > report["checkpoint_bytes"] * 2 + SMALL:
            return f"read {report['bytes_read']} of {report['checkpoint_bytes']} bytes"
        if (out / "adapter_config.json").read_bytes() != (expected / "adapter_config.json").read_bytes():
            return "the config is not the given one"
        found, wanted = tensors_of(out), tensors_of(expected)
        if found.keys() != wanted.keys():
            return f"names: {sorted(found.keys() ^ wanted.keys())[:4]}"
        for name in wanted:
            if found[name] != wanted[name]:
                return f"{name}: {found[name][:2]}, expected {wanted[name][:2]}"
        return None

    def refused(self, checkpoint, config, verb, how, rule, names, options=()):
        """`how` breaks a copy. The message has the rule and names the culprit, and nothing is written."""
        with tempfile.TemporaryDirectory() as place:
            copy = pathlib.Path(place) / checkpoint.name
            (shutil.copytree if checkpoint.is_dir() else shutil.copy)(checkpoint, copy)
            if how:
                how(copy)
            done, out = self.run(verb, copy, config, *options)
            why = None
            if done.returncode != 1:
                why = f"exit {done.returncode}, expected 1: {done.stderr.strip()[:200]}"
            elif rule not in done.stderr or names not in done.stderr:
                why = f"expected {rule} and {names!r}: {done.stderr.strip()[:300]}"
            elif out.exists():
                why = f"it left {[p.name for p in out.iterdir()]}"
            self.report(f"{verb} {checkpoint.parent.name}/{checkpoint.name} refused by {rule}", why)
            shutil.rmtree(out.parent)

    def newest_complete(self, folder, kind, culprit):
        """RS-18: a run whose last step is broken."""
        with tempfile.TemporaryDirectory() as place:
            for step in (1, 2):
                shutil.copytree(folder / kind, pathlib.Path(place) / f"run/step-{step}")
            (pathlib.Path(place) / "run/step-2" / culprit).unlink()
            done, out = self.run("rescue", pathlib.Path(place) / "run", folder / "expected/adapter_config.json", "--json")
            why = self.difference(done, out, folder / "expected", {"step": 1})
            if not why and not any(f["rule"] == "RS-18" and culprit in f["message"] for f in json.loads(done.stdout)["findings"]):
                why = "step 2 is not reported"
            self.report("the newest complete step", why)

    def provable(self, checkpoint, config):
        """RS-17: DCP cannot prove that its files are of one step, and the report says so."""
        done, out = self.run("rescue", checkpoint, config, "--json")
        notes = [f for f in json.loads(done.stdout)["findings"] if f["rule"] == "RS-17"]
        self.report("what DCP cannot prove", None if notes else "no note RS-17")

    def warned(self, checkpoint, config, rule, text):
        done, out = self.run("rescue", checkpoint, config, "--json")
        findings = json.loads(done.stdout)["findings"] if done.returncode == 0 else []
        told = any(f["rule"] == rule and text in f["message"] for f in findings)
        self.report(f"{checkpoint} is warned about", None if told else f"exit {done.returncode}, {findings}")

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
