"""What has run: one entry for each cell of the committed evidence, generated into `matrix/ran.json`.

`python -m ci.reference` writes the file from docs/evidence; evidence of this checkout's own runs is read where
`recommend` is run. Facts of the cell stand beside its id, because nothing parses meaning out of an id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT

FILE: Final = CHECKOUT / "matrix" / "ran.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The last run of one cell. `speed` is in tok/s, with its conditions; None: not measured."""

    cell: str
    rig: str
    release: str
    checkpoint: str
    features: tuple[str, ...]
    fingerprint: str
    file: str  # the evidence, relative to the checkout
    date: str  # YYYY-MM-DD
    host: str
    counts: Mapping[str, int] = field(default_factory=dict)  # status -> tests
    missing: int = 0  # tests that the cell owed and never answered
    cut: bool = False  # whether one of them, or one that said nothing, is about answers and not about speed
    proven: tuple[str, ...] = ()
    refuted: tuple[str, ...] = ()
    speed: float | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def red(self) -> bool:
        """Whether a test was red or a feature was refuted."""
        return bool(self.refuted) or any(n for s, n in self.counts.items() if s not in CALM)

    @property
    def worked(self) -> bool:
        """Whether tests passed, nothing was red, and every test about answers was asked: the first two are no cell."""
        # something must have passed: a run whose every test was skipped has proven nothing
        good = self.counts.get("PASS", 0) + self.counts.get("MEASURED", 0)
        return bool(good) and not self.red and not self.cut

    @property
    def failed(self) -> bool:
        """Whether the launch is to be kept from others: a run that was only cut says nothing against it."""
        return not self.worked and (self.red or not self.cut)

    def describe(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in sorted(self.counts.items()))
        unasked = f", {self.missing} not asked" if self.missing else ""
        return f"{counts}{unasked} on {self.host}, {self.date}"


# NOT_EVIDENCE says nothing, neither for the launch nor against it.
CALM: Final = frozenset({"PASS", "MEASURED", "XFAIL", "NOT_ASKED", "NOT_EVIDENCE"})


def parse_ran(raw: Mapping[str, Mapping[str, Any]]) -> dict[str, LastRun]:
    """Parse the file's data: cell id -> the other fields of Ran."""
    lists = ("features", "proven", "refuted")
    found: dict[str, LastRun] = {}
    for cell, entry in raw.items():
        fields: dict[str, Any] = {k: tuple(v) if k in lists else v for k, v in entry.items()}
        found[cell] = LastRun(cell=cell, **fields)
    return found


def dump_ran(found: Mapping[str, LastRun]) -> str:
    """Format the file: one cell a line, sorted."""
    lines = []
    for cell in sorted(found):
        entry = {k: v for k, v in asdict(found[cell]).items() if k != "cell" and v not in (None, (), {}, 0, False)}
        # a baseline's empty list was dropped above with the other empty values, and the reader wants the key
        entry.setdefault("features", ())
        lines.append(f"{json.dumps(cell)}: {json.dumps(entry, sort_keys=True)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


@cache
def read_ran(file: Path = FILE) -> Mapping[str, LastRun]:
    """Read the generated file, once per process."""
    return parse_ran(json.loads(file.read_text(encoding="utf-8")))
