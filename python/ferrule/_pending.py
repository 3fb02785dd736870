# SPDX-License-Identifier: Apache-2.0
"""Saves that are still being written, by path.

Code that reads, uploads or deletes a path calls ``wait_for(path)`` first; if nothing is pending, that costs a
look at an empty list. Imports nothing but the standard library, so that ``import ferrule`` stays light.
"""

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
from typing import Any, Callable, Iterable

__all__ = ["PendingSave", "before_submit", "submit", "wait_for"]

#: Called before every save that is submitted. ferrule.peft makes PEFT's readers wait with it.
_before_submit: list[Callable[[], None]] = []


def before_submit(function: Callable[[], None]) -> None:
    """Has `function` called before every save that is submitted, by the thread that submits it."""
    _before_submit.append(function)


class PendingSave:
    """An asynchronous save. The model can be trained on while the files are written."""

    def __init__(self, directory: str, work: Callable[[], None] | None) -> None:
        #: The directory of the save.
        self.directory = directory
        self._real = os.path.realpath(directory)
        self._work = work
        self._finished = threading.Event()
        self._error: BaseException | None = None
        if work is None:
            self._finished.set()

    def done(self) -> bool:
        """Whether it has ended, with or without an error."""
        return self._finished.is_set()

    def wait(self, timeout: float | None = None) -> None:
        """Waits for the end. Raises the save's error if it failed, TimeoutError if it takes longer."""
        error = self.exception(timeout)
        if error is not None:
            raise error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits for the end. Returns the save's error, or None."""
        if not self._finished.wait(timeout):
            raise TimeoutError(f"{self.directory}: the save did not end within {timeout} seconds")
        with _registry.lock:
            if self in _registry.saves:
                _registry.saves.remove(self)
        return self._error

    def __repr__(self) -> str:
        state = "pending" if not self.done() else "failed" if self._error else "saved"
        return f"<PendingSave {self.directory!r}: {state}>"

    def _run(self) -> None:
        work, self._work = self._work, None
        try:
            assert work is not None
            work()
        except BaseException as error:  # Kept until it has been seen.
            self._error = error
        finally:
            # Frees the snapshot before a caller that waits takes the next one.
            del work
            with _registry.lock:
                if self._error is None:
                    _registry.saves.remove(self)
            self._finished.set()

    def _concerns(self, real: str) -> bool:
        """Whether the path is that of the save, above it or below it."""
        return _is_within(real, self._real) or _is_within(self._real, real)


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class _Registry:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        #: Unfinished saves, and failed ones whose error has not been seen.
        self.saves: list[PendingSave] = []
        self.queue: queue.SimpleQueue[PendingSave] = queue.SimpleQueue()
        self.worker: threading.Thread | None = None

    def run(self) -> None:
        while True:
            self.queue.get()._run()


_registry = _Registry()


def _after_fork() -> None:
    # The parent's writer thread does not exist here; the parent finishes its saves itself.
    global _registry
    _registry = _Registry()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def submit(directory: str, work: Callable[[], None]) -> PendingSave:
    """Has the writer thread do `work`, after everything that was submitted earlier."""
    for function in _before_submit:
        function()
    pending = PendingSave(directory, work)
    registry = _registry
    with registry.lock:
        registry.saves.append(pending)
        if registry.worker is None:
            registry.worker = threading.Thread(target=registry.run, name="ferrule-save", daemon=True)
            try:
                registry.worker.start()
            except RuntimeError:  # At interpreter exit no thread can be started.
                registry.worker = None
    if registry.worker is None:
        pending._run()
    else:
        registry.queue.put(pending)
    return pending


def _settle(saves: Iterable[PendingSave]) -> None:
    """Waits for each, then raises the first error."""
    first: BaseException | None = None
    for pending in saves:
        first = first or pending.exception()
    if first is not None:
        raise first


def wait_for(path: str | os.PathLike[Any] | None = None) -> None:
    """Waits for the pending saves at, above or below `path`, or for all of them.

    Raises the error of one that failed, unless it has been seen already.
    """
    if not _registry.saves:
        return
    _settle(_concerned(path))


def raise_failures() -> None:
    """Raises the error of a save that failed, if it has not been seen. Waits for nothing."""
    if not _registry.saves:
        return
    with _registry.lock:
        saves = [pending for pending in _registry.saves if pending.done()]
    _settle(saves)


def finish(path: str | os.PathLike[Any] | None = None) -> None:
    """Waits as wait_for does, but leaves errors for the next call."""
    if not _registry.saves:
        return
    for pending in _concerned(path):
        pending._finished.wait()


def _concerned(path: str | os.PathLike[Any] | None) -> list[PendingSave]:
    real = None if path is None else os.path.realpath(path)
    with _registry.lock:
        return [pending for pending in _registry.saves if real is None or pending._concerns(real)]


def wait_for_room(limit: int) -> None:
    """Waits until fewer than `limit` saves are being written. Errors are left for the next call."""
    while True:
        with _registry.lock:
            unfinished = [pending for pending in _registry.saves if not pending.done()]
        if len(unfinished) < limit:
            return
        unfinished[0]._finished.wait()


def _at_exit() -> None:
    with _registry.lock:
        saves = list(_registry.saves)
    for pending in saves:
        error = pending.exception()
        if error is not None:
            import traceback

            print(f"ferrule: the asynchronous save into {pending.directory} failed:", file=sys.stderr)
            traceback.print_exception(type(error), error, error.__traceback__)


atexit.register(_at_exit)
