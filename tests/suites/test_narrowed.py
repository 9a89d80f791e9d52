"""Whole pytest runs that were narrowed, on stubs: what the cell owes and was not asked is MISSING by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from matrix.planning.expand import expand_matrix
from matrix.planning.owed import read_owed
from matrix.yaml.load import load_matrix
from reports.evidence import files as evidence
from reports.evidence.types import Expected, Record, Result, Run
from reports.gate import gate, policy
from tests.fixtures.launch.docker.docker_plans import CANARY
from tests.pytest_forkserver import run_pytest

OTHER = CANARY.replace(".baseline", ".indexcache")
FIRST, SIGNATURE = "test_answers_first_token", "test_leaves_a_signature"
BOOT = "suites/test_boot.py"
CELL = next(c for c in expand_matrix(load_matrix()).runnable if c.id == CANARY)
NARROWED: dict[str, tuple[Sequence[str], set[str]]] = {  # what is done to a run, and the tests that are left of it
    "-k": (["suites", "-k", FIRST], {FIRST}),
    "-m": (["suites", "-m", "boot"], {FIRST, SIGNATURE}),
    "--deselect": ([BOOT, f"--deselect={BOOT}::{SIGNATURE}"], {FIRST}),
    "a node id": ([f"{BOOT}::{FIRST}[{CANARY}]"], {FIRST}),
    "--ignore": (["suites", "--ignore-glob=*/test_[c-t]*.py"], {FIRST, SIGNATURE}),
    "--last-failed": ([BOOT, "-o", "addopts=--import-mode=importlib", "--lf", "-k", FIRST], {FIRST}),
    "-x": (["suites", "-x"], {FIRST}),
    "--maxfail": (["suites", "--maxfail=1"], {FIRST}),
    "xdist": (["suites", "-n2", "-k", FIRST], {FIRST}),
}
FAILS = {"-x", "--maxfail"}


@dataclass(frozen=True)
class Done:
    """What a run left, and what it said."""

    records: list[Record]
    said: str

    @property
    def tests(self) -> set[str]:
        return {r.test for r in self.records if isinstance(r, Result)}


def run(folder: Path, *words: str, launches: str = "-", cells: Sequence[str] = (CANARY,)) -> Done:
    path = folder / "e.jsonl"
    done = run_pytest(
        "-p",
        "tests.suites.stub_launches",
        "-q",
        f"--evidence={path}",
        *words,
        "--cells",
        *cells,
        f"--basetemp={folder / 'tmp'}",
        "-o",
        f"cache_dir={folder / 'cache'}",
        env={"GLM_TEST_LAUNCHES": launches},
    )
    said = done.stdout + done.stderr
    assert path.exists(), said
    return Done(evidence.read_records(path), said)


def judged(folder: Path, records: Sequence[Record], more: str = "") -> list[str]:
    """Return the reasons of a policy that requires this cell, and names nothing of it."""
    path = folder / "gate.yaml"
    path.write_text(f"title: One cell\nrequire:\n  - glob: {CANARY}\nmax_age_h: 24\n{more}")
    found, doc = policy.load_policy(path)
    return [
        str(r)
        for r in gate.judge_evidence(
            found, policy.expect_cells(found, doc, load_matrix()), records, now=datetime.now(UTC)
        ).reasons
    ]


@pytest.mark.parametrize("way", NARROWED)
def test_what_a_narrowed_run_left_out_is_missing_by_name(tmp_path: Path, way: str) -> None:
    words, left = NARROWED[way]
    found = run(tmp_path, *words, launches="exits exits" if way in FAILS else "- -")
    assert found.tests == left, found.said
    missing = [reason for reason in judged(tmp_path, found.records) if "MISSING" in reason]
    owed = read_owed().asked_of(CELL, "quick")
    for item in owed:
        assert any(item.test in reason for reason in missing) is (item.test not in left), (item.test, missing)
    assert all(reason.startswith(f"{CANARY}: ") for reason in missing)


def test_a_run_says_its_depth_and_what_its_cells_owe_there(tmp_path: Path) -> None:
    found = run(tmp_path, BOOT, "-k", FIRST, "--depth=full").records
    [(said, expected)] = [
        (r.depth, e.tests) for r in found if isinstance(r, Run) for e in found if isinstance(e, Expected)
    ]
    assert said == "full"
    assert set(expected) == set(read_owed().nodeids(CELL, "full"))
    assert not any("depth full" in reason and "only" in reason for reason in judged(tmp_path, found))
    assert any("at depth full only" in reason for reason in judged(tmp_path, found, "depth: release\n"))


def test_a_cell_that_was_deselected_as_a_whole_still_counts_as_set_out_for(tmp_path: Path) -> None:
    """So that `--selected-only` misses it."""
    cells = [c.id for c in expand_matrix(load_matrix()).runnable if c.id in (CANARY, OTHER)]
    assert len(cells) == 2
    found = run(tmp_path, BOOT, "-k", f"{FIRST} and not indexcache", launches="- -", cells=cells)
    [ran] = [r for r in found.records if isinstance(r, Run)]
    assert sorted(ran.selection) == sorted(cells)
    assert {r.cell for r in found.records if isinstance(r, Result)} == {CANARY}
