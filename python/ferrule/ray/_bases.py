# SPDX-License-Identifier: Apache-2.0
"""Base models for the workers of a node: one of them reads the headers, the others open its copy of them.

A copy has the headers, the index and the config; the values are holes, so that a 140 GB base takes a megabyte.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from typing import Any, Callable, Iterator

import ferrule
from ferrule import _ferrule

_MAX_HEADER = 100_000_000
_DONE = "ready"
#: Bases that a process keeps open at a time.
_MOST = 64

#: Says where the base is, and holds the temporary folder if it was fetched.
Locate = Callable[[], "tuple[str, Any]"]


def _place() -> str:
    """A folder of this node and this session of Ray."""
    import ray

    context = ray.get_runtime_context()
    folder = os.path.join(tempfile.gettempdir(),
                          f"ferrule-{os.getuid()}-{context.get_session_name()}-{context.get_node_id()[:16]}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.lstat(folder).st_uid != os.getuid():
        raise ferrule.PermissionDeniedError("another user's folder is in the way", path=folder)
    return folder


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_known(name: str) -> bool:
    return name.endswith((".safetensors", ".json"))


def _copy_header(source: str, target: str) -> bool:
    """False if it does not begin as a safetensors file does: then every worker opens the base itself."""
    with open(source, "rb") as file, open(target, "wb") as copy:
        first = file.read(8)
        size = int.from_bytes(first, "little")
        if len(first) < 8 or size > _MAX_HEADER:
            return False
        copy.write(first + file.read(size))
        copy.truncate(os.fstat(file.fileno()).st_size)
    return True


def _copy(source: str, target: str) -> bool:
    if os.path.isfile(source):
        folder, names = os.path.dirname(source), [os.path.basename(source), "config.json"]
    else:
        folder, names = source, os.listdir(source)
    if any(name.endswith((".bin", ".pt", ".pth", ".gguf")) for name in names):
        return False
    for name in names:
        path = os.path.join(folder, name)
        if not _is_known(name) or not os.path.isfile(path):
            continue
        if not name.endswith(".safetensors"):
            shutil.copyfile(path, os.path.join(target, name))
        elif not _copy_header(path, os.path.join(target, name)):
            return False
    return True


def _shared(key: str, locate: Locate) -> ferrule.BaseModel:
    folder = os.path.join(_place(), hashlib.sha256(key.encode()).hexdigest()[:32])
    with _locked(folder + ".lock"):
        if not os.path.exists(os.path.join(folder, _DONE)):
            path, hold = locate()
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
            name = os.path.basename(path) if os.path.isfile(path) else ""
            if not _copy(path, folder):
                return ferrule.BaseModel.open(path)
            with open(os.path.join(folder, _DONE), "w") as file:
                file.write(name)
            del hold  # A base that was fetched is in a temporary folder until here.
        with open(os.path.join(folder, _DONE)) as file:
            return ferrule.BaseModel.open(os.path.join(folder, file.read()))


#: What this process opened, or why it could not; a system's error is not kept.
_known: dict[str, ferrule.BaseModel | ferrule.Error] = {}


def _base(key: str, locate: Locate) -> ferrule.BaseModel:
    known = _known.get(key)
    if known is None:
        if len(_known) >= _MOST:
            _known.clear()
        try:
            known = _shared(key, locate)
        except ferrule.IoError:
            raise
        except ferrule.Error as error:
            known = error
        _known[key] = known
    if isinstance(known, ferrule.Error):
        raise known
    return known


def of_node(base: str, offline: bool, token: str) -> ferrule.BaseModel:
    return _base(f"{token}\n{base}", lambda: _ferrule._locate_base(base, offline))


def of_config(config: ferrule.AdapterConfig, offline: bool, token: str) -> ferrule.BaseModel:
    """The base that a config names. As BaseModel.of(), it follows no address: a config may come from anybody."""
    name, revision = config.get("base_model_name_or_path"), config.get("revision")
    return _base(f"{token}\n{name}\n{revision}\n", lambda: _ferrule._locate_base_of(config, offline))
