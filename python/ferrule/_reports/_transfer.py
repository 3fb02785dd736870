# SPDX-License-Identifier: Apache-2.0
"""The reports of push and pull."""

from __future__ import annotations

import copy
from typing import Any, Optional

from ._record import Field, Report
from ._text import Table, count

__all__ = ["PullReport", "PushReport"]


class _Transfer(Report, abstract=True):
    """A mapping too: dict(report) has the fields of the document."""

    __slots__ = ()

    repo = Field[str]("The repository with its namespace.")
    commit = Field[str]()
    revision = Field[str]()

    def keys(self) -> list[str]:
        """The names of its fields."""
        return [name for name in self._fields if name != "version"]

    def __getitem__(self, key: str) -> Any:
        if key == "version":
            raise KeyError(key)
        return copy.deepcopy(self._fields[key])

    def __bool__(self) -> bool:
        return True

    def _place(self) -> str:
        return self.repo + (f"@{self.commit[:12]}" if self.commit else "")


class PushReport(_Transfer):
    """What a push did. Its `commit` is the head afterwards: the new one, or the one that already had all files."""

    __slots__ = ()

    url = Field[str]("URL of that commit.")
    pr_url = Field[Optional[str]]("URL of the pull request, if one was opened.")
    uploaded = Field[list[str]]("Paths in the repository that were uploaded.")
    unchanged = Field[list[str]]("Paths that the Hub already had.")
    dry_run = Field[bool]("True if nothing was sent because dry_run was given.")
    selected = Field[list[str]]("Every path that was chosen; of a dry run what would be sent.")
    left_behind = Field[list[dict[str, str]]]("What was not sent: path (a folder ends with a slash) and why.")

    def _table(self) -> Table:
        rows = [(path, "would be sent") for path in self.selected] if self.dry_run else [
            *((path, "uploaded") for path in self.uploaded), *((path, "unchanged") for path in self.unchanged)]
        return ("file", ""), [*rows, *((one["path"], f"left behind: {one['why']}") for one in self.left_behind)]

    def _summary(self) -> str:
        if self.dry_run:
            return f"{self.repo}: {count(len(self.selected), 'file')} would be sent"
        return f"{self._place()}: {len(self.uploaded):,} uploaded, {len(self.unchanged):,} unchanged"


class PullReport(_Transfer):
    """What a pull fetched. Its `commit` is what `revision` was then."""

    __slots__ = ()

    path = Field[str]("The snapshot in the cache, or the output folder.")
    files = Field[list[str]]("Relative to it, sorted.")

    def _table(self) -> Table:
        return ("file",), [(path,) for path in self.files]

    def _summary(self) -> str:
        return f"{self._place()}: {count(len(self.files), 'file')} in {self.path}"
