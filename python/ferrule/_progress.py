# SPDX-License-Identifier: Apache-2.0
"""`progress=` of long calls: None, True, a tqdm bar, or a class like tqdm that makes one."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable, Protocol, Union

__all__ = ["ProgressBar", "Tick", "bar", "size_of", "transfer"]


class SupportsUpdate(Protocol):
    """What is used of tqdm: ``update(n)`` adds to what is done; ``total`` is set if it is there and None."""

    def update(self, n: float, /) -> object: ...


ProgressBar = Union[None, bool, SupportsUpdate, "type[SupportsUpdate]"]

#: Called with the bytes written, the steps done and the steps known so far.
Tick = Callable[[int, int, int], None]


class _Line:
    """A bar for True if tqdm is not installed: one line on a terminal, written over and over."""

    def __init__(self, *, desc: str, unit: str, total: int | None = None, **_: Any) -> None:
        self.desc, self.unit, self.total = desc, unit, total
        self.done = 0
        self._next = 0.0
        self._shown = False
        self._on = sys.stderr is not None and sys.stderr.isatty()

    def _text(self) -> str:
        if self.unit == "B":
            text = f"{self.done / 1e6:.1f}" + (f" of {self.total / 1e6:.1f}" if self.total else "") + " MB"
        else:
            text = f"{self.done:,}" + (f" of {self.total:,}" if self.total else "") + f" {self.unit}s"
        return f"{self.desc} {text}"

    def update(self, n: float) -> None:
        self.done += int(n)
        if self._on and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.1
            self._shown = True
            sys.stderr.write(f"\r\x1b[K{self._text()}")
            sys.stderr.flush()

    def close(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _make(progress: Any, desc: str, unit: str, total: int | None) -> tuple[Any, bool]:
    """The bar, and whether it is ours to close."""
    options = {"desc": desc, "unit": unit, "total": total, **({"unit_scale": True} if unit == "B" else {})}
    if progress is True:
        try:
            from tqdm.auto import tqdm as progress
        except ImportError:
            return _Line(**options), True
    if isinstance(progress, type) and hasattr(progress, "update"):
        return progress(**options), True
    if not callable(getattr(progress, "update", None)):
        raise TypeError(f"progress: expected a bool, a bar with update() as tqdm has it, or None, found "
                        f"{type(progress).__name__}")
    if total is not None and getattr(progress, "total", 0) is None:
        progress.total = total
    return progress, False


class bar:
    """A context that gives the native call its tick: None without a bar.

    ``unit`` "B" counts bytes written, anything else steps.
    """

    def __init__(self, progress: Any, desc: str, unit: str, total: int | None = None) -> None:
        self._bar: Any = None
        self._close = False
        if progress is not None and progress is not False:
            self._bar, self._close = _make(progress, desc, unit, total)
        self._bytes = unit == "B"
        self._total = total
        self._done = 0

    def __enter__(self) -> Tick | None:
        return None if self._bar is None else self._tick

    def __exit__(self, *_: object) -> None:
        if self._close:
            self._bar.close()

    def _tick(self, written: int, done: int, known: int) -> None:
        if not self._bytes and known and self._total is None and (self._close or getattr(self._bar, "total", 0) is None):
            self._bar.total = known
        self._advance(written if self._bytes else done)

    def _advance(self, now: int) -> None:
        if now > self._done:
            step, self._done = now - self._done, now
            self._bar.update(step)


class transfer(bar):
    """The same for a push or pull, whose native call gets a callable that takes a :class:`ferrule.Progress`.

    A callable that is not a bar is handed through.
    """

    def __init__(self, progress: Any, desc: str) -> None:
        self._plain = progress if callable(progress) and not hasattr(progress, "update") else None
        super().__init__(None if self._plain else progress, desc, "B")

    def __enter__(self) -> Any:
        return self._plain or (None if self._bar is None else self._told)

    def _told(self, progress: Any) -> None:
        if getattr(self._bar, "total", 0) != progress.bytes_total and (self._close or self._total is None):
            self._bar.total = progress.bytes_total
        self._advance(progress.bytes_done)


def size_of(path: Any) -> int | None:
    """Bytes of the files in an adapter's directory: about what a rewrite of it writes."""
    try:
        with os.scandir(os.fsdecode(path)) as entries:
            return sum(entry.stat().st_size for entry in entries
                       if entry.is_file() and entry.name.endswith((".safetensors", ".bin"))) or None
    except (OSError, TypeError, ValueError):
        return None
