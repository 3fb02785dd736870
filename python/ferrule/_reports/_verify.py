# SPDX-License-Identifier: Apache-2.0
"""The report of verify."""

from __future__ import annotations

from typing import Optional

from .._errors import Error
from .._ferrule import Finding
from ._record import Field, Record, Report, error_from, errors_of, findings_of, records
from ._text import count

__all__ = ["VerifiedPath", "VerifyReport"]


class VerifiedPath(Record):
    """One path that was verified."""

    __slots__ = ()

    path = Field[str]()
    good = Field[bool]()
    verified = Field[int]("Adapters that were opened or tried; 1 for a file.")
    bad = Field[int]()
    findings = Field[list[Finding]]("Errors first.", made=findings_of)
    unreadable = Field[list[Error]]("What could not be opened, and why.", made=errors_of)
    system_error = Field[Optional[Error]]("The first of them.", "error", error_from)


class VerifyReport(Report):
    """What verify() found. True if it is good."""

    __slots__ = ()

    good = Field[bool]("Whether everything could be read and there is no error among the findings.")
    verified = Field[int]("Adapters and files that were opened or tried.")
    bad = Field[int]("Those of them that are not good.")
    paths = Field[list[VerifiedPath]]("In the order given.", made=records(VerifiedPath))

    def _found(self) -> list[Finding]:
        return [finding for path in self.paths for finding in path.findings]

    @property
    def unreadable(self) -> list[Error]:
        """What could not be opened, and why."""
        return [error for path in self.paths for error in path.unreadable]

    @property
    def system_error(self) -> Error | None:
        """The first system error that prevented a verdict, as opposed to bad data; not raised."""
        return next((path.system_error for path in self.paths if path.system_error is not None), None)

    def raise_for_errors(self) -> None:
        """Raises what could not be read, or CorruptError with the first error among the findings."""
        if self.system_error is not None:
            raise self.system_error
        super().raise_for_errors()

    def __bool__(self) -> bool:
        return self.good

    def __str__(self) -> str:
        return "\n".join([*map(str, self.unreadable), super().__str__()])

    def _summary(self) -> str:
        paths = self.paths
        name = paths[0].path if len(paths) == 1 else count(len(paths), "path")
        if self.verified <= 1:
            return f"{name}: {'good' if self.good else 'bad'}"
        return f"{name}: {self.verified - self.bad:,} good, {self.bad:,} bad of {self.verified:,}"
