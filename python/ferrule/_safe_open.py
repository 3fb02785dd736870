# SPDX-License-Identifier: Apache-2.0
"""safetensors' safe_open over the native reader."""

from __future__ import annotations

import importlib
import os
from typing import Any

from . import _files
from ._errors import Error, NotFoundError, SafetensorError
from ._ferrule import SafetensorsFile
from ._slicing import sliced

_FRAMEWORKS = {
    "pt": "pytorch",
    "torch": "pytorch",
    "pytorch": "pytorch",
    "np": "numpy",
    "numpy": "numpy",
    "tf": "tensorflow",
    "tensorflow": "tensorflow",
    "jax": "flax",
    "flax": "flax",
    "mlx": "mlx",
    "paddle": "paddle",
}
_DEVICES = ("cuda", "musa", "npu", "xpu", "xla", "mlu", "hpu")


def open_file(filename: str | os.PathLike[str], backing: str = "map") -> SafetensorsFile:
    """Opens it, with the exceptions of safetensors."""
    try:
        return SafetensorsFile.open(filename, backing=backing)  # type: ignore[arg-type]
    except NotFoundError as error:
        text = f"No such file or directory: {os.fspath(filename)}"
        raise NotFoundError(error.message, error.rule, error.path, error.errno, text) from None
    except Error as error:
        raise SafetensorError.of("Error while deserializing header: ", error) from error


def _device(value: Any) -> Any:
    """The device as torch takes it. Raises SafetensorError for what safetensors does not know."""
    if value is None or value == "cpu":
        return "cpu"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        kind, colon, index = value.partition(":")
        if kind == "mps" and (not colon or index == "0"):
            return "mps"
        if kind == "mps" and index.isascii() and index.isdigit():
            raise SafetensorError(f"device {value} is invalid: only mps or mps:0 is supported")
        if kind in _DEVICES and not colon:
            return f"{kind}:0"
        if kind in _DEVICES and index.isascii() and index.isdigit():
            return f"{kind}:{int(index)}"
    raise SafetensorError(f"device {value} is invalid")


def _to_framework(framework: str, array: Any) -> Any:
    """A numpy array as a tensor of one of the frameworks that take those."""
    if framework == "flax":
        return importlib.import_module("jax.numpy").array(array)
    if framework == "tensorflow":
        return importlib.import_module("tensorflow").convert_to_tensor(array)
    if framework == "mlx":
        return importlib.import_module("mlx.core").array(array)
    if framework == "paddle":
        return importlib.import_module("paddle").to_tensor(array)
    return array


class _Reader:
    """What safe_open, its slices and _safe_open_handle share."""

    def __init__(self, filename: str | os.PathLike[str], framework: str, device: Any, backend: str) -> None:
        if not isinstance(framework, str) or framework not in _FRAMEWORKS:
            raise SafetensorError(f"framework {framework} is invalid")
        if backend not in ("mmap", "pread"):
            raise SafetensorError(f'backend "{backend}" is invalid (expected one of: "mmap", "pread")')
        self.framework = _FRAMEWORKS[framework]
        self.device = _device(device)
        if self.device != "cpu" and self.framework not in ("pytorch", "paddle"):
            raise SafetensorError(f"Device {self.device} is not supported for framework {self.framework}")
        self.library = "torch" if self.framework == "pytorch" else "numpy"
        importlib.import_module(self.library)
        self.mapped = backend == "mmap"
        self.filename = filename
        self.file = open_file(filename)

    def tensor(self, name: str) -> Any:
        self.check(name)
        return self.finish(self.raw(self.file, name))

    def tensors(self) -> dict[str, Any]:
        # All of it into memory at once is faster than tensor by tensor.
        file = self.file if self.mapped else open_file(self.filename, "copy")
        with _files.worded(""):
            found = file.tensors(self.library)  # type: ignore[arg-type]
        if self.framework in ("pytorch", "numpy") and self.device == "cpu":
            return found
        return {name: self.finish(tensor) for name, tensor in found.items()}

    def raw(self, file: SafetensorsFile, name: str) -> Any:
        """The tensor on the host, of torch or numpy; a copy unless mapped."""
        with _files.worded(""):
            tensor = file.tensor(name, self.library)  # type: ignore[arg-type]
        if self.mapped:
            return tensor
        return tensor.clone() if self.library == "torch" else tensor.copy()

    def finish(self, tensor: Any) -> Any:
        if self.library == "torch":
            return tensor if self.device == "cpu" else tensor.to(self.device)
        return _to_framework(self.framework, tensor)

    def check(self, name: str) -> None:
        if name not in self.file:
            raise SafetensorError(f"File does not contain tensor {name}")


class PySafeSlice:
    """A tensor of an open file, to be sliced before anything is copied."""

    def __init__(self, reader: _Reader, name: str) -> None:
        reader.check(name)
        self._reader = reader
        self._name = name

    def get_shape(self) -> list[int]:
        """The shape of the full tensor."""
        return list(self._reader.file.shape(self._name))

    def get_dtype(self) -> str:
        """The dtype of the full tensor, as in the header ("F32")."""
        return self._reader.file.dtype(self._name)

    def __getitem__(self, slices: Any) -> Any:
        reader = self._reader
        if reader.library == "torch" and reader.mapped:
            # torch's own rules: steps, negative bounds and all.
            return reader.finish(reader.raw(reader.file, self._name)[slices])
        whole = reader.file.tensor(self._name, reader.library)  # type: ignore[arg-type]
        part = sliced(whole, slices, self.get_shape())
        return reader.finish(part.clone() if reader.library == "torch" else part.copy())


class safe_open:  # noqa: N801 (safetensors' name)
    """Opens a safetensors file and hands out its tensors as asked.

    Args:
        filename: The file, str or os.PathLike.
        framework: "pt", "numpy", "flax", "tf", "mlx" or "paddle".
        device: The device of the tensors; anything but "cpu" only for torch and paddle.
        backend: "mmap" hands out views of a private mapping (the file never changes), "pread"
            copies.

    Raises FileNotFoundError, SafetensorError.
    """

    def __init__(
        self, filename: str | os.PathLike[str], framework: str, device: Any = "cpu", *, backend: str = "mmap"
    ) -> None:
        self._inner: _Reader | None = _Reader(filename, framework, device, backend)

    def _open(self) -> _Reader:
        if self._inner is None:
            raise SafetensorError("File is closed")
        return self._inner

    def keys(self) -> list[str]:
        """The names of the tensors, sorted."""
        return sorted(self._open().file.names)

    def offset_keys(self) -> list[str]:
        """The names of the tensors, in the order of their data."""
        return self._open().file.names

    def metadata(self) -> dict[str, str] | None:
        """The header's `__metadata__`, or None if it does not have one."""
        return self._open().file.metadata

    def get_tensor(self, name: str) -> Any:
        """The tensor of that name."""
        return self._open().tensor(name)

    def get_tensors(self) -> dict[str, Any]:
        """All tensors by name."""
        return self._open().tensors()

    def get_slice(self, name: str) -> PySafeSlice:
        """The tensor of that name, to be sliced: `get_slice("a")[:, :8]`."""
        return PySafeSlice(self._open(), name)

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, _exc_type: Any, _exc_value: Any, _traceback: Any) -> None:
        self._inner = None


class _safe_open_handle(safe_open):  # noqa: N801
    """safe_open for a file that is open already; it is opened again by its name."""

    def __init__(self, f: Any, framework: str, device: Any = "cpu", *, backend: str = "mmap") -> None:
        _ = f.fileno
        super().__init__(f.name, framework, device, backend=backend)
