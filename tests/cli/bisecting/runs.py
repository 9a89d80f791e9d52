"""Sealed runs of one cell on several releases, as evidence that a bisection may ask."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.reports import world
from tests.reports.world import Json

CELL = "sm120x4.sglang_0_5_17.glm51_478b_nvfp4.mtp"
TEST = "test_finds_the_needle_beyond_index_topk"
WRONG: Json = {"check": "needle.found", "detail": "['332b90'] not in the reply", "how": "wrong_answer"}
UNTOLD: Json = {"check": "", "detail": "", "how": "wrong_answer"}  # the test says it, and no check
DIED: Json = {"check": "", "detail": "", "how": "exit", "at": "before_ready"}
OTHER: Json = {"check": "needle.found", "detail": "empty", "how": "hang"}


def name_cell(version: str) -> str:
    return CELL.replace("0_5_17", version.replace(".", "_"))


def make_run(version: str, status: str, failure: Json = WRONG, **launch: Any) -> list[Json]:
    """One run of the cell: its facts, its launch and one test."""
    cell = name_cell(version)
    nodeid = f"suites/test_needle.py::{TEST}[{cell}]"
    who = {"cell": cell, "fingerprint": "f"}
    place = {"engine": "sglang", "version": version, "release": cell.split(".")[1]}
    facts = {**place, "rig": "sm120x4", "checkpoint": "glm51_478b_nvfp4", "features": ["mtp"]}
    bad = status in ("FAIL", "HANG", "XFAIL", "CRASH")
    found = {k: failure[k] for k in ("check", "detail")}
    shown = {
        "kind": "finding",
        **who,
        "test": TEST,
        "nodeid": nodeid,
        "ok": not bad,
        "expected": "e",
        "got": "g",
        **found,
    }
    shape = {"at": failure.get("at", "test"), "how": failure["how"]} if bad else {}
    said = "EngineExited: it ended\nKeyError: 'layers.2.indexer' on rank 3" if "at" in failure else "it says no"
    result = {"kind": "result", **who, "test": TEST, "nodeid": nodeid, "status": status, "message": said}
    return [
        {"kind": "run", "depth": "quick"},
        {"kind": "cell", **who, "facts": facts, "script": "#!/bin/sh\n"},
        {"kind": "launch", **who, "outcome": "ok", "launch_s": 1.0, **launch},
        *([shown] if failure["check"] and status in ("PASS", "FAIL", "HANG", "XFAIL") else []),
        {**result, **shape},
    ]


def write_run(folder: Path, number: int, fields: list[Json], *, cut: bool = False) -> Path:
    """Write a run, sealed, or cut short before its end."""
    records = world.seal(fields, f"r{number:03}", world.BEGUN + timedelta(minutes=number))
    path = folder / f"e{number:03}.jsonl"
    path.write_bytes(world.write(records[:-1] if cut else records))
    return path
