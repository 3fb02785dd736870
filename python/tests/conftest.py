# SPDX-License-Identifier: Apache-2.0
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CASES = ROOT / "tests" / "golden" / "cases"


def adapter_folders():
    """Every adapter that PEFT wrote for the golden cases, with its weights."""
    return sorted(
        config.parent
        for config in CASES.rglob("adapter_config.json")
        if any((config.parent / name).exists() for name in ("adapter_model.safetensors", "adapter_model.bin"))
    )


@pytest.fixture
def lora():
    folder = CASES / "lora"
    return next(path for path in adapter_folders() if folder in path.parents or path == folder)


@pytest.fixture(scope="session")
def ferrule_command():
    return os.environ["FERRULE_COMMAND"]
