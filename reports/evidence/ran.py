"""Evidence files -> what ran, one entry for each cell: the last run of a cell counts (`matrix.recommending.ran`)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT, name_in_checkout
from matrix.errors import ConfigError
from matrix.output import places
from matrix.recommending.ran import LastRun
from reports.evidence.archive import SUFFIX as ARCHIVE
from reports.evidence.archive import read_lines

COMMITTED: Final = CHECKOUT / "docs" / "evidence"
KINDS: Final = frozenset({"run", "cell", "launch", "expected", "result", "proof", "measurement"})
SPEED: Final = "output_throughput"
SPEEDS: Final = "test_throughput.py::"  # a speed that was not asked is told as no number; an answer might be wrong
FACTS: Final = ("rig", "release", "checkpoint")
FASTEST: Final = 1e9  # tokens per second of one stream: a number beyond it was not measured
BIGGEST_BYTES: Final = 256 << 20  # of a file of one's own that is read for a recommendation


@dataclass(slots=True)
class SeenCell:
    """One cell of one run while its file is read."""

    facts: Mapping[str, Any]
    fingerprint: str
    date: str = ""
    owed: frozenset[str] = frozenset()  # node ids
    statuses: dict[str, str] = field(default_factory=dict)  # node id -> the last status
    outcomes: dict[str, str] = field(default_factory=dict)  # feature -> the last outcome
    speed: float | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)
    stub: bool = False


def locate_own() -> Path:
    """Return the evidence of this checkout's own runs."""
    return places.locate_out(CHECKOUT) / places.EVIDENCE


def list_committed() -> list[Path]:
    """List the evidence of docs/evidence, files and archives (NAME.tar.xz with NAME.jsonl), in order of their names."""
    return sorted(path for kind in ("*.jsonl", f"*{ARCHIVE}") for path in COMMITTED.rglob(kind))


def summarise_files(files: Iterable[Path]) -> dict[str, LastRun]:
    """Return the last run of each cell. A file that cannot be read adds nothing, nor does a damaged line.

    Engines that were stubs are left out: nobody ran the cell.
    """
    found: dict[str, LastRun] = {}
    for path in files:
        for ran in _summarise_file(path):
            if ran.cell not in found or _supersedes(ran, found[ran.cell]):
                found[ran.cell] = ran
    return found


def _supersedes(new: LastRun, old: LastRun) -> bool:
    """Return whether the new run says more of the cell than the old one.

    A run that was cut, or asked without its speeds, found nothing wrong in what it asked: it takes nothing back that
    an earlier run saw whole or saw fail. One that found something wrong does, and so does one of another plan.
    """
    if new.date < old.date or new.red:
        return new.date >= old.date
    if old.red:
        return not new.cut or new.fingerprint != old.fingerprint
    return not old.worked or (not new.cut and new.missing <= old.missing)


def _summarise_file(path: Path) -> Iterator[LastRun]:
    hosts: dict[str, str] = {}
    cells: dict[tuple[str, str], SeenCell] = {}
    for record in _read_records(path):
        kind, run = record["kind"], str(record.get("run", ""))
        if kind == "run":
            hosts[run] = str(record.get("host", {}).get("description", "an unnamed host"))
        elif kind == "cell":
            cells[run, record["cell"]] = SeenCell(facts=record["facts"], fingerprint=str(record.get("fingerprint", "")))
        elif (seen := cells.get((run, str(record.get("cell"))))) is not None:
            _note_record(seen, record)
    for (run, cell), seen in cells.items():
        if seen.statuses and not seen.stub:
            yield _make_ran(cell, seen, path, hosts.get(run, "an unnamed host"))


def _note_record(seen: SeenCell, record: Mapping[str, Any]) -> None:
    match record["kind"]:
        case "expected":
            seen.owed |= frozenset(t for t in record.get("tests", ()) if isinstance(t, str))
        case "result":
            seen.statuses[str(record.get("nodeid"))] = str(record.get("status"))
            seen.date = t[:10] if isinstance(t := record.get("t"), str) else seen.date
        case "proof":
            seen.outcomes[str(record.get("feature"))] = str(record.get("outcome"))
        case "launch":
            seen.stub = seen.stub or bool(record.get("stub"))
        case "measurement" if record.get("name") == SPEED and isinstance(record.get("value"), float | int):
            value, conditions = record["value"], record.get("conditions", {})
            if conditions.get("concurrency") == 1 and (seen.speed or 0) < value < FASTEST:
                seen.speed, seen.conditions = round(float(value), 1), conditions
        case _:
            pass


def _make_ran(cell: str, seen: SeenCell, path: Path, host: str) -> LastRun:
    facts = seen.facts
    outcomes = seen.outcomes.items()
    silent = [node for node, status in seen.statuses.items() if status == "NOT_EVIDENCE"]
    return LastRun(
        cell=cell,
        rig=facts["rig"],
        release=facts["release"],
        checkpoint=facts["checkpoint"],
        features=tuple(map(str, facts["features"])),
        fingerprint=seen.fingerprint,
        file=name_in_checkout(path),
        date=seen.date,
        host=host,
        counts=dict(sorted(Counter(seen.statuses.values()).items())),
        missing=len(missing := seen.owed - seen.statuses.keys()),
        cut=any(SPEEDS not in node for node in (*missing, *silent)),
        proven=tuple(sorted(f for f, outcome in outcomes if outcome == "proven")),
        refuted=tuple(sorted(f for f, outcome in outcomes if outcome == "refuted")),
        speed=seen.speed,
        conditions={k: v for k, v in seen.conditions.items() if k != "client_fit"},
    )


def _read_records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if not path.is_file() or path.stat().st_size > BIGGEST_BYTES:
            return
        for line in read_lines(path, BIGGEST_BYTES) if path.name.endswith(ARCHIVE) else _read_lines(path):
            if b'"kind":"finding"' not in line and (record := _parse_record(line)) is not None:
                yield record
    except (OSError, ConfigError):
        return


def _read_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as lines:
        yield from lines


def _parse_record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_sound(record) else None


def _is_sound(record: Mapping[str, Any]) -> bool:
    """Return whether a record has the shape that is read here: the file may be anybody's, and is not parsed whole."""
    kind, facts = record.get("kind"), record.get("facts")
    if not isinstance(kind, str) or kind not in KINDS:
        return False
    if kind == "cell":
        if not isinstance(facts, Mapping) or not isinstance(record.get("cell"), str):
            return False
        return all(isinstance(facts.get(n), str) for n in FACTS) and isinstance(facts.get("features"), list)
    if not isinstance(record.get("tests", []), list):
        return False
    part = {"run": "host", "measurement": "conditions"}.get(kind)
    return part is None or isinstance(record.get(part, {}), Mapping)
