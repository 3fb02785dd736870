# SPDX-License-Identifier: Apache-2.0
import os

# Nothing here may ask the network; what would is an error, not a wait.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch

import ferrule.peft


@pytest.fixture(autouse=True)
def _clean():
    torch.manual_seed(0)
    yield
    ferrule.peft.unpatch()
