#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains with Lightning and LightningSaveCallback, for real, and loads what was saved with plain PEFT.

    check_lightning.py WORK    WORK is a folder for a virtual environment with the pinned Lightning

Run it with the interpreter that has torch and PEFT, and PYTHONPATH naming a built package. Installs Lightning from a
package registry the first time: part of ./test --all.
"""

import os
import pathlib
import subprocess
import sys
import sysconfig
import venv

LIGHTNING = "lightning==2.6.6"

PROGRAM = """
import pathlib, sys
import ferrule, ferrule.peft, peft, torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

work = pathlib.Path(sys.argv[1])


class Base(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(8, 8)
        self.last = torch.nn.Linear(8, 1)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


class Task(LightningModule):
    def __init__(self, base):
        super().__init__()
        self.model = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["first"]))

    def training_step(self, batch, index):
        x, y = batch
        return torch.nn.functional.mse_loss(self.model(x), y)

    def configure_optimizers(self):
        return torch.optim.SGD((p for p in self.parameters() if p.requires_grad), lr=0.1)


seed_everything(0)
base = Base()
frozen = {name: tensor.clone() for name, tensor in base.state_dict().items()}
task = Task(base)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(32, 8), torch.randn(32, 1)), batch_size=8)
callback = ferrule.peft.LightningSaveCallback(work / "out", only_adapters=True)
trainer = Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
                  callbacks=[callback, ModelCheckpoint(dirpath=work / "checkpoints")])
trainer.fit(task, data)

assert ferrule.verify(work / "out", values=True).good
(checkpoint,) = (work / "checkpoints").glob("*.ckpt")
names = set(torch.load(checkpoint, weights_only=True)["state_dict"])
assert names and all("lora_" in name for name in names), names
fresh = Base()
fresh.load_state_dict(frozen)
loaded = peft.PeftModel.from_pretrained(fresh, str(work / "out"))
x = torch.randn(4, 8)
assert torch.equal(loaded(x), task.model(x))
print("Lightning: trained, saved, loaded with PEFT")
"""


def main():
    work = pathlib.Path(sys.argv[1]).resolve()
    home = work / "environment"
    stamp = home / "stamp"
    if not stamp.exists() or stamp.read_text() != LIGHTNING:
        venv.create(home, with_pip=True, clear=True)
        python = home / "bin/python"
        # torch and PEFT are those of the interpreter that runs this.
        site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                              capture_output=True, text=True).stdout.strip()
        (pathlib.Path(site) / "reference.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", LIGHTNING], check=True)
        stamp.write_text(LIGHTNING)
    run = work / "run"
    subprocess.run(["rm", "-rf", run], check=True)
    run.mkdir(parents=True)
    subprocess.run([home / "bin/python", "-c", PROGRAM, run], check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})


if __name__ == "__main__":
    main()
