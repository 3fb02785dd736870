# SPDX-License-Identifier: Apache-2.0
"""Adapters out of training checkpoints, shards that ranks write on their own, and generations for readers."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Iterator, Literal, Mapping

from . import _ferrule
from ._arguments import Durability, StrPath, optional, wait, whole, wrong_type
from ._errors import InvalidArgumentError
from ._ferrule import AdapterConfig
from ._progress import ProgressBar, bar
from ._reports._rescue import PublishReport, RescueReport, ShardReport
from ._strict import strict

if TYPE_CHECKING:
    import torch

__all__ = ["assemble", "publish", "publish_tensors", "rescue", "save_shard"]


@strict
def rescue(checkpoint: StrPath, output: StrPath, *, config: StrPath | None = None, adapter: str | None = None,
           prefer: Literal["auto", "master", "working"] = "auto", durability: Durability = "safe",
           progress: ProgressBar = None) -> RescueReport:
    """Takes the adapter out of a training checkpoint (docs/rescue.md): DeepSpeed, FSDP, torch's DCP, Accelerate,
    Trainer, Lightning. Needs no GPU and no trainer, and runs nothing that is in the files.

    checkpoint: a file, a step's folder, or a run's, of which the newest complete step is taken.
    config: the adapter_config.json; None takes the one that the checkpoint holds.
    adapter: the adapter's name in the checkpoint, if it has several.
    prefer: the optimizer's FP32 weights or the model's own, if a checkpoint has both.

    Raises CorruptError or UnsupportedError, which name the file or the tensor, unless every tensor is there, whole
    and of one step; `output` is then as it was.
    """
    wait(output)
    with bar(progress, "rescuing", "B") as tick:
        return RescueReport(_ferrule.rescue(checkpoint, output, config, adapter, prefer, durability, tick))


@strict
def assemble(directory: StrPath, output: StrPath, *, config: StrPath | None = None, adapter: str | None = None,
             durability: Durability = "safe", progress: ProgressBar = None) -> RescueReport:
    """Puts an adapter together out of the shards that save_shard() wrote, or torch's DCP with Hugging Face storage.

    directory: the folder with the shards, or with folders step-N, of which the newest complete one is taken.

    Raises as rescue() does.
    """
    wait(output)
    with bar(progress, "assembling", "B") as tick:
        return RescueReport(_ferrule.assemble(directory, output, config, adapter, durability, tick))


@strict
def publish(adapter: StrPath, root: StrPath, *, keep: int = 0, durability: Durability = "safe",
            progress: ProgressBar = None) -> PublishReport:
    """Copies an adapter to `root`/NNNNNNNN, a folder that never changes afterwards, and points `root`/current to it in
    one step. ferrule.PublishedReader follows it.

    keep: how many generations stay, the new one included; 0 keeps all.

    Raises CorruptError for an adapter with errors.
    """
    wait(adapter)
    with bar(progress, "publishing", "B") as tick:
        return PublishReport(_ferrule.publish(adapter, root, whole(keep, "keep"), durability, tick))


@strict
def publish_tensors(tensors: Mapping[str, Any], root: StrPath, *, metadata: dict[str, str] | None = None, keep: int = 0,
                    durability: Durability = "safe", progress: ProgressBar = None) -> PublishReport:
    """Publishes torch tensors or numpy arrays as `root`/NNNNNNNN/model.safetensors, as publish() does with an adapter:
    the weights of a training loop, straight from their memory.

    Tensors that are the same memory (tied weights) are written once; safetensors' load_model, and Checkpoint, know the
    other names. Do not change the tensors meanwhile.

    keep: how many generations stay, the new one included; 0 keeps all.
    """
    if not isinstance(tensors, Mapping):
        raise wrong_type("tensors", "a dict of tensors", tensors)
    with bar(progress, "publishing", "B") as tick:
        return PublishReport(_ferrule.publish_tensors(dict(tensors), root, metadata, whole(keep, "keep"), durability, tick))


class _Part:
    """What this rank has of one tensor. `local` is asked for adapters' tensors alone."""

    def __init__(self, name: str, dtype: str, shape: tuple[int, ...], flat: bool, offset: list[int], sizes: list[int],
                 local: Callable[[], Any]) -> None:
        self.name, self.dtype, self.shape, self.flat = name, dtype, shape, flat
        self.offset, self.sizes, self.local = offset, sizes, local


def _dtype_name(dtype: Any) -> str:
    import torch

    names = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float64: "F64",
             torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
             torch.bool: "BOOL", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2"}
    return names.get(dtype, "F32")


def _whole(name: str, tensor: Any) -> _Part:
    shape = tuple(tensor.shape)
    return _Part(name, _dtype_name(tensor.dtype), shape, False, [0] * len(shape), list(shape), lambda: tensor)


def _of_dtensor(name: str, tensor: Any) -> _Part:
    """FSDP2 and tensor parallelism. Of copies, the rank with the lowest coordinate has it."""
    from torch.distributed.tensor import Replicate
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    mesh, placements = tensor.device_mesh, tensor.placements
    for placement in placements:
        if placement.is_partial():
            raise InvalidArgumentError(f"tensor \"{name}\" has the placement {placement}: reduce it first")
    sizes, offset = compute_local_shape_and_global_offset(tensor.shape, mesh, placements)
    coordinate = mesh.get_coordinate() or [0] * mesh.ndim
    owned = all(not isinstance(placement, Replicate) or at == 0 for placement, at in zip(placements, coordinate))
    sizes = list(sizes) if owned and all(sizes) else [0] * len(sizes)
    return _Part(name, _dtype_name(tensor.dtype), tuple(tensor.shape), False, list(offset), sizes, tensor.to_local)


def _of_zero3(name: str, parameter: Any) -> _Part:
    """A parameter of DeepSpeed's ZeRO-3: a run of its elements, the last ranks padded."""
    import torch.distributed as dist

    group = getattr(parameter, "ds_process_group", None)
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    shape = tuple(parameter.ds_shape)
    elements = parameter.ds_numel
    each = -(-elements // world)
    start = min(elements, rank * each)
    count = min(each, elements - start)
    return _Part(name, _dtype_name(parameter.ds_tensor.dtype), shape, True, [start], [count],
                 lambda: parameter.ds_tensor.flatten()[:count])


def _of_flat_parameters(model: Any) -> dict[str, _Part]:
    """FSDP1 keeps the parameters of a module in one flat tensor, of which every rank has a run."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    parts: dict[str, _Part] = {}
    for prefix, module in model.named_modules():
        handle = getattr(module, "_handle", None) if isinstance(module, FullyShardedDataParallel) else None
        if handle is None:
            continue
        flat = handle.flat_param
        for name, shape, place in zip(flat._fqns, flat._shapes, flat._shard_param_infos):
            full = ".".join(part for part in (prefix, name) if part)
            first, count, at = 0, 0, 0
            if place.in_shard:
                first, at = place.intra_param_start_idx, place.offset_in_shard
                count = place.numel_in_shard
            key = full.replace("_fsdp_wrapped_module.", "")
            parts[key] = _Part(key, _dtype_name(flat.dtype), tuple(shape), True, [first], [count],
                               lambda flat=flat, at=at, count=count: flat.detach()[at : at + count])
    return parts


def _parts_of(model_or_state: Any) -> Iterator[_Part]:
    # Its import takes seconds, and no tensor is one unless it was imported.
    distributed = sys.modules.get("torch.distributed.tensor")
    dtensor: Any = getattr(distributed, "DTensor", ())

    flat: dict[str, _Part] = {}
    if isinstance(model_or_state, Mapping):
        items = list(model_or_state.items())
    else:
        items = list(model_or_state.named_parameters(remove_duplicate=False))
        flat = _of_flat_parameters(model_or_state)
    for name, tensor in items:
        plain = name.replace("_fsdp_wrapped_module.", "")
        if plain in flat:
            yield flat[plain]
        elif type(tensor).__name__ == "FlatParameter":
            continue
        elif isinstance(tensor, dtensor) or isinstance(getattr(tensor, "data", None), dtensor):
            yield _of_dtensor(name, tensor)
        elif hasattr(tensor, "ds_tensor"):
            yield _of_zero3(name, tensor)
        else:
            yield _whole(name, tensor)
    listed = {name.replace("_fsdp_wrapped_module.", "") for name, _ in items}
    yield from (part for name, part in flat.items() if name not in listed)


def _config_of(model: Any, name: str | None) -> tuple[AdapterConfig, str | None]:
    for _ in range(8):
        configs = getattr(model, "peft_config", None)
        if configs is not None:
            break
        inner = getattr(model, "module", None)
        if inner is None:
            raise InvalidArgumentError("the state has no PEFT model: give config")
        model = inner
    if name is None:
        if len(configs) != 1:
            raise InvalidArgumentError(f"the model has the adapters {', '.join(sorted(configs))}: give adapter_name")
        name = next(iter(configs))
    if name not in configs:
        raise InvalidArgumentError(f"the model has no adapter \"{name}\"")
    fields = {key: sorted(value) if isinstance(value, (set, frozenset)) else value
              for key, value in configs[name].to_dict().items()}
    fields["inference_mode"] = True
    return AdapterConfig.parse(json.dumps(fields, default=lambda value: getattr(value, "value", str(value)))), name


def _job(rank: int | None, world_size: int | None, run_id: str | None) -> tuple[int, int, str]:
    """From the arguments, the process group, or the launcher's environment; never from another rank."""
    if rank is None or world_size is None:
        import torch.distributed as dist

        if dist.is_available() and dist.is_initialized():
            rank = dist.get_rank() if rank is None else rank
            world_size = dist.get_world_size() if world_size is None else world_size
        elif "RANK" in os.environ and "WORLD_SIZE" in os.environ:
            rank = int(os.environ["RANK"]) if rank is None else rank
            world_size = int(os.environ["WORLD_SIZE"]) if world_size is None else world_size
        else:
            raise InvalidArgumentError("rank and world_size are needed: there is no process group and no RANK")
    run_id = run_id or os.environ.get("TORCHELASTIC_RUN_ID") or os.environ.get("SLURM_JOB_ID")
    if not run_id or run_id == "none":
        raise InvalidArgumentError("run_id is needed: the same on all ranks, and on no other run")
    return rank, world_size, run_id


@strict
def save_shard(model_or_state: torch.nn.Module | Mapping[str, torch.Tensor], directory: StrPath, *,
               rank: int | None = None, world_size: int | None = None, run_id: str | None = None,
               step: int | None = None, config: AdapterConfig | StrPath | None = None, adapter_name: str | None = None,
               durability: Durability = "safe", progress: ProgressBar = None) -> ShardReport:
    """Writes what this rank has of an adapter, without asking any other rank: nothing waits, and a dead rank cannot hang
    it. Every rank calls it with the same directory; assemble() puts the adapter together, on any machine.

    model_or_state: a PEFT model (plain, FSDP1, FSDP2, tensor parallel, ZeRO-3), or a state dict of one.
    rank, world_size: None takes those of the process group, or of RANK and WORLD_SIZE.
    run_id: the same on all ranks of one run; None takes TORCHELASTIC_RUN_ID or SLURM_JOB_ID.
    step: the shards go to `directory`/step-NNNNNNNN.
    config: needed with a state dict.
    adapter_name: None if there is one adapter.

    Ranks that hold whole copies all write them: assemble() refuses copies that differ.
    """
    if not isinstance(model_or_state, Mapping) and not hasattr(model_or_state, "named_parameters"):
        raise wrong_type("model_or_state", "torch.nn.Module or a dict of tensors", model_or_state)
    for argument, value, of, expected in (
            ("directory", directory, (str, bytes, os.PathLike), "str or os.PathLike"),
            ("run_id", run_id, (str, type(None)), "str or None"),
            ("config", config, (AdapterConfig, str, bytes, os.PathLike, type(None)), "ferrule.AdapterConfig or a path"),
            ("adapter_name", adapter_name, (str, type(None)), "str or None"),
            ("durability", durability, str, "str")):
        if not isinstance(value, of):
            raise wrong_type(argument, expected, value)
    step = optional(whole, step, "step")
    rank, world_size, run_id = _job(optional(whole, rank, "rank"), optional(whole, world_size, "world_size"), run_id)
    if config is None:
        config, adapter_name = _config_of(model_or_state, adapter_name)
    elif not isinstance(config, AdapterConfig):
        config = AdapterConfig.open(config)
    parts = list(_parts_of(model_or_state))
    keys = _ferrule.adapter_keys([(part.name, part.dtype, list(part.shape)) for part in parts], config, adapter_name)
    listed: list[tuple[str, str, list[int], bool, list[int], list[int]]] = []
    tensors: dict[str, Any] = {}
    for index, key in keys:
        part = parts[index]
        listed.append((key, part.dtype, list(part.shape), part.flat, part.offset, part.sizes))
        if part.sizes and all(part.sizes):
            tensors[key] = part.local().detach()
        elif not part.sizes:
            tensors[key] = part.local().detach()
    with bar(progress, "saving", "B") as tick:
        return ShardReport(_ferrule.save_shard(listed, tensors, config, directory, rank, world_size, run_id, step,
                                               durability, tick))
