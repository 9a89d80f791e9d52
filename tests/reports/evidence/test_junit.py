"""JUnit files: grouped by launch, labelled, merged, and what is missing in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from junitparser import Failure, JUnitXml

from matrix.errors import ConfigError
from reports.evidence import junit
from tests.reports import world
from tests.reports.world import PLAIN, WITH_MTP


def case(cell: str, name: str, fingerprint: str, *, body: str = "") -> str:
    named = (("cell", cell), ("fingerprint", fingerprint), ("test", name))
    properties = "".join(f'<property name="{k}" value="{v}"/>' for k, v in named)
    return f'<testcase classname="s" name="{name}" time="0.1"><properties>{properties}</properties>{body}</testcase>'


def write(path: Path, *cases: str, **counts: int) -> Path:
    said = {"tests": len(cases), "failures": 0, "errors": 0, "skipped": 0, **counts}
    attributes = " ".join(f'{k}="{v}"' for k, v in said.items())
    suite = (
        f'<testsuite name="pytest" timestamp="2026-11-21T11:00:00" time="1" {attributes}>{"".join(cases)}</testsuite>'
    )
    path.write_text(f"<testsuites>{suite}</testsuites>")
    return path


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    failure = '<failure message="no">text</failure>'
    one = write(tmp_path / "1.xml", case(PLAIN, "test_boots", "f0"), case(WITH_MTP, "test_boots", "f1"))
    two = write(tmp_path / "2.xml", case(PLAIN, "test_finds_the_needle", "f0", body=failure), failures=1)
    junit.merge_junit([one, two], world.seal(world.green()), tmp_path / "out.xml")
    return tmp_path / "out.xml"


def test_files_of_several_jobs_become_one_suite_per_launch(merged: Path) -> None:
    whole = JUnitXml.fromfile(str(merged))
    found = {s.name: [c.name for c in s] for s in whole}
    assert found == {PLAIN: ["test_boots", "test_finds_the_needle"], WITH_MTP: ["test_boots"]}
    assert [(s.tests, s.failures) for s in whole] == [(2, 1), (1, 0)]
    assert (whole.tests, whole.failures) == (3, 1)
    assert any(isinstance(r, Failure) and r.text == "text" for s in whole for c in s for r in c.result)


def test_a_suite_says_what_was_launched(merged: Path) -> None:
    suite = next(iter(JUnitXml.fromfile(str(merged))))
    found = {p.name: p.value for p in suite.properties()}  # type: ignore[no-untyped-call]
    assert {k: found[k] for k in ("run", "fingerprint", "launch", "launch_s", "checkpoint")} == {
        "run": "r1", "fingerprint": "f0", "launch": "ok", "launch_s": "1.25", "checkpoint": "canary"
    }  # fmt: skip


def test_merging_a_merged_file_changes_nothing(merged: Path) -> None:
    before = merged.read_text()
    junit.merge_junit([merged], world.seal(world.green()), merged)
    assert merged.read_text() == before


def test_expected_cells_and_tests_without_a_case_are_named(merged: Path, tmp_path: Path) -> None:
    records = world.seal(world.green())
    assert junit.find_problems(merged, records) == [f"cell {WITH_MTP} has 1 test cases, 2 were expected"]
    only = write(tmp_path / "x.xml", case(PLAIN, "a", "f0"), case(PLAIN, "b", "f0"))
    assert junit.find_problems(only, records) == [f"cell {WITH_MTP} has no test case"]
    assert junit.find_problems(only) == []


@pytest.mark.parametrize(
    ("cases", "counts", "problem"),
    [
        ((), {}, "it has no test case"),
        ((case("c", "n", "f"),), {"tests": 5}, "suite 'pytest' says tests=5, but holds 1"),
        ((case("c", "n", "f"),), {"errors": 1}, "suite 'pytest' says errors=1, but holds 0"),
        ((case("c", "n", ""),), {}, "test case s::n lacks the property 'fingerprint'"),
        (('<testcase classname="s" name="n" time="0"/>',), {}, "test case s::n has no properties"),
        (('<testcase name="n" time="0"/>',), {}, "test case None::n has no classname"),
        (
            (case("c", "n", "f", body="<failure/><error/>"),),
            {"failures": 1, "errors": 1},
            "test case s::n has 2 outcomes",
        ),
    ],
)
def test_what_a_reader_would_miss_is_named(
    tmp_path: Path, cases: tuple[str, ...], counts: dict[str, int], problem: str
) -> None:
    assert problem in junit.find_problems(write(tmp_path / "j.xml", *cases, **counts))


@pytest.mark.parametrize("text", ["", "<html/>", "<testsuites><testsuite"])
def test_what_is_not_junit_is_bad_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "j.xml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"j\.xml: not a JUnit file"):
        junit.load_junit(path)
