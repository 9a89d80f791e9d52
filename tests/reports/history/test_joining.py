"""A night that was cut short and what asked the rest are one run of a history, in whatever files they lie."""

from __future__ import annotations

import fcntl
import gzip
import itertools
import os
import shutil
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError, HostError
from reports import __main__ as cli
from reports.compare.baselines import read_baseline
from reports.evidence.continuations import digest_run
from reports.evidence.types import Record
from reports.history import index
from reports.history.baseline import choose_runs, write_baseline
from reports.history.collection import add_files
from reports.history.index import NAME, list_refused, open_index
from reports.history.joining import read_places
from tests.reports import world
from tests.reports.history.test_history import GPU, WAVE
from tests.reports.world import PLAIN, WITH_MTP, Json

SOURCE: Json = {"host": GPU, "commit": "c1", "matrix_sha256": "m", "depth": "quick"}
ENGINE: Json = {"outcome": "ok", "launch_s": 20.0, "versions": {"vllm": "1"}}


def ask(cell: str, value: float = 100.0, status: str = "PASS") -> list[Json]:
    """One cell with one number and one answer."""
    made = world.result(cell, "needle", status)
    who = {"cell": cell, "fingerprint": made["fingerprint"], "nodeid": made["nodeid"]}
    number = {"name": WAVE, "value": value, "unit": "tok/s", "conditions": {"concurrency": 1}}
    return [{"kind": "launch", **who, **ENGINE}, {"kind": "measurement", **who, **number}, made]


def part(
    number: int, fields: list[Json], continued: list[list[Record]] | None = None, *, cut: bool = True, **run: Any
) -> list[Record]:
    """Return the records of run `r1`, `r2`, ... which continues others; `cut`: killed before its end."""
    named = {own[0].run: digest_run(own) for own in continued or []}
    start = {"kind": "run", **SOURCE, **({"continues": named} if named else {}), **run}
    made = world.seal([start, *fields], f"r{number}", world.BEGUN + timedelta(hours=number))
    return made[:-1] if cut else made


def write(folder: Path, name: str, records: list[Record], *, packed: bool = False) -> Path:
    path = folder / f"{name}.jsonl{'.gz' if packed else ''}"
    data = world.write(records)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def night() -> tuple[list[Record], list[Record]]:
    """Return a night of two cells: killed while it asked the second, whose number is measured again by the rest."""
    first = part(1, [*ask(PLAIN), *ask(WITH_MTP, 55.0)[:2]])
    return first, part(2, ask(WITH_MTP, 90.0), [first], cut=False)


def runs_of(folder: Path) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Return the cells of each run, and why the others are left out."""
    with open_index(folder) as connection:
        found: dict[str, set[str]] = {run: set() for (run,) in connection.execute("SELECT run FROM runs")}
        for run, cell in connection.execute("SELECT run, cell FROM results"):
            found[run].add(cell)
        return found, {r.run: r.why for r in list_refused(connection)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs"
    made.mkdir()
    return made


BOTH = {"r2": {PLAIN, WITH_MTP}}


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_two_parts_are_one_run_whatever_their_files_are_called(folder: Path, names: tuple[str, str]) -> None:
    first, rest = night()
    write(folder, names[0], first)
    write(folder, names[1], rest, packed=True)
    for _ in range(2):  # read anew, and from the index
        assert runs_of(folder) == (BOTH, {})
    with open_index(folder) as connection:
        numbers = connection.execute("SELECT cell, value FROM numbers ORDER BY value").fetchall()
        ((began,),) = connection.execute("SELECT t FROM runs").fetchall()
    assert numbers == [(WITH_MTP, 90.0), (PLAIN, 100.0)], "what a cut test measured does not count"
    assert began == (world.BEGUN + timedelta(hours=1)).isoformat(timespec="milliseconds")


def test_parts_may_stand_in_one_file_and_come_one_after_the_other(folder: Path, tmp_path: Path) -> None:
    first, rest = night()
    both = write(tmp_path, "both", [*first, *rest])
    path = write(folder, "a", first)
    assert runs_of(folder)[0] == {} and "not sealed" in runs_of(folder)[1]["r1"]
    write(folder, "b", rest)
    assert runs_of(folder) == (BOTH, {})
    path.unlink()
    assert runs_of(folder) == ({}, {"r2": "it continues run r1, which is not in this directory: add its file, too"})
    (folder / "b.jsonl").unlink()
    shutil.copyfile(both, folder / "c.jsonl")
    assert runs_of(folder) == (BOTH, {})


def test_a_night_that_was_killed_twice_is_one_run(folder: Path) -> None:
    first = part(1, ask(PLAIN))
    second = part(2, ask(WITH_MTP)[:1], [first])
    for third in (part(3, ask(WITH_MTP), [first, second], cut=False), part(3, ask(WITH_MTP), [second], cut=False)):
        for order in itertools.permutations([first, second, third]):
            for name, own in zip("abc", order, strict=True):
                write(folder, name, own)
            assert runs_of(folder) == ({"r3": {PLAIN, WITH_MTP}}, {})


def test_an_interrupted_part_counts_once(folder: Path) -> None:
    """Ctrl-C seals a run: on its own it is a run, and with its rest a part."""
    first = part(1, ask(PLAIN), cut=False)
    first[-1] = replace(first[-1], interrupted=True, exit_code=2)  # type: ignore[call-arg]
    write(folder, "a", first)
    assert runs_of(folder)[0] == {"r1": {PLAIN}}
    write(folder, "b", part(2, ask(WITH_MTP), [first], cut=False))
    assert runs_of(folder) == (BOTH, {})


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda own: own[:-1], "the records of that run are not those that it found there"),
        (lambda own: [replace(own[0], commit="c2"), *own[1:]], "it is of another commit"),
    ],
)
def test_a_link_that_does_not_hold_joins_nothing(folder: Path, damage: Any, why: str) -> None:
    first, rest = night()
    write(folder, "a", damage(first))
    write(folder, "b", rest)
    found, left_out = runs_of(folder)
    assert found == {} and why in left_out["r2"] and "not sealed" in left_out["r1"]


def test_runs_that_name_each_other_are_refused_and_end(folder: Path) -> None:
    for number, other in ((1, "r2"), (2, "r1"), (3, "r3")):
        write(folder, f"e{number}", part(number, ask(PLAIN), cut=False, continues={other: "0" * 64}))
    found, left_out = runs_of(folder)
    assert "r3" in left_out and {"r1", "r2"} & set(left_out) and not {"r1", "r2", "r3"} <= set(found)


def test_a_crash_before_the_parts_are_joined_is_mended_by_the_next_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, rest = night()
    write(folder, "a", first)
    write(folder, "b", rest)
    right = index._insert_run

    def die(connection: Any, path: str, run: str, own: Any) -> None:
        right(connection, path, run, own)
        raise KeyboardInterrupt

    monkeypatch.setattr(index, "_insert_run", die)
    with pytest.raises(KeyboardInterrupt):
        runs_of(folder)
    monkeypatch.setattr(index, "_insert_run", right)
    assert runs_of(folder) == (BOTH, {})


def test_writers_at_once_join_once(folder: Path) -> None:
    first, rest = night()
    write(folder, "a", first)
    write(folder, "b", rest)
    found: list[object] = []

    def work() -> None:
        try:
            found.append(runs_of(folder))
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [each for each in found if isinstance(each, BaseException)] and runs_of(folder) == (BOTH, {})


def test_a_writer_that_does_not_end_is_told_and_waited_for_no_longer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "WAIT_S", 0.1)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(HostError, match="another writer has been at work"):
            runs_of(folder)
    finally:
        os.close(held)
    assert runs_of(folder) == ({}, {})


def test_add_takes_both_parts_together(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, rest = night()
    paths = write(tmp_path, "night", first), write(tmp_path, "rest", rest)
    with pytest.raises(ConfigError, match="give the run that continues it"):
        add_files(folder, paths[:1])
    edited = write(tmp_path, "edited", first[:-1])
    with pytest.raises(ConfigError, match="lines were lost, edited or added"):
        add_files(folder, (edited, paths[1]))
    assert cli.main(["history", "add", str(folder), *map(str, paths)]) == 0
    assert "1 run of 2 cells, 1 of them in parts" in capsys.readouterr().out
    (folder / NAME).unlink()
    assert runs_of(folder) == (BOTH, {})


def test_a_baseline_of_a_joined_run_takes_the_numbers_of_its_parts(folder: Path, tmp_path: Path) -> None:
    first, rest = night()
    write(folder, "a", first)
    write(folder, "b", rest)
    with open_index(folder) as connection:
        chosen = choose_runs(connection)
        assert {each.cell for each in chosen} == {PLAIN, WITH_MTP}
        write_baseline(folder, read_places(connection), chosen, tmp_path / "base.jsonl")
    earlier = read_baseline([tmp_path / "base.jsonl"])
    assert earlier.list_launches(PLAIN, WAVE, {"concurrency": 1}) == [100.0]
