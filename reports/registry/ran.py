"""Certificates as what has run: `glm-matrix recommend --registry DIR` ranks launches by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from matrix.judging.status import Status
from matrix.recommending.ran import LastRun
from reports.certify.speed import list_left_out
from reports.certify.verify import Certificate
from reports.registry.entries import list_valid, read_registry

SPEED: Final = "output_throughput"
Json = Any


def read_certified(registry: Path, today: date | None = None) -> dict[str, LastRun]:
    """Read what a registry certifies, by cell. What has expired, or does not say what it is of, is left out.

    Raises:
        ConfigError: it is no registry.
    """
    valid = list_valid(read_registry(registry), today or datetime.now(UTC).date())
    return {ran.cell: ran for certificate in valid for ran in _make_ran(certificate)}


def _make_ran(found: Certificate) -> Iterator[LastRun]:
    own, facts, proofs = found.own, found.part("facts"), found.part("proofs")
    # A certificate is somebody else's file: whatever is not of its form is left out, never guessed.
    if not all(isinstance(facts.get(name), str) for name in ("rig", "release", "checkpoint")):
        return
    hosts = [str(_ensure_mapping(h).get("description") or "an unnamed host") for h in found.part("hosts").values()]
    statuses = found.part("statuses")
    unasked = [t for t in list_left_out(own) if statuses.get(t) == Status.MISSING]
    speed = max(_list_speeds(own.get("numbers")), key=lambda n: n["value"], default=None)
    yield LastRun(
        cell=found.cell,
        rig=facts["rig"],
        release=facts["release"],
        checkpoint=facts["checkpoint"],
        features=found.features,
        fingerprint=str(own.get("fingerprint")),
        file=str(found.path),
        date=str(own.get("ran") or found.issued),  # schema 1 names no day of the run
        host=", ".join(sorted(set(hosts))) or "an unnamed host",
        counts=dict(sorted(Counter(str(s) for t, s in statuses.items() if t not in unasked).items())),
        missing=len(unasked),
        proven=tuple(sorted(f for f, outcome in proofs.items() if outcome == "proven")),
        refuted=tuple(sorted(f for f, outcome in proofs.items() if outcome == "refuted")),
        speed=round(speed["value"], 1) if speed else None,
        conditions={k: v for k, v in speed["conditions"].items() if k != "client_fit"} if speed else {},
    )


def _list_speeds(numbers: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the speeds of one stream."""
    for each in numbers if isinstance(numbers, Sequence) else ():
        conditions = _ensure_mapping(_ensure_mapping(each).get("conditions"))
        is_speed = _ensure_mapping(each).get("name") == SPEED and isinstance(each.get("value"), float | int)
        # One stream, as `recommend` has it of our own evidence: a speed at 64 streams is of another load.
        if is_speed and conditions.get("concurrency") == 1:
            yield each


def _ensure_mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
