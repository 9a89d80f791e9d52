"""JUnit files: grouped by launch, labelled, merged, and what is missing in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from junitparser import Failure, JUnitXml

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from reports.evidence import junit
from reports.evidence.cause_line import find_cause
from reports.gate import junit as gate_junit
from tests.reports import world
from tests.reports.evidence.xsd import Schema
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


def test_a_test_whose_worker_died_stands_with_its_cell(tmp_path: Path) -> None:
    """xdist's controller writes that case, and knows its name alone."""
    name = f"{world.TESTS['needle']}[{PLAIN}]"
    died = f'<testcase classname="s" name="{name}" time="0"><error message="worker crashed">x</error></testcase>'
    loose = died.replace(name, "test_of_no_cell")
    file = write(tmp_path / "1.xml", case(PLAIN, "test_boots", "f0"), died, loose, errors=2)
    records = world.seal(
        {**f, "status": "TEST_ERROR"} if f["kind"] == "result" and f["test"] == world.TESTS["needle"] else f
        for f in world.green()
    )
    junit.merge_junit([file], records, tmp_path / "out.xml")
    whole = JUnitXml.fromfile(str(tmp_path / "out.xml"))
    assert {s.name: [c.name for c in s] for s in whole} == {PLAIN: ["test_boots", name], "no cell": ["test_of_no_cell"]}
    assert [(s.tests, s.errors) for s in whole] == [(2, 1), (1, 1)]


def test_a_suite_says_what_was_launched(merged: Path) -> None:
    suite = next(iter(JUnitXml.fromfile(str(merged))))
    found = {p.name: p.value for p in suite.properties()}  # type: ignore[no-untyped-call]
    assert {k: found[k] for k in ("run", "fingerprint", "launch", "launch_s", "checkpoint")} == {
        "run": "r1",
        "fingerprint": "f0",
        "launch": "ok",
        "launch_s": "1.25",
        "checkpoint": "canary",
    }


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


SCHEMA = Schema(CHECKOUT / "reports/evidence/junit.xsd")
LOCALS = '<failure message="assert False">cell = Cell(rig=...)\n    def test_x(client): ...</failure>'


def told(tmp_path: Path, body: str, status: str, *more: world.Json, message: str = "bad") -> JUnitXml:
    """Return a file of one failed test, after the evidence of its run was written into it."""
    fields = [f for f in world.green() if f["kind"] != "result" or "needle" not in f["nodeid"] or f["cell"] != PLAIN]
    fields[0] |= {"host": {"description": "1 x H100", "driver": "580.1", "cuda": "13.0"}, "commit": "c0ffee"}
    launch = next(f for f in fields if f["kind"] == "launch")
    launch |= {"versions": {"vllm": "0.26.0", "image_digest": "sha256:12"}}
    next(f for f in fields if f["kind"] == "cell").update(sha256="ab")
    who = {"cell": PLAIN, "fingerprint": "f0", "nodeid": world.nodeid("needle", PLAIN)}
    fields += [{**who, **f} for f in more]
    fields.append(world.result(PLAIN, "needle", status, message=message))
    name = world.nodeid("needle", PLAIN).partition("::")[2]
    path = write(tmp_path / "j.xml", case(PLAIN, name, "f0", body=body), failures=1)
    junit.merge_junit([path], world.seal(fields), path)
    assert SCHEMA.find_problems(path) == []
    return JUnitXml.fromfile(str(path))


BAD: world.Json = {
    "kind": "finding",
    "check": "needle.found",
    "ok": False,
    "expected": "b0d860",
    "got": "no\x1b[2J",
    "item": "i1",
}


def test_the_text_of_a_failure_is_the_finding(tmp_path: Path) -> None:
    (failure,) = next(iter(next(iter(told(tmp_path, LOCALS, "FAIL", BAD, {**BAD, "item": "i2"}))))).result
    assert failure.message == "needle.found: expected b0d860, got no\\x1b[2J (and 1 more findings)"
    text = str(failure.text)
    assert "Cell(rig" not in text and "item:     i1" in text and "item:     i2" in text
    assert "glm-matrix repro 'suites/test_needle.py::test_finds_the_needle[" in text and failure.type == "FAIL"


def test_the_headline_of_a_crash_is_its_cause(tmp_path: Path) -> None:
    log = "EngineExited: it died\n  File x.py\n  RuntimeError: Expected size 256\n  loading: 0%"
    (error,) = next(iter(next(iter(told(tmp_path, LOCALS, "CRASH", message=log))))).result
    assert error.message == "CRASH: RuntimeError: Expected size 256" and str(error.text).startswith("EngineExited")


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("EngineExited: died", "EngineExited: died"),
        ("\n a \n b", "a"),
        ("", ""),
        ("x\n torch.OutOfMemoryError: 80 GiB", "torch.OutOfMemoryError: 80 GiB"),
        ("KeyError: 'a'\nValueError: b", "ValueError: b"),
        ("a\nKeyboardInterrupt", "KeyboardInterrupt"),
        ("no Error: here", "no Error: here"),
    ],
)
def test_the_cause_of_a_failure_is_its_last_exception(message: str, cause: str) -> None:
    assert find_cause(message) == cause


@pytest.mark.parametrize("status", ["TEST_ERROR", "HOST_ERROR"])
def test_a_fault_of_ours_keeps_its_traceback(tmp_path: Path, status: str) -> None:
    (failure,) = next(iter(next(iter(told(tmp_path, LOCALS, status))))).result
    assert "Cell(rig" in str(failure.text)


def test_versions_host_digests_proofs_and_numbers_are_properties(tmp_path: Path) -> None:
    proof = {"kind": "proof", "feature": "mtp", "outcome": "proven", "rung": "counter"}
    number = {
        "kind": "measurement",
        "name": "median_tpot_ms",
        "value": 12.5,
        "unit": "ms",
        "conditions": {"concurrency": 2},
    }
    kept = {"kind": "kept", "sha256": "cd", "exchanges": 1}
    suite = next(iter(told(tmp_path, LOCALS, "FAIL", proof, number, kept)))
    found = {p.name: p.value for p in suite.properties()}  # type: ignore[no-untyped-call]
    assert {k: found.get(k) for k in ("gpu", "driver", "version.vllm", "digest.image", f"digest.cell.{PLAIN}")} == {
        "gpu": "1 x H100",
        "driver": "580.1",
        "version.vllm": "0.26.0",
        "digest.image": "sha256:12",
        f"digest.cell.{PLAIN}": "ab",
    }
    own = junit.read_properties(next(iter(suite)))
    assert (own["proof.mtp"], own["number.median_tpot_ms.c2"], own["digest.replies"]) == (
        "proven by counter",
        "12.5 ms",
        "cd",
    )


def test_what_we_write_is_of_our_schema(merged: Path, tmp_path: Path) -> None:
    gate_junit.write_unjudged(tmp_path / "gate.xml", "no evidence")
    recorded = CHECKOUT / "docs/evidence/sm90-h100/two-gpus.junit.xml"
    assert [SCHEMA.find_problems(path) for path in (merged, tmp_path / "gate.xml", recorded)] == [[], [], []]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('<testsuite name="a" tests="1"/>', "has no errors"),
        ('<testcase classname="a" name="b" time="fast"/>', "time is 'fast', no xs:decimal"),
        ('<testcase classname="a" name="b" time="1"><x/></testcase>', "its children are x"),
        ('<property name="a"/>', "has no value"),
        ('<property name="a" value="b" more="c"/>', "no attribute 'more' is declared"),
    ],
)
def test_the_schema_finds_what_is_wrong(tmp_path: Path, wrong: str, said: str) -> None:
    (tmp_path / "x.xml").write_text(wrong)
    assert any(said in problem for problem in SCHEMA.find_problems(tmp_path / "x.xml"))
