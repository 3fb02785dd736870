# SPDX-License-Identifier: Apache-2.0
"""docs/async.md's recipe for accelerate, run on one process, and its files compared with PEFT's own."""

import ferrule
import ferrule.peft
import peft
import torch
from accelerate import Accelerator
from models import make


def test_a_loop_of_accelerate_saves_what_peft_saves(tmp_path):
    model = make("lora")
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)
    accelerator = Accelerator(cpu=True)
    model, optimizer = accelerator.prepare(model, optimizer)
    ids = torch.arange(8).reshape(1, 8)
    for _ in range(2):
        accelerator.backward(model(input_ids=ids, labels=ids).loss)
        optimizer.step()
        optimizer.zero_grad()
    state = accelerator.get_state_dict(model)
    unwrapped = accelerator.unwrap_model(model)
    ferrule.peft.save_pretrained(unwrapped, tmp_path / "ours", state_dict=state,
                                 is_main_process=accelerator.is_main_process)
    accelerator.wait_for_everyone()
    unwrapped.save_pretrained(tmp_path / "theirs", state_dict=state)
    name = "adapter_model.safetensors"
    assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    assert ferrule.verify(tmp_path / "ours", values=True).good
    assert isinstance(unwrapped, peft.PeftModel)
