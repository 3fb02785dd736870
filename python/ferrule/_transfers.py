# SPDX-License-Identifier: Apache-2.0
"""Reports of push and pull."""

from __future__ import annotations

import copy
from typing import Any, Sequence

from ._ferrule import Finding
from ._reports import Report, _count

__all__ = ["PullReport", "PushReport"]


class _Transfer(Report, abstract=True):
    """A mapping too: dict(report) has the fields of the document."""

    __slots__ = ()

    @property
    def repo(self) -> str:
        """The repository with its namespace."""
        return self._fields["repo"]

    @property
    def commit(self) -> str:
        return self._fields["commit"]

    @property
    def revision(self) -> str:
        return self._fields["revision"]

    @property
    def findings(self) -> list[Finding]:
        """Always empty: what is wrong is raised."""
        return []

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

    @property
    def url(self) -> str:
        """URL of that commit."""
        return self._fields["url"]

    @property
    def pr_url(self) -> str | None:
        """URL of the pull request, if one was opened."""
        return self._fields["pr_url"]

    @property
    def uploaded(self) -> list[str]:
        """Paths in the repository that were uploaded."""
        return list(self._fields["uploaded"])

    @property
    def unchanged(self) -> list[str]:
        """Paths that the Hub already had."""
        return list(self._fields["unchanged"])

    @property
    def dry_run(self) -> bool:
        """True if nothing was sent because dry_run was given."""
        return self._fields["dry_run"]

    @property
    def selected(self) -> list[str]:
        """Every path that was chosen; of a dry run what would be sent."""
        return list(self._fields["selected"])

    @property
    def left_behind(self) -> list[dict[str, str]]:
        """What was not sent: path (a folder ends with a slash) and why."""
        return copy.deepcopy(self._fields["left_behind"])

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        rows = [(path, "would be sent") for path in self.selected] if self.dry_run else [
            *((path, "uploaded") for path in self.uploaded), *((path, "unchanged") for path in self.unchanged)]
        return ("file", ""), [*rows, *((one["path"], f"left behind: {one['why']}") for one in self.left_behind)]

    def _summary(self) -> str:
        if self.dry_run:
            return f"{self.repo}: {_count(len(self.selected), 'file')} would be sent"
        return f"{self._place()}: {len(self.uploaded):,} uploaded, {len(self.unchanged):,} unchanged"


class PullReport(_Transfer):
    """What a pull fetched. Its `commit` is what `revision` was then."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """The snapshot in the cache, or the output folder."""
        return self._fields["path"]

    @property
    def files(self) -> list[str]:
        """Relative to it, sorted."""
        return list(self._fields["files"])

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("file",), [(path,) for path in self.files]

    def _summary(self) -> str:
        return f"{self._place()}: {_count(len(self.files), 'file')} in {self.path}"
