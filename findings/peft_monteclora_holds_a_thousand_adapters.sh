#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# MonteCLoRA draws its random numbers in advance: each adapted layer holds buffer_size times num_samples matrices of the shape of lora_A, with the
# defaults 150 times 8, where the layer was made. That is 1200 times the memory of lora_A, more than the frozen weight itself unless the rank is
# below out_features / 1200, and it is neither a parameter nor a buffer of the module, so nothing that counts memory by those sees it. A loaded
# adapter that only answers holds it, too. For q_proj and v_proj of 32 layers, 4096 wide, at rank 16, it comes to 20 GB in float32.
#
# Seen, 256 wide at rank 8: 1205 times lora_A, 35 times all parameters and buffers of the model, in training and loaded.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import LoraConfig, MontecloraConfig, PeftModel, get_peft_model


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = torch.nn.Linear(256, 256, bias=False)

    def forward(self, batch):
        return self.q_proj(batch)


def measure(model):
    layer = model.base_model.model.q_proj
    samples = layer.lora_monteclora_sampler["default"].sampler.buffer
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for sample in samples for tensor in sample.values()}
    counted = sum(tensor.nbytes for tensor in list(model.parameters()) + list(model.buffers()))
    return sum(storages.values()) / layer.lora_A["default"].weight.nbytes, sum(storages.values()) / counted


model = get_peft_model(Model(), LoraConfig(r=8, target_modules=["q_proj"], monteclora_config=MontecloraConfig()))
folder = os.path.join(os.environ["WORK"], "adapter")
model.save_pretrained(folder)
for name, some in (("training", model), ("loaded", PeftModel.from_pretrained(Model(), folder).eval())):
    of_factor, of_model = measure(some)
    print("{}: drawn numbers {:.0f} times lora_A, {:.1f} times all parameters and buffers".format(name, of_factor, of_model))
    assert of_factor > 1100 and of_model > 5, "the buffer is smaller now"
PYTHON
