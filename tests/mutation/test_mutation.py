"""The mutation program on six faults: it tells noticed from survived, and green from false alarm."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from fixtures.banks.canary_bank import CanaryBank
from fixtures.launch.running import Running
from tests.faults.proxy import FaultProxy
from tests.faults.stub.claims import Claims
from tests.faults.stub.engine import StubEngine
from tests.faults.suite_tests import CALL, FACTS, IDENTITY, LAUNCH
from tests.mutation import __main__ as program
from tests.mutation import kill
from tests.mutation.__main__ import main
from tests.mutation.row import Alarm, Healthy, Row
from tests.mutation.seeds import SeededBank
from tests.mutation.table import Report, as_json, counts, page, read, report, with_earlier
from tests.mutation.target import Real, planned
from tests.suites.world import suite_tests


class Stubbed(Real):
    """The stub in the engine's place: it knows the answers to what is asked."""

    stub: StubEngine

    def bank(self, seed: int = 0) -> object:
        return self.stub.learn(SeededBank(CanaryBank(), seed))


@contextmanager
def proxied() -> Iterator[tuple[FaultProxy, Real]]:
    asked = planned()
    claims = Claims(owner=asked.cell.engine.owned_by or "", model=asked.cell.checkpoint.id)
    with StubEngine(claims=claims) as stub, FaultProxy(stub.base_url) as proxy:
        engine = Running(base_url=stub.base_url, model=claims.model, api_key=stub.api_key, stub=True)
        real = Stubbed(asked, engine, proxy.base_url)
        real.stub = stub
        yield proxy, real


@pytest.mark.parametrize("defect", ["empty_200", "drops_zero_arg_call", "missing_done"])
def test_a_defect_of_the_stub_is_killed_by_whom_it_names(defect: str) -> None:
    row = kill.stub_row(defect, every=False)
    assert row.verdict == "killed", row.missed_by


@pytest.mark.parametrize(
    "fault",
    [
        "switches_language",
        "calls_as_text",
        "html_under_200",
        "replies_in_another_name",
        "changes_name_in_mid_run",
        "another_server_on_the_port",
        "dies_and_another_takes_the_port",
    ],
)
def test_a_fault_of_the_proxy_is_killed_by_whom_it_names(fault: str) -> None:
    with proxied() as (proxy, real):
        row = kill.proxy_row(fault, proxy, real, every=False)
    assert row.verdict == "killed", row.missed_by


def test_a_killer_that_is_red_without_a_fault_has_killed_nothing() -> None:
    with proxied() as (proxy, real):
        real.blind = frozenset([CALL])
        row = kill.proxy_row("drops_every_call", proxy, real, every=False)
    assert (row.verdict, row.missed_by) == ("SURVIVED", (CALL,))


def test_a_healthy_engine_through_the_proxy_is_not_failed() -> None:
    with proxied() as (_, real):
        assert real.run(FACTS, seed=3).error is None
        assert real.run(CALL, seed=3).error is None
        assert real.run(LAUNCH).error is None
        assert real.run(IDENTITY).error is None


def test_a_false_alarm_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise AssertionError("no reason")

    monkeypatch.setattr("tests.mutation.kill.suite_tests", lambda: {FACTS: fails})
    monkeypatch.setattr("tests.suites.world.suite_tests", lambda: {FACTS: fails})
    first, second = (kill.healthy_stub(seed, say=lambda text: None) for seed in range(2))
    found = second.and_earlier(first)
    assert [(a.seed, a.test, a.said) for a in found.alarms] == [(0, FACTS, "no reason"), (1, FACTS, "no reason")]
    assert (found.runs, found.tests) == (2, 2)
    with pytest.raises(ValueError, match="seeds \\[1\\] were run before"):
        found.and_earlier(second)


def test_seeds_ask_other_questions() -> None:
    bank = CanaryBank()
    assert SeededBank(bank, 0).facts(3) == bank.facts(3)
    assert not {i.id for i in SeededBank(bank, 3).facts(3)} & {i.id for i in bank.facts(3)}
    assert len(SeededBank(bank, 30).parallel_calls(2)) == 2, "few of a kind: the same ones"
    assert SeededBank(bank, 5).needle(tokens=400, depth=0.5) == bank.needle(tokens=400, depth=0.5, trial=5)
    assert SeededBank(bank, 5).facts(0) == ()


ROW = Row(
    on="stub",
    fault="x",
    family="text",
    does="a|b",
    named=("a", "b"),
    asked=("a", "b", "c"),
    killed_by=("a", "c"),
    wall_s=1,
)


def test_only_the_tests_that_are_going_to_be_asked_are_tried_without_a_fault() -> None:
    asked: list[str] = []

    def run(test: str) -> SimpleNamespace:
        asked.append(test)
        return SimpleNamespace(red=test == "test_knows_facts")

    real = cast(Real, SimpleNamespace(names=tuple(suite_tests()), run=run))
    assert kill.blind(real, ["wrong_under_load", "numbers_off_by_one"], every=False, say=lambda _: None) == frozenset()
    assert asked == ["test_does_arithmetic", "test_answers_right_under_load"]
    assert kill.blind(real, ["forgets_earlier_turns"], say=lambda _: None) == {"test_knows_facts"}
    assert len(asked) > 20, "every test is asked of such a fault"


def test_a_healthy_engine_is_asked_what_its_cell_owes() -> None:
    """A canary claims no efforts: the test of them met an empty list, and a healthy llama.cpp was failed for it."""
    real = Real(planned(), cast(Running, None), "")
    owed = {name for name in real.names if real.owes(name)}
    assert set(real.names) - owed >= {"test_obeys_reasoning_effort", "test_obeys_what_can_be_counted"}
    assert owed >= {"test_drafts_are_accepted", "test_prefills_in_chunks", FACTS, LAUNCH, IDENTITY}


def test_one_green_killer_is_a_survivor() -> None:
    assert (ROW.verdict, ROW.missed_by) == ("SURVIVED", ("b",))
    assert replace(ROW, killed_by=("a", "b")).verdict == "killed"
    assert replace(ROW, named=(), invisible="why").verdict == "invisible"
    assert replace(ROW, named=()).verdict == "SURVIVED", "a fault that names nobody and gives no reason"


def test_the_table_says_what_was_seen() -> None:
    alarm = Alarm(seed=7, test="t", said="<bad>")
    healthy = Healthy(on="stub", seeds=(7,), tests=2, skipped=0, alarms=(alarm,), wall_s=1)
    rows = [ROW, replace(ROW, named=("a",)), replace(ROW, named=(), invisible="why")]
    made = report("stub", "faults", "cmd", rows=rows, healthy=[healthy], wall_s=3)
    assert counts(made.rows) == "1 of 2 killed, 1 invisible by design"
    text = page([made])
    assert "| **a**, ~~b~~, c |" in text and "a\\|b" in text and "seed 7, `t`: &lt;bad>" in text
    assert "1 of 2 killed, 1 invisible by design. 1 false alarms in 1 healthy runs." in text
    assert [r["verdict"] for r in json.loads(as_json(made))["rows"]] == ["SURVIVED", "killed", "invisible"]
    assert read(as_json(made)) == made


def test_rows_that_were_not_asked_again_are_kept() -> None:
    first = report("stub", "faults", "all", rows=[ROW, replace(ROW, fault="y")], wall_s=3)
    again = report("stub", "faults", "y", rows=[replace(ROW, fault="y", named=("a",))], wall_s=1)
    assert [(r.fault, r.verdict) for r in with_earlier(again, first).rows] == [("x", "SURVIVED"), ("y", "killed")]


def test_each_row_names_the_commit_that_made_it() -> None:
    first = replace(report("stub", "faults", "all", rows=[ROW, replace(ROW, fault="y")], wall_s=3), commit="new")
    old = read(as_json(replace(first, rows=tuple(replace(row, commit="old") for row in first.rows))))
    both = with_earlier(replace(first, rows=(replace(ROW, commit="new"),)), old)
    assert [row.commit for row in both.rows] == ["new", "old"]
    assert "Rows by commit: `new` 1, `old` 1." in page([both]) and "Rows by commit" not in page([old])


def test_rows_without_a_commit_are_their_reports() -> None:
    document = json.loads(as_json(report("stub", "faults", "all", rows=[ROW], wall_s=3)))
    del document["rows"][0]["commit"]
    assert read(json.dumps({**document, "commit": "old"})).rows[0].commit == "old"


def test_healthy_runs_of_other_seeds_are_added() -> None:
    runs = [Healthy(on="stub", seeds=(n,), tests=5, skipped=1, alarms=(), wall_s=2) for n in range(2)]
    first, again = (report("stub", "healthy", "cmd", healthy=[run], wall_s=2) for run in runs)
    both = with_earlier(again, first)
    assert [(h.seeds, h.tests, h.wall_s) for h in both.healthy] == [((0, 1), 10, 4)]
    assert read(as_json(both)) == both


def test_seeds_that_were_run_are_refused_before_anything_starts(tmp_path: Path) -> None:
    run = Healthy(on="stub", seeds=(1, 2), tests=5, skipped=1, alarms=(), wall_s=2)
    (tmp_path / "stub-healthy.json").write_text(as_json(report("stub", "healthy", "cmd", healthy=[run], wall_s=2)))
    with pytest.raises(SystemExit, match=r"seeds \[2\] were run before \(stub\)"):
        main(["--on", "stub", "--only", "healthy", "--seeds", "2-3", "--out", str(tmp_path)])


def written(folder: Path, *seeds: int) -> Path:
    folder.mkdir()
    run = Healthy(on="stub", seeds=seeds, tests=5, skipped=1, alarms=(), wall_s=2)
    (folder / "stub-healthy.json").write_text(as_json(report("stub", "healthy", "cmd", healthy=[run], wall_s=2)))
    return folder


def test_runs_side_by_side_are_merged(tmp_path: Path) -> None:
    first, second, out = written(tmp_path / "a", 1, 2), written(tmp_path / "b", 3), tmp_path / "out"
    assert main(["--merge", str(first), str(second), "--out", str(out)]) == 0
    assert [h.seeds for h in read((out / "stub-healthy.json").read_text()).healthy] == [(1, 2, 3)]
    assert "0 false alarms in 3 healthy runs" in (out / "kill-table.md").read_text()
    with pytest.raises(SystemExit, match=r"b/stub-healthy.json: stub: seeds \[3\] were run before"):
        main(["--merge", str(second), "--out", str(out)])
    with pytest.raises(SystemExit, match="holds no report"):
        main(["--merge", str(tmp_path), "--out", str(out)])
    with pytest.raises(SystemExit, match="--out DIR"):
        main(["--merge", str(first)])


def test_a_second_signal_takes_nothing_of_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group and the script that stops it send two."""

    def run_seed(seed: int) -> Healthy:
        if seed == 11:
            os.kill(os.getpid(), signal.SIGTERM)
        return Healthy(on="stub", seeds=(seed,), tests=1, skipped=0, alarms=(), wall_s=0.0)

    def write_slowly(made: Report) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return as_json(made)

    monkeypatch.setattr(program, "healthy_stub", run_seed)
    monkeypatch.setattr(program, "as_json", write_slowly)
    before = {number: signal.getsignal(number) for number in program.STOPS}
    try:
        assert main(["--on", "stub", "--only", "healthy", "--seeds", "10-19", "--out", str(tmp_path)]) == 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    (kept,) = read((tmp_path / "stub-healthy.json").read_text()).healthy
    assert kept.seeds == (10,)
