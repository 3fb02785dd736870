# SPDX-License-Identifier: Apache-2.0
"""Adapters of which every rank holds a part: FSDP2 and tensor parallel (DTensor), FSDP1, and ZeRO-3.

1. Every rank registers in the job's store (no collective) what it would gather, and whether it wants to write.
2. The lowest rank waits, for a limited time, until all have registered the same, and decides once for all: go, or an
   error that names the ranks that are missing. A rank that waits for the decision too long decides against it.
3. The adapter's tensors are gathered, one at a time; the base is never touched. Only ranks that write keep them.
4. Those that do not write wait, for a limited time, until the others have, and raise what those raised.
5. Rank 0 waits, for a limited time, until all have learned it, because its process often holds the store.

So a rank that does not come, because it has died or because only rank 0 calls, ends in an error, not in a hang. What
is left to the process group and its own timeout is a rank that dies between 2 and 3.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping

import torch

from .._errors import Error, InvalidArgumentError, IoError
from . import _live_model as live

#: Seconds that a rank waits at least for one that writes: that one has come, and disks may be slow.
_WRITING = 600.0
#: Seconds that rank 0 stays at most after a failure, so that the others learn of it.
_FAILED = 10.0

#: The number of the next save, by the ranks that take part. Ranks that missed one catch up when they find it decided.
_serials: dict[str, int] = {}


def _dtensor() -> type | None:
    if not torch.distributed.is_available():
        return None
    try:
        from torch.distributed.tensor import DTensor
    except ImportError:  # torch before 2.5.
        return None
    return DTensor


@dataclass
class _Shard:
    """A tensor of which this rank has a part."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    ranks: list[int]
    gather: Callable[[], torch.Tensor]


class _Flat:
    """FSDP1's flat parameters: where this rank's part of each parameter is."""

    def __init__(self, model: torch.nn.Module | None) -> None:
        self.by_name: dict[str, tuple[Any, int]] = {}
        if model is None or "torch.distributed.fsdp" not in sys.modules:
            return
        from torch.distributed.fsdp import FullyShardedDataParallel

        for prefix, module in model.named_modules():
            handle = getattr(module, "_handle", None) if isinstance(module, FullyShardedDataParallel) else None
            if handle is None or not handle.uses_sharded_strategy or not handle.is_sharded(handle.flat_param):
                continue
            for index, name in enumerate(handle.flat_param._fqns):
                full = live.without_wrappers(".".join(part for part in (prefix, name) if part))
                self.by_name[full] = (handle, index)

    def shard(self, key: str) -> _Shard | None:
        found = self.by_name.get(live.without_wrappers(key))
        if found is None:
            return None
        handle, index = found
        flat = handle.flat_param
        shape = tuple(flat._shapes[index])
        group = handle.process_group

        def gather() -> torch.Tensor:
            place = flat._shard_param_infos[index]
            first = place.intra_param_start_idx if place.in_shard else 0
            count = place.numel_in_shard if place.in_shard else 0
            at = place.offset_in_shard if place.in_shard else 0
            return _concatenated(flat.detach()[at : at + count], first, shape, group, handle.device)

        return _Shard(key, shape, str(flat.dtype), _ranks_of(group), gather)


def _ranks_of(group: Any) -> list[int]:
    import torch.distributed as dist

    return list(range(dist.get_world_size())) if group is None else dist.get_process_group_ranks(group)


def _concatenated(piece: torch.Tensor, first: int, shape: tuple[int, ...], group: Any, device: Any) -> torch.Tensor:
    """Puts runs of a tensor's elements together. Collective."""
    import torch.distributed as dist

    world = dist.get_world_size(group)
    mine = torch.tensor([first, piece.numel()], dtype=torch.int64, device=device)
    places = [torch.empty_like(mine) for _ in range(world)]
    dist.all_gather(places, mine, group=group)
    longest = max(int(place[1]) for place in places)
    padded = torch.zeros(longest, dtype=piece.dtype, device=device)
    padded[: piece.numel()] = piece
    pieces = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(pieces, padded, group=group)
    whole = torch.empty(torch.Size(shape).numel(), dtype=piece.dtype, device=device)
    for place, part in zip(places, pieces):
        start, count = int(place[0]), int(place[1])
        whole[start : start + count] = part[:count]
    return whole.reshape(shape)


def _of_dtensor(key: str, tensor: Any) -> _Shard | None:
    if all(placement.is_replicate() for placement in tensor.placements):
        return None
    mesh = tensor.device_mesh
    ranks = sorted(int(rank) for rank in mesh.mesh.flatten().tolist())

    def gather() -> torch.Tensor:
        local = tensor.detach()
        if local.device.type != mesh.device_type:  # Offloaded parameters; the group's backend has its own device.
            local = local.to(mesh.device_type)
        whole: torch.Tensor = local.full_tensor()
        return whole

    return _Shard(key, tuple(tensor.shape), str(tensor.dtype), ranks, gather)


def _of_zero3(key: str, parameter: Any) -> _Shard:
    def gather() -> torch.Tensor:
        from deepspeed.runtime.zero import GatheredParameters

        with GatheredParameters([parameter], modifier_rank=None):
            return parameter.data.detach().clone()

    group = getattr(parameter, "ds_process_group", None)
    return _Shard(key, tuple(parameter.ds_shape), str(parameter.dtype), _ranks_of(group), gather)


def _shard_of(key: str, tensor: Any, flat: _Flat, dtensor: type | None) -> _Shard | None:
    if dtensor is not None:
        inner = tensor if isinstance(tensor, dtensor) else getattr(tensor, "data", None)
        if isinstance(inner, dtensor):
            return _of_dtensor(key, inner)
    whole = getattr(tensor, "ds_shape", None)
    if whole is not None and tuple(whole) != tuple(tensor.shape):
        return _of_zero3(key, tensor)
    return flat.shard(key)


def reshard(model: torch.nn.Module) -> None:
    """FSDP2 leaves the root's parameters unsharded, in the dtype of the computation, after a forward without a
    backward. Local: nothing is sent."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return
    for module in model.modules():
        if hasattr(module, "reshard") and hasattr(module, "_get_fsdp_state"):
            module.reshard()


class Gathering:
    """The tensors of an adapter of which ranks hold parts, and those ranks.

    is_live: the tensors are the model's own, not those of a state dict that the caller made.
    """

    def __init__(self, model: torch.nn.Module, tensors: Mapping[str, Any], is_live: bool) -> None:
        self._shards: list[_Shard] = []
        #: Copies that are DTensors, as plain tensors.
        self.replicated: dict[str, Any] = {}
        self.ranks: list[int] = []
        if not torch.distributed.is_available() or not torch.distributed.is_initialized():
            return
        flat, dtensor = _Flat(model if is_live else None), _dtensor()
        for key, tensor in tensors.items():
            if not isinstance(tensor, torch.Tensor):
                continue
            shard = _shard_of(key, tensor, flat, dtensor)
            if shard is not None:
                self._shards.append(shard)
            elif dtensor is not None and isinstance(tensor, dtensor):
                self.replicated[key] = tensor.to_local()
        self.ranks = sorted({rank for shard in self._shards for rank in shard.ranks})

    def __bool__(self) -> bool:
        return bool(self._shards)

    def _fingerprint(self, directory: str) -> str:
        lines = [os.path.basename(directory)] + [f"{s.key} {s.dtype} {s.shape}" for s in self._shards]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def meet(self, directory: str, is_main: bool, timeout: float) -> Meeting:
        return Meeting(self.ranks, self._fingerprint(directory), is_main, timeout)

    def gather(self, keep: bool) -> dict[str, torch.Tensor]:
        """Whole tensors by key, on the CPU; of ranks that do not keep them nothing. Collective, one at a time."""
        whole: dict[str, torch.Tensor] = {}
        for shard in self._shards:
            tensor = shard.gather()
            if keep:
                whole[shard.key] = tensor.cpu()
            del tensor
        if keep:
            whole.update(self.replicated)
        return whole

    @property
    def keys(self) -> set[str]:
        return {shard.key for shard in self._shards}


def _seconds(seconds: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=seconds)


class Meeting:
    """The ranks of one save. Everything goes through the job's store: nothing here is a collective."""

    def __init__(self, ranks: list[int], fingerprint: str, is_main: bool, timeout: float) -> None:
        import torch.distributed as dist
        from torch.distributed.distributed_c10d import _get_default_store

        self._store = _get_default_store()
        self._ranks, self._timeout = ranks, timeout
        self._rank = dist.get_rank()
        group = hashlib.sha256(repr(ranks).encode()).hexdigest()[:8]
        try:
            while True:
                self._prefix = f"ferrule/save/{group}/{_serials.setdefault(group, 0)}"
                # A save that the others gave up while this rank was elsewhere is not this one.
                if not self._has("decision"):
                    break
                _serials[group] += 1
            self._set(f"rank/{self._rank}", {"what": fingerprint, "main": bool(is_main)})
            decision = self._decide(fingerprint) if self._rank == ranks[0] else self._await_decision()
        except RuntimeError as error:  # DistNetworkError: the process that holds the store has ended.
            raise IoError(f"the job's store is gone, a rank has ended: {error}".splitlines()[0]) from error
        _serials[group] += 1
        if decision.get("error"):
            self._leave(min(self._timeout, _FAILED))
            raise InvalidArgumentError(decision["error"])
        self.writers: list[int] = decision["writers"]

    @property
    def writes(self) -> bool:
        return self._rank in self.writers

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _set(self, name: str, value: Any) -> None:
        self._store.set(self._key(name), json.dumps(value))

    def _get(self, name: str) -> Any:
        return json.loads(self._store.get(self._key(name)))

    def _has(self, name: str) -> bool:
        return bool(self._store.check([self._key(name)]))

    def _wait(self, names: Iterable[str], seconds: float) -> bool:
        try:
            self._store.wait([self._key(name) for name in names], _seconds(seconds))
        except RuntimeError:  # Also DistStoreError, of a store that is gone.
            return False
        return True

    def _decided(self, decision: dict[str, Any]) -> dict[str, Any]:
        """Whoever is first decides for all."""
        text = self._store.compare_set(self._key("decision"), "", json.dumps(decision))
        found: dict[str, Any] = json.loads(text)
        return found

    def _decide(self, fingerprint: str) -> dict[str, Any]:
        if not self._wait((f"rank/{rank}" for rank in self._ranks), self._timeout):
            missing = [rank for rank in self._ranks if not self._has(f"rank/{rank}")]
            return self._decided({"error": _missing(missing, self._timeout)})
        facts = {rank: self._get(f"rank/{rank}") for rank in self._ranks}
        for rank, fact in facts.items():
            if fact["what"] != fingerprint:
                return self._decided({"error": f"rank {rank} would save other tensors, or to another path, than rank "
                                               f"{self._rank}: call save_pretrained with the same arguments on all "
                                               f"ranks"})
        mains = [rank for rank, fact in facts.items() if fact["main"]]
        # All ranks say so of themselves if no one told them: then one writes for all.
        return self._decided({"writers": mains[:1] if len(mains) == len(facts) else mains})

    def _await_decision(self) -> dict[str, Any]:
        # The first rank waits as long and may have begun later.
        if self._wait(["decision"], self._timeout):
            found: dict[str, Any] = self._get("decision")
            return found
        return self._decided({"error": _missing([self._ranks[0]], self._timeout)})

    def finish(self, error: BaseException | None) -> None:
        """Writers say how it went, others learn it."""
        try:
            self._tell_or_learn(error)
        finally:
            self._leave(self._timeout if error is None else min(self._timeout, _FAILED))

    def _leave(self, seconds: float) -> None:
        """The process of rank 0 often holds the store: it stays, for a limited time, until the others are done with it."""
        try:
            self._set(f"left/{self._rank}", {})
            if self._rank == 0:
                came = [rank for rank in self._ranks if self._has(f"rank/{rank}")]
                self._wait((f"left/{rank}" for rank in came), seconds)
        except RuntimeError:  # The store is gone.
            return

    def _tell_or_learn(self, error: BaseException | None) -> None:
        if self.writes:
            self._set(f"done/{self._rank}", {"error": None if error is None else str(error)})
            return
        if error is not None:  # This rank's own is raised.
            return
        seconds = max(self._timeout, _WRITING)
        if not self._wait((f"done/{rank}" for rank in self.writers), seconds):
            raise IoError(f"rank {self.writers[0]} has not written the adapter within {seconds:g} seconds")
        for rank in self.writers:
            text = self._get(f"done/{rank}")["error"]
            if text is not None:
                raise Error(f"rank {rank} could not write the adapter: {text}")


def _missing(ranks: list[int], seconds: float) -> str:
    names = ", ".join(map(str, ranks[:8])) + (" and more" if len(ranks) > 8 else "")
    return (f"the adapter is sharded, and rank {names} did not call save_pretrained within {seconds:g} seconds: call it "
            f"on all ranks (not only on rank 0), or use ferrule.save_shard, which waits for no other rank")
