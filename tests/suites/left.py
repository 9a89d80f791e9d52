"""What a whole pytest run on stubs left: its evidence, read, and what pytest said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matrix.judging.status import Status
from reports.evidence import files as evidence
from reports.evidence.types import Launch, Record, Result


@dataclass(frozen=True)
class RunLeft:
    """A run whose evidence is `e.jsonl` in `folder`."""

    folder: Path
    said: str

    @property
    def path(self) -> Path:
        return self.folder / "e.jsonl"

    @property
    def records(self) -> Sequence[Record]:
        return evidence.read_records(self.path)

    @property
    def statuses(self) -> dict[str, Status]:
        return {r.test: r.status for r in self.records if isinstance(r, Result)}

    @property
    def launches(self) -> list[Launch]:
        return [r for r in self.records if isinstance(r, Launch)]
