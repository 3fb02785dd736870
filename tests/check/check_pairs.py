# SPDX-License-Identifier: Apache-2.0
"""Saves pairs of base and adapter with transformers and PEFT and asks `ferrule check` about them.

usage: check_pairs.py FERRULE [NAME]

Every pair that PEFT made fits: exit 0, N of N, bases in one file and in shards alike.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import torch
from check_models import MODELS, P, PAIRS

FERRULE = sys.argv[1]
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""


def check(adapter, base, *options):
    done = subprocess.run([FERRULE, "check", str(adapter), "--base", str(base), "--json", *options], capture_output=True, text=True)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    answer = json.loads(done.stdout)
    assert (done.returncode == 0) == (answer["verdict"] in ("ok", "warn")), (done.returncode, answer["verdict"])
    return answer


def save_bases(work, needed):
    for name in needed:
        torch.manual_seed(0)
        model = MODELS[name]()
        model.save_pretrained(work / name)
        model.save_pretrained(work / f"{name}-sharded", max_shard_size="20KB")
        assert len(list((work / f"{name}-sharded").glob("*.safetensors"))) > 1, name


def main():
    failed = []
    chosen = {name: pair for name, pair in PAIRS.items() if not ONLY or name in ONLY.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        save_bases(work, {model for model, _ in chosen.values()})
        for name, (model, config) in chosen.items():
            torch.manual_seed(1)
            try:
                P.get_peft_model(MODELS[model](), config()).save_pretrained(work / f"adapter-{name}")
            except Exception as error:
                failed.append(f"{name}: PEFT itself: {error!r}"[:300])
                continue
            for base in (work / model, work / f"{model}-sharded"):
                answer = check(work / f"adapter-{name}", base)
                counts = answer["modules"]
                wanted = ("ok", "warn") if name == "llama_bias" else ("ok",)
                if answer["verdict"] not in wanted or counts["matched"] != counts["total"] or counts["total"] == 0:
                    failed.append(f"{name} on {base.name}: {answer['verdict']} {counts} {json.dumps(answer['findings'])[:700]}")
                    break
    print("\n".join(failed))
    print(f"{len(chosen) - len(failed)} of {len(chosen)} pairs fit")
    sys.exit(1 if failed or not chosen else 0)


if __name__ == "__main__":
    main()
