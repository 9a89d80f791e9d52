"""Whole runs on stubs, judged again from what was kept: they agree with themselves, and not with what was edited."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from matrix.judging.status import Status
from reports.evidence import files as evidence
from reports.evidence import types as record
from reports.evidence.files import format_line, is_sealed
from reports.evidence.kept import folder_of
from reports.evidence.types import Record, Result
from reports.replay.differences import Replayed, compare_replay
from reports.replay.run import replay_evidence
from reports.reproduce.failures import list_failures, pick_failure
from reports.reproduce.folder import write_folder
from reports.reproduce.judge import NewReply, judge_replies, read_facts
from tests.fixtures.launch.docker.docker_plans import CANARY
from tests.pytest_forkserver import run_pytest

Json = dict[str, Any]
WITHIN_S = 300.0
# Some pass with a stub that knows no answers, some fail, one starts a load.
ASKED = "test_answers_first_token or test_obeys_tool_choice or test_single_stream_speed or test_knows_facts"


def pytest_run(*words: str | Path, launches: str = "-") -> str:
    done = run_pytest("-q", *words, env={"GLM_TEST_LAUNCHES": launches}, timeout_s=WITHIN_S)
    return done.stdout + done.stderr


def record_run(folder: Path, launches: str, asked: str) -> Path:
    path = folder / "e.jsonl"
    said = pytest_run(
        "-p",
        "tests.suites.stub_launches",
        "suites",
        "--cells",
        CANARY,
        "-k",
        asked,
        f"--evidence={path}",
        launches=launches,
    )
    assert path.exists(), said
    return path


@dataclass(frozen=True)
class Recorded:
    """A run, and what its replies lead to."""

    path: Path
    derived: list[Record]

    @property
    def fields(self) -> list[Json]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def edited(self, edit: Callable[[Json], Json | None]) -> Replayed:
        """Return the replay of the run as somebody edited and sealed it anew."""
        lines = [line for line in map(edit, self.fields) if line is not None]
        records = seal_again(lines)
        assert is_sealed(records)
        return compare_replay(records, self.derived)


def seal_again(fields: list[Json]) -> list[Record]:
    body = [record.parse_record(f) for f in fields if f["kind"] != "end"]
    (end,) = (f for f in fields if f["kind"] == "end")
    sha256 = hashlib.sha256(b"".join(format_line(record.dump_record(r)) for r in body)).hexdigest()
    return [*body, record.parse_record({**end, "records": len(body), "sha256": sha256})]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("run")
    path = record_run(folder, "-", ASKED)
    said = pytest_run(
        "-p", "tests.suites.no_network", "suites", f"--replay={path}", f"--evidence={folder / 'derived.jsonl'}"
    )
    assert (folder / "derived.jsonl").exists(), said
    return Recorded(path, evidence.read_records(folder / "derived.jsonl"))


def test_a_run_agrees_with_itself_without_engine_or_network(run: Recorded) -> None:
    found = compare_replay(evidence.read_records(run.path), run.derived)
    assert (found.disagreements, found.unreplayable, found.tests) == ((), (), 4)
    statuses = {r.test: r.status for r in run.derived if isinstance(r, Result)}
    assert statuses["test_answers_first_token"] is Status.PASS
    assert statuses["test_single_stream_speed"] is Status.PASS
    assert statuses["test_knows_facts"] is Status.FAIL


def test_the_replay_keeps_nothing_itself(run: Recorded) -> None:
    assert not folder_of(run.path.with_name("derived.jsonl")).exists()


def _set(kind: str, **where: Any) -> Callable[..., Callable[[Json], Json]]:
    """Return an edit of the first record of this kind and place."""

    def to(**values: Any) -> Callable[[Json], Json]:
        done: list[bool] = []

        def edit(fields: Json) -> Json:
            if fields["kind"] == kind and all(fields.get(k) == v for k, v in where.items()) and not done:
                done.append(True)
                return {**fields, **values}
            return fields

        return edit

    return to


EDITS = {
    "a failure becomes a pass": (_set("result", status="FAIL")(status="PASS"), "result status"),
    "a failure becomes a known one": (
        _set("result", status="FAIL")(status="XFAIL", known_failure="some_bug"),
        "result known_failure",
    ),
    "a finding becomes ok": (_set("finding", ok=False)(ok=True), " ok"),
    "a finding says another reply": (_set("finding", ok=False)(got="Paris"), " got"),
    "a measurement is better": (_set("measurement")(value=9999.0), "value"),
    "a measurement has another unit": (_set("measurement")(unit="ms"), "unit"),
    "a proof is added": (
        lambda f: (
            {
                **{k: f[k] for k in ("t", "run", "cell", "fingerprint", "test", "nodeid")},
                "kind": "proof",
                "feature": "mtp",
                "outcome": "proven",
                "rung": "counter",
            }
            if f["kind"] == "finding" and not f["ok"]
            else f
        ),
        "proof of mtp",
    ),
    "a launch did well": (_set("launch")(outcome="ok", launch_s=0.001), "launch launch_s"),
    "a stub becomes an engine": (_set("launch")(stub=False), "launch stub"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_named(run: Recorded, name: str) -> None:
    edit, what = EDITS[name]
    found = run.edited(edit)
    assert any(what in d.what for d in found.disagreements), found
    assert all(d.cell == CANARY for d in found.disagreements)


def test_a_failing_finding_that_is_taken_away_is_named(run: Recorded) -> None:
    found = run.edited(lambda f: None if f["kind"] == "finding" and not f["ok"] else f)
    assert any(d.recorded == "nothing" and "false" in d.derived for d in found.disagreements)


def test_a_result_that_is_taken_away_is_named(run: Recorded) -> None:
    found = run.edited(lambda f: None if f["kind"] == "result" and f["status"] == "FAIL" else f)
    assert any((d.what, d.recorded) == ("result", "nothing") for d in found.disagreements)


def test_a_test_whose_replies_are_taken_away_cannot_be_replayed(run: Recorded) -> None:
    found = run.edited(lambda f: None if f["kind"] == "kept" else f)
    assert len(found.unreplayable) == 4


def test_what_was_recorded_twice_cannot_be_replayed(run: Recorded) -> None:
    fields = run.fields
    twice = next(f for f in fields if f["kind"] == "kept")
    found = compare_replay(seal_again([twice, *fields]), run.derived)
    assert [u.why for u in found.unreplayable] == ["it was run more than once in one run"]


@pytest.fixture
def copied(run: Recorded, tmp_path: Path) -> Path:
    """Return the run, to be damaged."""
    shutil.copytree(folder_of(run.path), folder_of(tmp_path / "e.jsonl"))
    shutil.copy(run.path, tmp_path / "e.jsonl")
    return tmp_path / "e.jsonl"


def kept_of(fields: list[Json]) -> Iterator[Json]:
    yield from (f for f in fields if f["kind"] == "kept")


def test_replies_that_were_touched_are_each_named(run: Recorded, copied: Path) -> None:
    """At once: another test's file, a reply less, a file that is gone, another answer than the evidence says."""
    fields = run.fields
    swapped, shortened, gone, edited = (f["test"] for f in kept_of(fields))
    by_test = {f["test"]: f for f in kept_of(fields)}
    own = by_test[shortened]["sha256"]
    by_test[swapped]["sha256"] = own
    by_test[shortened]["sha256"] = _rewritten(copied, own, lambda lines: lines[:-1])
    (folder_of(copied) / f"{by_test[gone]['sha256']}.jsonl.gz").unlink()
    by_test[edited]["sha256"] = _rewritten(copied, by_test[edited]["sha256"], _says_something_else)
    copied.write_bytes(b"".join(format_line(record.dump_record(r)) for r in seal_again(fields)))
    found = replay_evidence([copied])
    why = {u.test: u.why for u in found.unreplayable}
    assert "another test's" in why[swapped]
    assert "not kept" in why[shortened] or "asks for what was not kept" in why[shortened]
    assert "cannot be read" in why[gone]
    assert {d.test for d in found.disagreements} == {edited}


def test_a_run_of_which_nothing_is_kept_is_not_looked_for_among_all_cells(run: Recorded, copied: Path) -> None:
    fields = [{**f, "sha256": "", "dropped": ["gone"]} if f["kind"] == "kept" else f for f in run.fields]
    copied.write_bytes(b"".join(format_line(record.dump_record(r)) for r in seal_again(fields)))
    said = pytest_run("suites", f"--replay={copied}", f"--evidence={copied.with_name('again.jsonl')}")
    assert "is of a cell of today's matrix" in said and "deselected" not in said


def test_a_run_that_says_another_depth_than_it_asked_at_is_not_believed(run: Recorded, copied: Path) -> None:
    fields = [{**f, "depth": "full"} if f["kind"] == "run" else f for f in run.fields]
    copied.write_bytes(b"".join(format_line(record.dump_record(r)) for r in seal_again(fields)))
    found = replay_evidence([copied])
    assert all("it was asked at depth 'quick', and its run says full" in u.why for u in found.unreplayable)
    assert len(found.unreplayable) == found.tests


def _rewritten(path: Path, sha256: str, change: Callable[[list[Json]], list[Json]]) -> str:
    """Write a consistent lie: the file under the digest of its new content."""
    folder = folder_of(path)
    lines = [json.loads(line) for line in gzip.decompress((folder / f"{sha256}.jsonl.gz").read_bytes()).splitlines()]
    content = gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in change(lines)))
    name = hashlib.sha256(content).hexdigest()
    (folder / f"{name}.jsonl.gz").write_bytes(content)
    return name


def _says_something_else(lines: list[Json]) -> list[Json]:
    for line in lines:
        if line.get("kind") == "http" and "body" in line["answer"]:
            body = json.dumps({"model": "stub", "choices": [{"message": {"content": "I am another"}}]})
            line["answer"] |= {"body": body, "sizes": [len(body)], "at_s": [0.1]}
        if line.get("kind") == "load":
            line["answer"]["value"]["output_throughput"] *= 2
    return lines


def test_a_launch_that_failed_fails_again(tmp_path: Path) -> None:
    """Its tests have no engine to ask; what they were told of it is kept."""
    path = record_run(tmp_path, "exits", "test_answers_first_token or test_knows_facts")
    found = replay_evidence([path])
    assert (found.disagreements, found.unreplayable, found.tests) == ((), (), 2)
    statuses = {r.status for r in evidence.read_records(path) if isinstance(r, Result)}
    assert statuses == {Status.CRASH, Status.NOT_ASKED}  # the launch is told once, now as then
    assert any(
        d.what == "result status"
        for d in Recorded(path, _derived(path))
        .edited(lambda f: {**f, "status": "PASS"} if f["kind"] == "result" else f)
        .disagreements
    )


def _derived(path: Path) -> list[Record]:
    target = path.with_name("again.jsonl")
    pytest_run("suites", f"--replay={path}", f"--evidence={target}")
    return evidence.read_records(target)


def test_the_check_of_a_failure_runs_again_on_another_reply(run: Recorded, tmp_path: Path) -> None:
    """`glm-matrix repro` on a stub that knows no answers: with the right reply the same check is ok."""
    failures = list_failures([(run.path, evidence.read_records(run.path))])
    failure = pick_failure(failures, "canary.chat.s2026.1")
    folder = write_folder(failure, tmp_path / "out")
    facts = read_facts(folder)
    choice = {"index": 0, "message": {"role": "assistant", "content": facts["expected"]}, "finish_reason": "stop"}
    reply = json.dumps({"id": "x", "model": "other", "choices": [choice], "usage": {"prompt_tokens": 1}})
    found = judge_replies(folder, {facts["exchange"]: NewReply(status=200, body=reply)})
    assert (facts["certain"], found.word) == (True, "right now")
