# SPDX-License-Identifier: Apache-2.0
"""Runs test programs one after the other, each in a process of its own that begins with torch, transformers and PEFT imported.

usage: with_peft.py PROGRAM.py ARGUMENT... [-- PROGRAM.py ARGUMENT...]...

The imports take longer than many of the programs; here they are made once. A program sees what it would see if it had
been started by hand: `python PROGRAM.py ARGUMENT...`. Exits 1 if one of them fails, and names those at the end.
"""
import os
import pathlib
import runpy
import sys
import time

# What the programs set themselves before they import: no network, and no threads that wait for each other.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
import peft  # noqa: E402, F401
import transformers  # noqa: E402, F401

# Loaded at their first use, which is in nearly every program.
for name in ("LlamaForCausalLM", "GPT2LMHeadModel", "BertForSequenceClassification"):
    getattr(transformers, name)


def start(program, arguments):
    """The process id. The child does not return into the loop: it ends as the program does."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    sys.argv = [str(program), *arguments]
    sys.path[0] = str(program.parent)
    runpy.run_path(str(program), run_name="__main__")
    sys.exit(0)


def main():
    commands = [[]]
    for word in sys.argv[1:]:
        if word == "--":
            commands.append([])
        else:
            commands[-1].append(word)
    failed = []
    for name, *arguments in commands:
        program = pathlib.Path(name).resolve()
        began = time.monotonic()
        print(f"--- {program.name}", flush=True)
        _, status = os.waitpid(start(program, arguments), 0)
        code = os.waitstatus_to_exitcode(status)
        print(f"--- {program.name}: exit {code} after {time.monotonic() - began:.1f} s", flush=True)
        if code:
            failed.append(program.name)
    print(f"{len(commands) - len(failed)} of {len(commands)} programs passed" + "".join(f"\nFAILED {name}" for name in failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
