"""Evidence read cell by cell gives the rows that evidence read at once gives, or is read at once."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from reports.evidence import by_cell
from reports.evidence.by_cell import CellReader, Unstreamable
from reports.evidence.rows import iterate_rows, make_thin
from reports.evidence.summary import CellRow, make_board
from reports.evidence.types import Launch, Record
from tests.reports import world
from tests.reports.test_pages import failing
from tests.reports.world import PLAIN, WITH_MTP

HOSTILE = '\x1b[2J \u202e \\u "q" \x7f'
ESCAPED = rb'"cell":"cpu\u002ellamacpp.canary.baseline"'
SHARED_ENGINE = [{**f, "fingerprint": "f0"} if f.get("fingerprint") else f for f in world.green()]


def written(folder: Path, records: list[Record], name: str = "e.jsonl") -> Path:
    path, data = folder / name, world.write(records)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def rows_of(path: Path) -> dict[str, CellRow]:
    with CellReader([path]) as reader:
        return {row.cell: row for row in iterate_rows(reader)}


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz"])
@pytest.mark.parametrize(
    "fields", [world.green(), world.paired(), SHARED_ENGINE, failing('\x1b[2J \u202e \\u "q" \x7f')]
)
def test_rows_are_the_same_as_of_evidence_read_at_once(tmp_path: Path, fields: list[world.Json], name: str) -> None:
    records = world.seal(fields)
    assert rows_of(written(tmp_path, records, name)) == {row.cell: row for row in make_board(records).rows}


def test_lines_of_cells_that_took_turns_are_read_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a run with workers; a piece also ends where it is large enough."""
    one, other = ([f for f in world.paired() if f.get("cell") == cell] for cell in (PLAIN, WITH_MTP))
    turns = [f for pair in zip(one, other, strict=False) for f in pair]
    for most in (1, 1 << 20):
        monkeypatch.setattr(by_cell, "PIECE_BYTES", most)
        records = world.typed([*one, *turns, *other])
        with CellReader([written(tmp_path, records)]) as reader:
            assert [*reader.read_original(PLAIN)] == [r for r in records if r.cell == PLAIN]
            assert [*reader.read_cell(PLAIN)] == [r for r in records if r.cell == PLAIN and not isinstance(r, Launch)]


def nested(cell: str) -> world.Json:
    return {"kind": "proof", "cell": cell, "feature": "x", "outcome": "proven", "rung": "r"}


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda data: data.replace(b'"outcome":"ok"', b'"outcome":ok', 1), "not JSON"),
        (lambda data: data[:-1], "torn"),
        (lambda data: data.replace(b'"cell":"', b'"cell": "'), "unusual"),
        (
            lambda data: data.replace(f'"cell":"{PLAIN}"'.encode(), rb'"cell":"cpu\u002ellamacpp.canary.baseline"'),
            "unusual",
        ),
    ],
)
def test_what_cannot_be_read_by_cell_is_refused(tmp_path: Path, damage: world.Json, why: str) -> None:
    path = written(tmp_path, world.seal(world.green()))
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(Unstreamable, match=why):
        rows_of(path)


def test_a_cell_named_inside_a_value_is_noticed(tmp_path: Path) -> None:
    run = {"kind": "run", "host": {"cell": PLAIN}}
    with pytest.raises(Unstreamable, match="another's"):
        rows_of(written(tmp_path, world.typed([run, nested(WITH_MTP)])))


def test_a_run_that_retries_another_is_read_at_once(tmp_path: Path) -> None:
    with pytest.raises(Unstreamable, match="retries"):
        CellReader([written(tmp_path, world.typed([{"kind": "run", "retry_of": "r0"}]))])


def test_a_packed_file_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few megabytes of gzip are a few gigabytes of newlines."""
    monkeypatch.setattr(by_cell, "GZIP_BYTES", 3000)
    path = written(tmp_path, world.seal(world.green()), "e.jsonl.gz")
    with pytest.raises(Unstreamable, match="unpacks to more than"):
        CellReader([path])


def test_a_thin_row_tells_the_index_what_the_whole_row_does() -> None:
    for row in make_board(world.seal(failing("x"))).rows:
        thin = make_thin(row)
        assert (thin.status, thin.launch and thin.launch.outcome) == (row.status, row.launch and row.launch.outcome)
        assert [t.status for t in thin.tests] == [t.status for t in row.tests]
        assert not any(t.findings for t in thin.tests) and not thin.script
