"""What of the cells is done, and what is asked again with which reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from matrix.model import Cell
from matrix.yaml.load import load_matrix
from reports.evidence.types import Record, Result
from reports.gate.origin import Today
from reports.planning.resume import CellStanding, Now, judge_progress, list_commands
from tests.matrix.scheduling.world import list_cells
from tests.reports import origin
from tests.reports.world import NOW, Json, seal, typed

CELLS: tuple[Cell, ...] = list_cells("sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4")[:2]
FIRST, SECOND = CELLS
TODAY = origin.today(load_matrix())
NOW_HERE = Now(today=TODAY, depth="quick", moment=NOW)


def night(change: Callable[[Json], Json | None] = dict, commit: str = origin.COMMIT) -> list[Record]:
    """Return a sealed run of both cells; `change` edits or drops each of its records first."""
    fields = origin.green(load_matrix(), CELLS, commit, whole=True)
    return seal([new for f in fields if (new := change(f)) is not None])


def judged(records: list[Record], now: Now = NOW_HERE) -> dict[str, CellStanding]:
    return {p.cell: p for p in judge_progress(load_matrix(), CELLS, records, now)}


def states(records: list[Record], now: Now = NOW_HERE) -> dict[str, set[str]]:
    return {cell: set(p.why) for cell, p in judged(records, now).items()}


def test_a_whole_green_run_leaves_nothing() -> None:
    assert states(night()) == {FIRST.id: set(), SECOND.id: set()}


def test_no_evidence_leaves_everything() -> None:
    assert {p.wanted("missing") for p in judged([]).values()} == {"it has not run"}
    assert not any(p.wanted("failed") or p.wanted("stale") for p in judged([]).values())


def test_a_run_that_was_cut_short_leaves_the_rest() -> None:
    fields = origin.green(load_matrix(), CELLS, whole=True)
    last = max(n for n, f in enumerate(fields) if f["kind"] == "result" and f["cell"] == SECOND.id)
    found = judged(typed(fields[:last]))
    assert not found[FIRST.id].why
    assert set(found[SECOND.id].why) == {"missing"}
    assert found[SECOND.id].why["missing"].startswith("1 of ")


def test_a_failure_and_trouble_of_the_host_are_failed() -> None:
    one = next(r.test for r in night() if isinstance(r, Result) and r.cell == FIRST.id)
    for status in ("FAIL", "HOST_ERROR", "NOT_EVIDENCE"):
        found = judged(night(partial(_fail, test=one, status=status)))
        assert f"came to {status}" in found[FIRST.id].wanted("failed")
        assert not found[SECOND.id].why
        assert found[FIRST.id].failed_runs == ("r1",)


def _fail(f: Json, test: str, status: str) -> Json:
    return f | {"status": status} if f["kind"] == "result" and f["cell"] == FIRST.id and f["test"] == test else f


def test_a_refuted_feature_is_failed() -> None:
    proof: Json = {"kind": "proof", "cell": FIRST.id, "feature": "mtp", "outcome": "refuted", "rung": "log"}
    records = seal([*origin.green(load_matrix(), CELLS, whole=True), proof])
    assert judged(records)[FIRST.id].wanted("failed") == "mtp is refuted"


def _launched_with(text: str, of: str) -> Callable[[Json], Json]:
    def change(f: Json) -> Json:
        if f.get("cell") != of or "fingerprint" not in f:
            return f
        other = {"fingerprint": "0" * 16}
        return f | other | ({"script": f["script"].replace(*text.split("|"))} if f["kind"] == "cell" else {})

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("--page-size 128|--page-size 64", "its launch changed: `--page-size 128"),
        ("--nothing|", "its weights, its image"),
    ],
)
def test_another_plan_of_one_cell_is_stale_and_says_what_differs(change: str, said: str) -> None:
    found = judged(night(_launched_with(change, FIRST.id)))
    assert said in found[FIRST.id].wanted("stale")
    assert not found[SECOND.id].why


def _run(**more: object) -> Callable[[Json], Json]:
    return lambda f: f | more if f["kind"] == "run" else f


def _host(driver: str) -> Callable[[Json], Json]:
    return lambda f: f | {"host": f["host"] | {"driver": driver}} if f["kind"] == "run" else f


def _launch(**more: object) -> Callable[[Json], Json]:
    return lambda f: f | more if f["kind"] == "launch" else f


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (lambda: night(commit="dead" * 10), "of another commit (deaddeaddead)"),
        (lambda: night(_run(matrix_sha256="1" * 64)), "of another matrix (111111111111)"),
        (lambda: night(_run(dirty=True)), "of a dirty tree"),
        (lambda: night(_run(commit="")), "does not say of which commit"),
        (lambda: night(_run(depth="")), "asked at depth unknown, quick is wanted"),
        (lambda: night(_host("580.1")), "driver 580.1, today 590.2"),
        (lambda: night(_run(host={"cpu_count": 8, "gpus": []})), "it ran on no GPU"),
        (lambda: night(_launch(versions={"sglang": "0.5.17"})), "its engine was version 0.5.17"),
        (lambda: night(_launch(stub=True)), "a stub engine answered"),
        (lambda: night(_launch(attached=True)), "its engine was started by somebody else"),
        (lambda: [*night()[:-2], night()[-1]], "not those that its end sealed"),
    ],
)
def test_what_the_gate_would_not_take_is_stale_and_says_why(records: Callable[[], list[Record]], said: str) -> None:
    now = Now(today=TODAY, depth="quick", moment=NOW, driver="590.2")
    found = judged(records(), now)
    assert said in found[FIRST.id].wanted("stale"), found[FIRST.id]
    assert not found[FIRST.id].wanted("missing")


def test_a_stale_run_beside_a_good_one_costs_nothing() -> None:
    old = night(commit="dead" * 10)
    assert states([*old, *seal(origin.green(load_matrix(), CELLS, whole=True), "r2", NOW - timedelta(minutes=5))]) == {
        FIRST.id: set(),
        SECOND.id: set(),
    }


def test_commands_continue_retry_and_run_anew() -> None:
    found = [
        CellStanding(cell="a", why={"missing": "it has not run"}),
        CellStanding(cell="b", why={"failed": "x came to FAIL"}, failed_runs=("r1",)),
        CellStanding(cell="c", why={"stale": "another commit"}),
        CellStanding(cell="d"),
    ]
    assert list(list_commands(found, "all", [Path("night.jsonl")])) == [
        "pytest --continue=night.jsonl --evidence=rest.jsonl --cells a",
        "pytest --retry-of r1 --cells b",
        "pytest --cells c",
    ]
    assert list(list_commands(found, "failed", [])) == ["pytest --retry-of r1 --cells b"]


def test_without_a_commit_of_our_own_nothing_is_done() -> None:
    nowhere = Now(today=Today(commit="", matrix_sha256=TODAY.matrix_sha256), depth="quick", moment=NOW)
    assert states(night(), nowhere)[FIRST.id] == {"stale"}
