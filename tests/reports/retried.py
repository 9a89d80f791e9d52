"""Two runs of the small green world, of which the second asks the first again; a policy's clause for flakes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from reports.evidence.types import Record
from reports.gate.clauses import Flake
from tests.reports import world
from tests.reports.world import BEGUN, PLAIN, Json

MINUTES = timedelta(minutes=1)
SAID = "needle.found: the code is not in the reply"
FLAKE = Flake(
    cells="cpu.*",
    tests=("test_finds_the_needle",),
    signature="the code is not in the reply",
    issue="https://example.org/7",
    owner="somebody",
    rate=0.34,
    least_asked=2,
    until=date(2027, 1, 31),
)


def stated(fields: Iterable[Mapping[str, Any]], **run: Any) -> list[Json]:
    """Return the fields of a run that says its commit and matrix, and whatever else is given."""
    known = {"commit": "c0ffee", "matrix_sha256": "3a7", **run}
    return [{**f, **known} if f["kind"] == "run" else dict(f) for f in fields]


def first(status: str = "FAIL", **more: Any) -> list[Record]:
    """Run r1: all is well but one needle."""
    return world.seal(stated(with_needle(status, **more)), "r1")


def again(status: str = "PASS", run: str = "r2", of: str = "r1", after: int = 5, **more: Any) -> list[Record]:
    """Return a run that asks only that needle, minutes later."""
    fields = [f for f in with_needle(status) if f["kind"] == "run" or f.get("cell") == PLAIN]
    kept = [f for f in fields if f["kind"] != "result" or f["test"] == "test_finds_the_needle"]
    return world.seal(stated(kept, retry_of=of, **more), run, BEGUN + after * MINUTES)


def with_needle(status: str, **more: Any) -> list[Json]:
    said = {"message": SAID, **more} if status not in ("PASS", "XFAIL") else more
    return [
        {**f, "status": status, **said} if f.get("test") == "test_finds_the_needle" and f["cell"] == PLAIN else f
        for f in world.green()
    ]
