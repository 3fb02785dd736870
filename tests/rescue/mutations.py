# SPDX-License-Identifier: Apache-2.0
"""Every kind of checkpoint broken in every way: one table for each program that has checkpoints.

A table is {kind: {way: cell}}, with every way for every kind. A cell is

    (break, rule, names)            what is done to a copy, and what refuses it, naming what
    (break, rule, names, options)   with more options of the command
    Noted(break)                    the format cannot prove it: read, and reported by RS-17
    "text"                          why the kind cannot be broken so
"""

import dataclasses
import json
import shutil
import tempfile
import pathlib
from typing import Callable

WAYS = ("missing file", "cut file", "mixed steps", "wrong world", "empty tensor", "another run", "optimizer alone", "no adapter")


@dataclasses.dataclass
class Noted:
    how: Callable


def run(checks, root, table, config_of):
    for kind, cells in table.items():
        assert tuple(cells) == WAYS, f"{kind} does not have every way: {set(WAYS) ^ set(cells)}"
        for way, cell in cells.items():
            checkpoint, config = root / kind, config_of(kind)
            if isinstance(cell, str):
                continue
            if isinstance(cell, Noted):
                noted(checks, f"{kind}, {way}", checkpoint, config, cell.how)
                continue
            how, rule, names, *more = cell
            place, how = how if isinstance(how, tuple) else (checkpoint, how)
            checks.refused(place, config, "rescue", how, rule, names, *more)


def noted(checks, name, checkpoint, config, how):
    with tempfile.TemporaryDirectory() as place:
        copy = pathlib.Path(place) / checkpoint.name
        shutil.copytree(checkpoint, copy)
        how(copy)
        done, out = checks.run("rescue", copy, config, "--json")
        notes = [f for f in json.loads(done.stdout)["findings"] if f["rule"] == "RS-17"] if done.returncode == 0 else []
        checks.report(f"{name} is noted", None if notes else f"exit {done.returncode}, no note RS-17: {done.stderr[:200]}")
        shutil.rmtree(out.parent)
