"""A baseline takes the lines of its own cells' numbers, however they are spelled, and parses few others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.evidence import files
from reports.evidence.types import Record
from reports.history import baseline
from reports.history.baseline import ChosenRuns, write_baseline
from tests.reports import world
from tests.reports.world import PLAIN, WITH_MTP

NUMBER = {"kind": "measurement", "name": "tok_s", "value": 1.0, "unit": "tok/s", "conditions": {"c": 1}}
FIELDS = [*world.paired()[:-1], {**NUMBER, "cell": PLAIN}, {**NUMBER, "cell": WITH_MTP}, world.paired()[-1]]


def choose(path: Path, cell: str) -> list[world.Json]:
    out = path.with_name("base.jsonl")
    write_baseline(path.parent, {"r1": {"r1": path.name}}, [ChosenRuns(cell=cell, runs=("r1",))], out)
    return [json.loads(line) for line in out.read_text().splitlines()]


def respell(line: str) -> str:
    return json.dumps(dict(reversed(json.loads(line).items())))


@pytest.mark.parametrize("spell", [str, respell])
def test_the_lines_of_a_cell_are_taken_whoever_spelled_them(tmp_path: Path, spell: Callable[[str], str]) -> None:
    path = tmp_path / "e.jsonl"
    lines = world.write(world.typed(FIELDS)).decode().splitlines()
    spelled = [spell(line) for line in lines]
    spelled.insert(2, "{")  # a damaged line costs no other
    path.write_text("".join(f"{line}\n" for line in spelled))
    wanted = [f for line in lines if (f := json.loads(line))["kind"] in ("run", "launch", "measurement")]
    found = choose(path, PLAIN)
    assert found == [f for f in wanted if f.get("cell", PLAIN) == PLAIN] and len(found) >= 3


def test_other_kinds_and_other_cells_are_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "e.jsonl", list[bytes]()
    path.write_bytes(world.write(world.typed(FIELDS)))

    def note(line: bytes, newer: set[str]) -> Record:
        seen.append(line)
        return files.parse_line(line, newer)

    monkeypatch.setattr(baseline, "parse_line", note)
    choose(path, PLAIN)
    assert not any(b'"kind":"finding"' in line or b'"kind":"result"' in line for line in seen)
    assert sum(b'"tok_s"' in line for line in seen) == 1
