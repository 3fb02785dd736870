# SPDX-License-Identifier: Apache-2.0
"""The reports of rescue, assemble, publish and save_shard."""

from __future__ import annotations

from typing import Optional

from ._record import Field, Report
from ._text import count

__all__ = ["PublishReport", "RescueReport", "ShardReport"]


class RescueReport(Report):
    """What rescue() or assemble() wrote, and out of what. Its findings are steps that were passed over, and what the
    format cannot prove (RS-17)."""

    __slots__ = ()

    output = Field[str]()
    kind = Field[str]('''In words: "a checkpoint of DeepSpeed (ZeRO-3)".''')
    source = Field[str]("The step's folder, or the file, that the tensors came from.")
    step = Field[Optional[int]]()
    world_size = Field[Optional[int]]()
    adapter = Field[str]("Its name in the checkpoint.")
    tensors = Field[int]()
    bytes_read = Field[int]()
    checkpoint_bytes = Field[int]("Sizes of the files that were opened.")

    def _summary(self) -> str:
        step = f" of step {self.step:,}" if self.step is not None else ""
        return f"{self.output}: {count(self.tensors, 'tensor')} of \"{self.adapter}\" out of {self.kind}{step}"


class PublishReport(Report):
    """What publish() wrote."""

    __slots__ = ()

    generation = Field[int]()
    directory = Field[str]("The generation's own folder.")
    bytes = Field[int]()
    shared = Field[int]("Names that share the memory of another, which publish_tensors() did not write again.")
    removed = Field[list[int]]("Older generations that `keep` removed.")

    def _summary(self) -> str:
        return f"{self.directory}: generation {self.generation:,}, {self.bytes:,} bytes, {len(self.removed):,} removed"


class ShardReport(Report):
    """What save_shard() wrote."""

    __slots__ = ()

    file = Field[str]()
    tensors = Field[int]("Of which this rank has something.")
    file_bytes = Field[int]()

    def _summary(self) -> str:
        return f"{self.file}: parts of {count(self.tensors, 'tensor')}, {self.file_bytes:,} bytes"
