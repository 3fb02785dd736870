# SPDX-License-Identifier: Apache-2.0
"""The kinds of modules that transformers' models are built of, for tools/make_transformers_names.py.

A layout is a tree of modules: what each one is to PEFT, and its children by name. Children of a ModuleList are merged
under "#", one alternative for each way in which they differ. Equal trees are kept once (Layouts.nodes).

A node in text: a letter, the class behind ":" where the kind alone does not name it, then " NAME=NODE" for each child;
"#=NODE|NODE" lists alternatives. Upper-case letters own parameters, lower-case ones do not.
  L nn.Linear    C transformers' Conv1D    1 2 3 nn.Conv1d, 2d, 3d    E nn.Embedding    M nn.MultiheadAttention
  N n a norm     R r a router              F fused experts: parameters [experts, out, in]; T: [experts, in, out]
  W w a wrapper around a layer             O o anything else
"""

import re

import torch
from transformers.pytorch_utils import Conv1D

ADAPTABLE = [(torch.nn.Linear, "L"), (Conv1D, "C"), (torch.nn.Conv1d, "1"), (torch.nn.Conv2d, "2"), (torch.nn.Conv3d, "3"),
             (torch.nn.Embedding, "E"), (torch.nn.MultiheadAttention, "M")]
NORM = re.compile(r"Norm(\d[dD])?$|Norm[A-Z_]")
ROUTER = re.compile(r"Router|Gate$|Gating")


def kind(module) -> str:
    """The letter of a module, and its class where that says more."""
    for cls, letter in ADAPTABLE:
        if isinstance(module, cls):
            return letter
    own = list(module.parameters(recurse=False))
    name = type(module).__name__
    if any(p.dim() >= 3 for p in own) and "xpert" in name:
        letter = "T" if getattr(module, "is_transposed", False) else "F"
    elif NORM.search(name):
        letter = "N"
    elif ROUTER.search(name):
        letter = "R"
    elif "Linear" in name:
        letter = "W"
    else:
        letter = "O"
    if not own:
        letter = letter.lower()
    return f"{letter}:{name}" if letter in "NRrFWwO" else letter


class Layouts:
    """Trees of modules, equal ones kept once."""

    def __init__(self):
        self.nodes: list[str] = []
        self._known: dict[str, int] = {}

    def _keep(self, text: str) -> int:
        if text not in self._known:
            self._known[text] = len(self.nodes)
            self.nodes.append(text)
        return self._known[text]

    def add(self, module) -> int:
        """The number of the module's tree."""
        children: dict[str, list[int]] = {}
        listed = isinstance(module, torch.nn.ModuleList)
        for name, child in module.named_children():
            alternatives = children.setdefault("#" if listed else name, [])
            number = self.add(child)
            if number not in alternatives:
                alternatives.append(number)
        text = kind(module)
        for name, alternatives in children.items():
            text += f" {name}=" + "|".join(map(str, alternatives))
        return self._keep(text)
