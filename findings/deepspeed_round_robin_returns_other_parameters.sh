#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deepspeed 0.19.8, torch 2.13.0, seen 2026-11-29.
#
# With "round_robin_gradients": true, ZeRO-2 lays the parameters of its flat FP32 buffer out in another order, but notes the places of the
# fragments in the usual order. deepspeed.utils.safe_get_full_fp32_param returns runs of other parameters, of the right shape and without a
# word; safe_set_full_fp32_param writes into others; and ds_to_universal, which cuts checkpoints by the same places, mixes the weights of the
# universal checkpoint. Training itself and zero_to_fp32, which knows of the order, are right.
#
# Seen: the FP32 weight of 4 of 6 parameters is not the parameter; without round_robin_gradients, and for zero_to_fp32, of none.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
DS_BUILD_OPS=0 "$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy setuptools
DS_BUILD_OPS=0 "$work/env/bin/pip" install -q --disable-pip-version-check deepspeed==0.19.8
cat > "$work/run.py" <<'PYTHON'
import os
import sys

import torch
import torch.multiprocessing as mp

CONFIG = {"train_micro_batch_size_per_gpu": 1, "zero_force_ds_cpu_optimizer": False,
          "optimizer": {"type": "AdamW", "params": {"lr": 0.01, "torch_adam": True}}}


def run(rank, folder, round_robin, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_SIZE="2",
                      DS_ACCELERATOR="cpu")
    torch.set_num_threads(1)
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # Would be compiled.
    deepspeed.init_distributed(dist_backend="gloo")
    torch.manual_seed(0)
    model = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(3)))
    config = {**CONFIG, "zero_optimization": {"stage": 2, "round_robin_gradients": round_robin}}
    engine, *_ = deepspeed.initialize(model=model, model_parameters=model.parameters(), config=config)
    for _ in range(2):
        engine.backward(engine(torch.ones(1, 8)).pow(2).sum())
        engine.step()
    get = deepspeed.utils.safe_get_full_fp32_param
    wrong = [name for name, parameter in model.named_parameters() if not torch.equal(get(parameter), parameter.detach())]
    engine.save_checkpoint(folder)
    if rank == 0:
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

        whole = get_fp32_state_dict_from_zero_checkpoint(folder)
        unlike = [name for name, parameter in model.named_parameters() if not torch.equal(whole[name], parameter.detach())]
        print(f"round_robin_gradients={round_robin}: safe_get_full_fp32_param wrong for {len(wrong)} of 6 parameters, zero_to_fp32 for "
              f"{len(unlike)}", flush=True)
        assert not unlike, "zero_to_fp32 is wrong too"
        assert bool(wrong) == round_robin, "safe_get_full_fp32_param returns something else"


if __name__ == "__main__":
    for at, round_robin in enumerate((False, True)):
        mp.start_processes(run, args=(f"{sys.argv[1]}/{at}", round_robin, 29631 + at), nprocs=2, start_method="spawn")
PYTHON
"$work/env/bin/python" "$work/run.py" "$work"
