# SPDX-License-Identifier: Apache-2.0
"""Ferrule's cards against PEFT's own create_or_update_model_card and PyYAML.

usage: card_differential.py DRIVER CARDS_JSON
"""

import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile

import yaml
from huggingface_hub import ModelCard
from peft import PeftModelForCausalLM, PeftModel
from torch import nn

FIELDS = ("base_model", "library_name", "pipeline_tag", "tags")


def ask(driver, requests):
    run = subprocess.run([driver], input=json.dumps(requests), capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def check_scalars(driver, rng):
    """Every string is dumped as PyYAML dumps it."""
    pieces = [" ", "  ", "a", "b", "'", '"', ":", ": ", "#", " #", "-", "- ", "?", ",", "[", "]", "{", "}", "\n", "\t",
              "é", "👀", "\x85", "\xa0", "\u2028", "\ufeff", "\x07", "\\", "word", "x" * 30, "0", "1", "9", ".", "e+",
              "_", "null", "on", "true", "0x", "0b", "2024-01-02", "T", "12:30", "%", "@", "`", "!", "&", "*", "|", ">",
              "=", "<<", "~", "...", "---", "\r"]  # fmt: skip
    texts = [p for p in pieces] + [p + q for p in pieces for q in pieces]
    for _ in range(12000):
        texts.append("".join(rng.choice(pieces) for _ in range(rng.randint(3, 9))))
    for _ in range(1500):
        texts.append("".join(rng.choice([" ", "a", "bb", "ccc" * 9, "é", '"', "\t", "'", "\n"]) for _ in range(60)))
    for _ in range(6000):
        texts.append("".join(rng.choice("0123456789.:-+_eExbtTZ ") for _ in range(rng.randint(1, 9))))
    bad = 0
    for text, ours in zip(texts, ask(driver, [{"dump": t} for t in texts])):
        theirs = yaml.dump({"k": text, "tags": [text]}, allow_unicode=True, sort_keys=False)
        if ours != theirs:
            bad += 1
            print(f"{text!r}\n  ferrule {ours!r}\n  PyYAML  {theirs!r}")
    print(f"{len(texts)} scalars, {bad} differ")
    return bad


class Base:
    def __init__(self, model_tags):
        self.model_tags = model_tags


class Config:
    def __init__(self, name):
        self.name = name

    def to_dict(self):
        return {"_name_or_path": self.name} if self.name is not None else {}


def peft_card(directory, facts, is_lora, is_causal):
    """What PEFT makes of directory/README.md."""

    class Model(PeftModelForCausalLM if is_causal else PeftModel):
        def __init__(self):
            nn.Module.__init__(self)

        config = Config(facts["name_or_path"])

        def get_base_model(self):
            return Base(facts["model_tags"])

        def _get_peft_specific_model_tags(self):
            tags = ["transformers"] + (["lora"] if is_lora else [])
            return tags + ["base_model:adapter:" + facts["name_or_path"]]

    Model().create_or_update_model_card(directory)
    with open(os.path.join(directory, "README.md"), newline="", encoding="utf-8") as file:
        return file.read()


def front_matter(text):
    card = ModelCard(text.removeprefix("\ufeff"))
    # A folded text at the end of the block loses its final line break to the closing fence.
    data = {k: v.rstrip("\n") if isinstance(v, str) else v for k, v in card.data.to_dict().items()}
    return data, [k for k in card._original_order if k in data], card.text


def random_card(rng):
    def scalar():
        return rng.choice(["mit", "'peft'", '"x: y"  # why', "~", "", "transformers", "on", "1.5", ">\n  folded\n  text",
                           "plain\n  goes on", "# only a comment"])  # fmt: skip

    def listing():
        return rng.choice(["[a, 'b']", "\n- a\n- b", "\n  - a # x\n  # y\n  - b", "[]", "\n- lora\n- transformers", "[a,\n  b]",
                           "x", "", "\n- base_model:adapter:toy/base\n- lora\n- transformers", " # c\n- q"])  # fmt: skip

    keys = ["license", "language", "datasets", "base_model", "library_name", "pipeline_tag", "tags", "extra", "été"]
    rng.shuffle(keys)
    lines = []
    for key in keys[: rng.randint(0, len(keys))]:
        value = listing() if key in ("tags", "datasets") else scalar()
        lines.append(f"{key}:{'' if value.startswith((chr(10), ' ')) or not value else ' '}{value}")
        if rng.random() < 0.2:
            lines.append(rng.choice(["# a comment", "", "  # indented"]))
    fenced = "---\n" + "".join(line + "\n" for line in lines) + ("\n" if not lines else "") + "---\n"
    body = rng.choice(["", "# Title\n\ntext\n", "text", "\n\n# Title\n### Framework versions\n\n- PEFT 0.9.0\n- Torch 2\n",
                       "### Framework versions\n", "### Framework versions", "x\n### Framework versions\n\n- PEFT 0.21.2\n",
                       "a\n\n\n", "### Framework versions\n\n"])  # fmt: skip
    text = (fenced if rng.random() < 0.85 else "") + body
    return text.replace("\n", "\r\n") if rng.random() < 0.25 else text


def check_cards(driver, rng):
    """Existing cards end up with PEFT's front matter and text; each program is a no-op after the other."""
    facts_of = [
        {"name_or_path": "toy/base", "model_tags": [], "is_transformers": True},
        {"name_or_path": "on", "model_tags": ["trl", "unsloth: x", "a b" * 40], "is_transformers": True},
    ]
    requests = []
    for _ in range(700):
        is_lora, is_causal = rng.random() < 0.5, rng.random() < 0.5
        config = {"peft_type": "LORA" if is_lora else "IA3", "task_type": "CAUSAL_LM" if is_causal else None}
        facts = rng.choice(facts_of)
        existing = None if rng.random() < 0.05 else random_card(rng)
        requests.append({"facts": facts, "adapters": {"default": config}, "existing": existing})
    answers = ask(driver, requests)
    again = ask(driver, [{**r, "existing": a["text"]} for r, a in zip(requests, answers)])
    theirs_then_ours = []
    bad = 0

    def complain(what, request, ours, theirs=None):
        nonlocal bad
        bad += 1
        print(f"{what}: {request['existing']!r}\n  ferrule {ours!r}\n  PEFT    {theirs!r}")

    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "README.md")

        def peft(request, start):
            if os.path.exists(path):
                os.remove(path)
            if start is not None:
                with open(path, "w", newline="", encoding="utf-8") as file:
                    file.write(start)
            config = request["adapters"]["default"]
            return peft_card(directory, request["facts"], config["peft_type"] == "LORA", bool(config["task_type"]))

        for request, answer, second in zip(requests, answers, again):
            ours = answer["text"]
            if "MC-4" in answer["rules"] or "MC-7" in answer["rules"]:
                complain("left alone", request, ours)
                continue
            if second["changed"] or second["text"] != ours:
                complain("not idempotent", request, ours, second["text"])
            theirs = peft(request, request["existing"])
            theirs_then_ours.append((request, theirs))
            our_data, our_order, our_text = front_matter(ours)
            their_data, their_order, their_text = front_matter(theirs)
            if our_data != their_data or our_order != their_order:
                complain("front matter", request, ours, theirs)
            if request["existing"] and request["existing"].strip():
                if "\n".join(our_text.splitlines()) != their_text:
                    complain("text", request, ours, theirs)
            elif peft(request, ours) != ours:
                complain("PEFT changes a new card", request, ours, peft(request, ours))
    answers = ask(driver, [{**r, "existing": t} for r, t in theirs_then_ours])
    for (request, theirs), answer in zip(theirs_then_ours, answers):
        if answer["changed"]:
            complain("ferrule changes PEFT's card", request, answer["text"], theirs)
    print(f"{len(requests)} cards, {bad} differ")
    return bad


def check_golden(driver, path):
    """New cards have the front matter that real PEFT wrote for a real model."""
    with open(path, encoding="utf-8") as file:
        cases = json.load(file)
    bad = 0
    for case, answer in zip(cases, ask(driver, [{**c, "existing": None} for c in cases])):
        ours = re.match(r"---\n([\s\S]*?)\n---\n", answer["text"]).group(1)
        if ours != case["front_matter"]:
            bad += 1
            print(f"{case['name']}:\n  ferrule {ours!r}\n  PEFT    {case['front_matter']!r}")
    print(f"{len(cases)} cards of real models, {bad} differ")
    return bad


def main():
    driver, cards = sys.argv[1:3]
    logging.disable(logging.WARNING)
    rng = random.Random(20261)
    bad = check_scalars(driver, rng) + check_golden(driver, cards) + check_cards(driver, rng)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
