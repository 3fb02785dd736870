# SPDX-License-Identifier: Apache-2.0
"""The report of state_dict."""

from __future__ import annotations

from ._record import Field, Report
from ._text import count

__all__ = ["StateDictReport"]


class StateDictReport(Report):
    """What state_dict() wrote."""

    __slots__ = ()

    directory = Field[str](key="path")
    adapter_name = Field[str]("In the names of the tensors.")
    output = Field[str]()
    tensors = Field[int](key="tensor_count")

    def _summary(self) -> str:
        return f"{self.output}: {count(self.tensors, 'tensor')} of {self.directory}"
