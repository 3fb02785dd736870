#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ferrule.peft.save_pretrained under the real DeepSpeed, ZeRO-3 on CPUs; the truth is what PEFT saves of gathered weights.

    check_deepspeed.py WORK    WORK is a folder for a virtual environment with the pinned DeepSpeed

Run it with the interpreter that has torch and PEFT, and PYTHONPATH naming a built package. Part of ./test --all.
"""

import pathlib
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "rescue"
sys.path.insert(0, str(TESTS))

RANKS = 2


def run(rank, world, folder, port):
    import trainer_checkpoints as trainers

    trainers.join(rank, world, port)
    import deepspeed
    import ferrule
    import ferrule.peft
    import torch.distributed as dist
    import torch_checkpoints as real

    folder = pathlib.Path(folder)
    model = real.make_model(head=True)
    config = {**trainers.CONFIG, "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0}}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    engine, *_ = deepspeed.initialize(model=model, model_parameters=trained, config=config)
    for step in range(2):
        trainers.deepspeed_step(engine, step)
    ferrule.peft.save_pretrained(engine, folder / "engine")
    ferrule.peft.save_pretrained(model, folder / "model", is_main_process=rank == 1)
    if rank == 1:
        try:
            ferrule.peft.save_pretrained(model, folder / "alone", rank_timeout=0.5)
            raise AssertionError("it was saved without rank 0")
        except ferrule.InvalidArgumentError as error:
            assert "rank 0 did not call" in str(error)
    dist.barrier()
    with deepspeed.zero.GatheredParameters(list(model.parameters())):
        state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        ferrule.peft.save_pretrained(model, folder / "gathered")
        real.on_rank_0(lambda: model.save_pretrained(folder / "expected", state_dict=state))
    trainers.deepspeed_step(engine, 5)  # The engine goes on.
    dist.destroy_process_group()


def start(folder):
    import torch.multiprocessing as mp
    import torch_checkpoints as real

    mp.start_processes(run, args=(RANKS, folder, real.free_port()), nprocs=RANKS, start_method="fork")
    from safetensors.torch import load_file

    expected = load_file(f"{folder}/expected/adapter_model.safetensors")
    for saved in ("engine", "model", "gathered"):
        found = load_file(f"{folder}/{saved}/adapter_model.safetensors")
        assert found.keys() == expected.keys(), saved
        assert all((found[name] == expected[name]).all() and found[name].dtype == expected[name].dtype for name in found), saved
    assert not pathlib.Path(folder, "alone").exists()
    print("DeepSpeed ZeRO-3: saved from sharded parameters, equal to the gathered ones")


def main():
    if sys.argv[1] == "--run":
        return start(sys.argv[2])
    import rescue_trainers

    python = rescue_trainers.environment(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, __file__, "--run", folder], check=True, timeout=1200)


if __name__ == "__main__":
    main()
