# SPDX-License-Identifier: Apache-2.0
"""Asks peft_oracle, the C++ side of these tests."""

import json
import subprocess


def ask(oracle: str, questions: list[dict]) -> list[dict]:
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([oracle], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(questions), (len(answers), len(questions))
    return answers


def report(name: str, checked: int, failures: list[str]) -> int:
    for failure in failures[:400]:
        print("FAILED", failure)
    print(f"{name}: {checked} checked, {len(failures)} differ")
    return 1 if failures or checked == 0 else 0
