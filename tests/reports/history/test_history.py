"""A directory of runs, and what its index answers: trend, flakes, first bad run, baseline."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError, HostError
from reports import __main__ as cli
from reports.compare.baselines import read_baseline
from reports.evidence.files import read_records
from reports.history import index
from reports.history.baseline import choose_runs, write_baseline
from reports.history.bisect import find_first_bad
from reports.history.collection import add_files
from reports.history.flakes import find_flakes
from reports.history.index import NAME, list_refused, open_index
from reports.history.trend import NumberTrend, draw_sparkline, read_trends
from tests.reports import world
from tests.reports.world import PLAIN, Json

WAVE = "wave_output_throughput"
GPU: Json = {"gpus": [{"name": "H100"}], "driver": "580.1"}


def run_fields(status: str = "PASS", value: float = 100.0, **run: Any) -> list[Json]:
    """One cell with one test and one number."""
    versions = {"vllm": run.pop("version", "0.26.0")}
    fingerprint, stub = run.pop("fingerprint", "f0"), run.pop("stub", False)
    who = {"cell": PLAIN, "fingerprint": fingerprint}
    where = {"concurrency": 1, "client_fit": run.pop("fit", True)}
    return [
        {"kind": "run", "host": GPU, "commit": "c1", **run},
        {
            "kind": "launch",
            **who,
            "outcome": "ok",
            "launch_s": 20.0,
            "versions": versions,
            "stub": stub,
        },
        {"kind": "measurement", **who, "name": WAVE, "value": value, "unit": "tok/s", "conditions": where},
        {**world.result(PLAIN, "needle", status, message="half \ud83d"), "fingerprint": fingerprint},
    ]


def write(folder: Path, number: int, fields: list[Json], *, cut: bool = False, packed: bool = False) -> Path:
    records = world.seal(fields, f"r{number}", world.BEGUN + timedelta(days=number))
    data = world.write(records[:-1] if cut else records)
    path = folder / f"e{number:02}.jsonl{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs"
    made.mkdir()
    return made


def write_all(folder: Path, *statuses: str) -> None:
    for number, status in enumerate(statuses):
        write(folder, number, run_fields(status))


def dump(folder: Path) -> list[str]:
    with open_index(folder) as connection:
        return sorted(map(str, connection.execute("SELECT * FROM results")))


def test_packed_and_plain_runs_are_indexed_and_bad_ones_named(folder: Path) -> None:
    write(folder, 0, run_fields())
    write(folder, 1, run_fields(), packed=True)
    write(folder, 2, run_fields(), cut=True)
    (folder / "torn.jsonl.gz").write_bytes(gzip.compress(b"x" * 99)[:-9])
    shutil.copyfile(folder / "e00.jsonl", folder / "z_copy.jsonl")
    with open_index(folder) as connection:
        runs = [run for (run,) in connection.execute("SELECT run FROM runs ORDER BY run")]
        whys = {r.path: r.why for r in list_refused(connection)}
    assert runs == ["r0", "r1"]
    assert "not sealed" in whys["e02.jsonl"] and "no whole gzip file" in whys["torn.jsonl.gz"]
    assert whys["z_copy.jsonl"] == "it is in e00.jsonl, too"
    (folder / "e00.jsonl").unlink()
    with open_index(folder) as connection:
        assert connection.execute("SELECT path FROM runs WHERE run = 'r0'").fetchone() == ("z_copy.jsonl",)


def test_whatever_a_foreign_file_is_called_and_calls_things_is_indexed(folder: Path) -> None:
    half = "half \ud83d"
    fields = [{**f, "fingerprint": half} if f["kind"] != "run" else f for f in run_fields()]
    write(folder, 0, [{**f, "unit": half} if f["kind"] == "measurement" else f for f in fields])
    (folder / "e00.jsonl").rename(folder / os.fsdecode(b"r\xe9sultat.jsonl"))
    records = world.seal(run_fields(), half, world.BEGUN)
    (folder / "other.jsonl").write_bytes(world.write(records))
    for _ in range(2):  # the second time nothing is read again
        with open_index(folder) as connection:
            runs = connection.execute("SELECT run, path FROM runs ORDER BY run").fetchall()
            assert connection.execute("SELECT DISTINCT unit FROM numbers").fetchall() != []
            assert not list(list_refused(connection))
        assert runs == [("half \\ud83d", "other.jsonl"), ("r0", "r\\udce9sultat.jsonl")]


def test_a_run_that_ended_since_is_taken_and_a_changed_file_read_again(folder: Path) -> None:
    write(folder, 0, run_fields(), cut=True)
    assert dump(folder) == []
    write(folder, 0, run_fields("FAIL"))
    assert "FAIL" in dump(folder)[0]
    (folder / "e00.jsonl").unlink()
    assert dump(folder) == []


@pytest.mark.parametrize("damage", [b"no database at all" * 99, b""])
def test_an_index_that_is_damaged_old_or_gone_is_made_anew(folder: Path, damage: bytes) -> None:
    write_all(folder, "PASS", "FAIL")
    before = dump(folder)
    (folder / NAME).write_bytes(damage)
    assert dump(folder) == before
    with open_index(folder) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.execute("DELETE FROM results")
    assert dump(folder) == before
    (folder / NAME).unlink()
    assert dump(folder) == before


def test_a_crash_while_a_file_is_indexed_leaves_whole_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(folder, "PASS", "FAIL")
    right = index._insert_run

    def die(connection: Any, path: str, run: str, own: Any) -> None:
        right(connection, path, run, own)
        if run == "r1":
            raise KeyboardInterrupt

    monkeypatch.setattr(index, "_insert_run", die)
    with pytest.raises(KeyboardInterrupt):
        dump(folder)
    monkeypatch.setattr(index, "_insert_run", right)
    assert len(dump(folder)) == 2


def test_two_writers_index_every_run_once(folder: Path) -> None:
    write_all(folder, *["PASS"] * 6)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            dump(folder)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(dump(folder)) == 6


def test_a_writer_that_never_ends_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(folder, "PASS")
    dump(folder)
    monkeypatch.setattr(index, "WAIT_S", 0.01)
    with open_index(folder) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HostError, match="Another writer"):
            dump(folder)


def test_where_nothing_can_be_written_the_index_lives_in_memory(folder: Path) -> None:
    write_all(folder, "PASS")
    (folder / NAME).mkdir()
    assert len(dump(folder)) == 1
    with pytest.raises(ConfigError, match="no such directory"):
        dump(folder / "absent")


def test_a_directory_of_somebody_else_has_its_index_in_this_users_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(folder, "PASS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and asked(path, mode))
    rows = dump(folder)
    (kept,) = (tmp_path / "cache/glm-matrix/history").iterdir()
    assert len(rows) == 1 and kept == index.place_index(folder) and not (folder / NAME).exists()
    assert dump(folder) == rows


@pytest.mark.parametrize("columns", [("cell",), ("cell", "name"), ("cell", "name", "conditions", "unit")])
def test_each_combination_is_found_once_in_order_by_an_index(folder: Path, columns: tuple[str, ...]) -> None:
    write_all(folder, "PASS", "PASS")
    with open_index(folder) as connection:
        names = ", ".join(columns)
        slow = connection.execute(f"SELECT DISTINCT {names} FROM numbers ORDER BY {names}").fetchall()
        assert slow and list(index.iterate_distinct(connection, "numbers", columns)) == slow
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT {names} FROM numbers ORDER BY {names} LIMIT 1").fetchall()
        assert "USING COVERING INDEX numbers_by_key" in plan[0][-1] and "TEMP B-TREE" not in str(plan)
        connection.execute("DELETE FROM numbers")
        assert list(index.iterate_distinct(connection, "numbers", columns)) == []


def test_add_packs_sealed_runs_once_and_refuses_others(folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path, 0, run_fields())
    (added,) = add_files(folder, [path])
    assert added.name.startswith("r0.") and read_records(added) == read_records(path)
    assert add_files(folder, [path]) == [] and not list(folder.glob("*.draft"))
    with pytest.raises(ConfigError, match="run r1 is not sealed"):
        add_files(folder, [write(tmp_path, 1, run_fields(), cut=True)])
    (tmp_path / "empty.jsonl").write_bytes(b"")
    with pytest.raises(ConfigError, match="it holds no run"):
        add_files(folder, [tmp_path / "empty.jsonl"])


@pytest.mark.parametrize(
    ("statuses", "failures", "tries"),
    [
        ("PFP", 1, 3),
        ("FPF", 2, 3),
        ("PPPP", 0, 0),
        ("FFFF", 0, 0),
        ("PPFF", 0, 0),
        ("FFPP", 0, 0),
        ("PFPHP", 1, 4),
        ("PPPPPPPPPPPPPPPPPPFP", 1, 20),
    ],
)
def test_a_flake_turns_back_and_a_change_does_not(folder: Path, statuses: str, failures: int, tries: int) -> None:
    words = {"P": "PASS", "F": "FAIL", "H": "HOST_ERROR"}
    write_all(folder, *(words[s] for s in statuses))
    with open_index(folder) as connection:
        found = find_flakes(connection)
    assert [(f.failures, f.tries) for f in found] == ([(failures, tries)] if tries else [])
    if tries == 20:
        low, high = found[0].bounds
        assert (round(low, 4), round(high, 3)) == (0.0026, 0.216), "Clopper-Pearson"


def test_answers_of_two_plans_are_no_flake(folder: Path) -> None:
    for number, plan in enumerate(["f0", "f1", "f0", "f1"]):
        write(folder, number, run_fields("PASS" if plan == "f0" else "FAIL", fingerprint=plan))
    with open_index(folder) as connection:
        assert find_flakes(connection) == []


def test_the_first_bad_run_and_what_changed(folder: Path) -> None:
    write(folder, 0, run_fields("FAIL"))
    write(folder, 1, run_fields("PASS"))
    write(folder, 2, run_fields("HOST_ERROR", commit="c9"))
    write(folder, 3, run_fields("FAIL", version="0.27.0"))
    write(folder, 4, run_fields("CRASH", version="0.27.0"))
    with open_index(folder) as connection:
        (bad,) = find_first_bad(connection)
        assert find_first_bad(connection, word="no such test") == []
    assert bad.good and (bad.good.run, bad.bad.run, bad.failures, bad.mixed) == ("r1", "r3", 2, 1)
    assert bad.changed == {"version.vllm": ("0.26.0", "0.27.0")}
    test = "--test test_finds_the_needle"
    assert bad.next_step == f"glm-matrix bisect {PLAIN} --good 0.26.0 --bad 0.27.0 {test}"


@pytest.mark.parametrize(
    ("runs", "step"),
    [
        ([{"commit": "good"}, {"commit": "bad"}], "git bisect start bad good"),
        ([{}, {}], "nothing recorded differs: run it again, and see `glm-matrix history flakes`"),
        ([None, {}], "no run of this history passed it: add older evidence"),
    ],
)
def test_the_next_step_follows_from_what_changed(folder: Path, runs: list[Json | None], step: str) -> None:
    first, second = runs
    write(folder, 0, run_fields("PASS" if first is not None else "FAIL", **(first or {})))
    write(folder, 1, run_fields("FAIL", **(second or {})))
    with open_index(folder) as connection:
        assert [bad.next_step for bad in find_first_bad(connection)] == [step]


def test_a_test_that_passes_now_has_no_first_bad_run(folder: Path) -> None:
    write_all(folder, "FAIL", "PASS")
    with open_index(folder) as connection:
        assert find_first_bad(connection) == []


@pytest.mark.parametrize(("last", "word"), [(100.0, "as before"), (80.0, "slower"), (130.0, "faster")])
def test_the_last_number_is_held_against_the_noise_before_it(folder: Path, last: float, word: str) -> None:
    for number, value in enumerate([100.0, 101.0, 99.0, 100.0, 100.0, last]):
        write(folder, number, run_fields(value=value))
    with open_index(folder) as connection:
        (trend,) = read_trends(connection, cells="*", name=WAVE)
        assert (trend.judged[0], len(trend.points)) == (word, 6)
        assert [t.name for t in read_trends(connection, cells="*", name="launch_s")] == ["launch_s"]
        assert [t.last.value for t in read_trends(connection, cells="*", name="tests_passed")] == [1.0]
        assert list(read_trends(connection, cells="other", name="*")) == []


@pytest.mark.parametrize(
    ("name", "last", "word"),
    [
        (WAVE, 103.0, "as before"),
        ("median_ttft_ms", 80.0, "faster"),
        ("median_ttft_ms", 97.0, "as before"),
        ("median_ttft_ms", 130.0, "slower"),
        ("median_ttft_ms", float("nan"), "slower"),
        ("ttft_of_nobody", 130.0, "not judged"),
    ],
)
def test_of_a_number_of_which_less_is_better_more_is_slower(name: str, last: float, word: str) -> None:
    rows = [("", "", value, "f", "h") for value in (100.0, 101.0, 99.0, 100.0, 100.0, last)]
    trend = NumberTrend(cell="c", name=name, conditions={}, unit="u", rows=rows)
    assert trend.judged[0] == word
    assert NumberTrend(cell="c", name=name, conditions={}, unit="u", rows=[("", "", 0.0, "f", "h")] * 6).judged == (
        "not judged",
        None,
    )


def test_few_launches_and_another_plan_judge_nothing(folder: Path) -> None:
    for number in range(6):
        write(folder, number, run_fields(value=50.0 if number == 5 else 100.0, fingerprint="f0" if number else "f1"))
    with open_index(folder) as connection:
        (trend,) = read_trends(connection, cells="*", name=WAVE)
    assert trend.judged == ("too few to judge", 0.5)


def test_a_sparkline_spans_its_values() -> None:
    assert (draw_sparkline([1, 2, 3]), draw_sparkline([5, 5])) == ("▁▅█", "▁▁")


DROPPED: list[tuple[str, Callable[[], list[Json]]]] = [
    ("failed", lambda: run_fields("FAIL")),
    ("a stub", lambda: run_fields(stub=True)),
    ("another plan", lambda: run_fields(fingerprint="f1")),
    ("an unfit client", lambda: run_fields(fit=False)),
    ("another host", lambda: run_fields(host={"gpus": [{"name": "A100"}]})),
]


@pytest.mark.parametrize("made", [m for _, m in DROPPED], ids=[n for n, _ in DROPPED])
def test_a_baseline_is_of_green_launches_of_one_plan_on_one_host(
    folder: Path, tmp_path: Path, made: Callable[[], list[Json]]
) -> None:
    write(folder, 0, made())
    for number in range(1, 7):
        write(folder, number, run_fields(value=100.0 + number))
    with open_index(folder) as connection:
        (chosen,) = choose_runs(connection, most=5)
        places = dict(connection.execute("SELECT run, path FROM runs").fetchall())
        (every,) = choose_runs(connection, most=99)
    assert chosen.runs == ("r2", "r3", "r4", "r5", "r6") and chosen.enough and "r0" not in every.runs
    write_baseline(folder, {run: {run: path} for run, path in places.items()}, [chosen], tmp_path / "base.jsonl")
    values = read_baseline([tmp_path / "base.jsonl"]).list_launches(PLAIN, WAVE, {"concurrency": 1})
    assert values == [102.0, 103.0, 104.0, 105.0, 106.0]


def test_the_verbs_answer_in_words_and_data(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = write(tmp_path, 4, run_fields("FAIL", version="0.27.0"))
    write_all(folder, "PASS", "FAIL", "PASS")
    said: dict[str, str] = {}
    more = {"add": [str(new)], "baseline": ["--out", str(tmp_path / "b.jsonl")]}
    for verb in ("add", "trend", "flakes", "bisect-start", "baseline"):
        assert cli.main(["history", verb, str(folder), *more.get(verb, ())]) == 0
        said[verb] = capsys.readouterr().out
    assert "4 runs of 1 cell" in said["add"] and WAVE in said["trend"] and "▁" in said["trend"]
    assert "2 of 4" in said["flakes"] and "first bad  2026-11-25 FAIL in run r4" in said["bisect-start"]
    assert "too few to judge speed by" in said["baseline"]
    for verb in ("trend", "flakes", "bisect-start"):
        assert cli.main(["history", verb, str(folder), "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)
    assert cli.main(["history", "trend", str(tmp_path / "absent")]) == 2
