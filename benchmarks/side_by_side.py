# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks beside this file share: our half, alive for the whole run; rounds in turns; medians, ratios and
the record of a run. What is measured, and that both sides found the same, stands in each of them."""

import argparse
import gc
import json
import operator
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

UNITS = {"us": 1e3, "ms": 1e6}  # in nanoseconds


def fail(why):
    sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: {why}")


class Half:
    """A program of ours that answers each line of words with nanoseconds and with what it found, a number."""

    def __init__(self, executable):
        self.process = subprocess.Popen([executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            fail(f"our half failed at {' '.join(map(str, words))}")
        return int(answer[0]), float(answer[1])


def timed(function, *arguments):
    """Nanoseconds and the answer, without what it costs to drop an answer."""
    gc.collect()
    start = time.perf_counter_ns()
    answer = function(*arguments)
    return time.perf_counter_ns() - start, answer


def in_turns(title, sides, rounds, warm=2, before=lambda: None, same=operator.eq):
    """The times of each side, one round of each after the other; the first `warm` rounds do not count.

    A side gives nanoseconds and what it found. If that is not the same on all sides, the run ends; a side that finds
    None is there to be timed alone.
    """
    times = [[] for _ in sides]
    for number in range(warm + rounds):
        before()
        answers = [side() for side in sides]
        found = [check for _, check in answers if check is not None]
        if not all(same(found[0], other) for other in found[1:]):
            fail(f"{title}: the sides found {found if all(isinstance(one, (int, float)) for one in found) else 'different things'}")
        if number >= warm:
            for side, (elapsed, _) in zip(times, answers):
                side.append(elapsed)
    return times


def arguments(text, rounds, *names):
    """The options that all have; `names` are those of the programs of ours that are compared."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    for name in names:
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--folder", help="where to put the files (default: a temporary folder)")
    parser.add_argument("--only", default="", help="rows whose title contains this")
    parser.add_argument("--json", help="also write the figures here")
    return parser


def record_of(**versions):
    return {"host": platform.platform(), "cpus": os.cpu_count(), "load": os.getloadavg(),
            "python": platform.python_version(), **versions, "results": []}


class Table:
    """Prints rows as they come, and keeps them. `versions` are those of the peers."""

    def __init__(self, options, unit="ms", floor=False, **versions):
        self.options, self.unit, self.floor = options, unit, floor
        self.record = record_of(**versions)
        columns = ["ours", "peer", "floor"] if floor else ["ours", "peer"]
        print(f"{'':52}" + "".join(f" {column:>12}" for column in columns) + f" {'ratio':>8} {'goal':>5}")

    def row(self, title, goal, ours, peer, rounds=None, floor=None, **turns):
        if self.options.only not in title:
            return
        rounds = rounds or self.options.rounds
        sides = [ours, peer] if floor is None else [ours, peer, floor]
        times = in_turns(title, sides, rounds, **turns)
        scaled = [[elapsed / UNITS[self.unit] for elapsed in side] for side in times]
        a, b, *rest = (statistics.median(side) for side in scaled)
        result = {"title": title, "rounds": rounds, "goal": goal, "ratio": round(b / a, 2)}
        for name, side, median in zip(("ours", "peer", "floor"), scaled, (a, b, *rest)):
            result[f"{name}_{self.unit}"] = {"median": median, "min": min(side), "max": max(side)}
        self.record["results"].append(result)
        cells = "".join(f" {median:10.2f}{self.unit}" for median in (a, b, *rest))
        if self.floor and not rest:
            cells += f" {'':12}"
        best = f"(best of each: {min(scaled[1]) / min(scaled[0]):.1f}x)"
        print(f"{title:52}{cells} {b / a:7.1f}x {'' if goal is None else goal:>5}   {best}", flush=True)

    def write(self):
        write(self.options.json, self.record)


def write(path, record):
    if path:
        pathlib.Path(path).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
