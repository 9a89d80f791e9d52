"""The command line: exit codes, and that each verb writes what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from matrix.planning.expand import expand_matrix
from matrix.planning.plan import make_plan
from matrix.yaml.load import load_matrix
from reports import __main__ as cli
from reports.gate import gate, policy
from reports.ledger import command as ledger
from tests.matrix import world as matrix_world
from tests.reports import origin, world
from tests.reports.world import Json

STRICT = "title: CPU\nrequire:\n  - glob: 'cpu.*'\n    suites: [boot]\nmax_age_h: 24\n"
# The run here was never run: no engine said anything that could be judged again.
SOON = (datetime.now(UTC).date() + timedelta(days=365)).isoformat()  # an allowance lasts two years at most
POLICY = STRICT + f"not_replayed:\n  - {{cells: 'cpu.*', owner: tests, why: made up, until: {SOON}}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a tiny matrix in place of the real one, a policy for it, and a green run."""
    matrix = load_matrix(matrix_world.write(tmp_path / "matrix"))
    monkeypatch.setattr(cli, "load_matrix", lambda: matrix)
    monkeypatch.setattr(policy, "read_owed", world.small_owed)
    monkeypatch.setattr(cli, "read_commit", lambda _: origin.COMMIT)
    monkeypatch.setattr(cli, "read_commit_time", lambda _: None)
    (tmp_path / "gate.yaml").write_text(POLICY)
    cells = [c for c in expand_matrix(matrix).runnable if c.id.startswith("cpu.")]
    fields: list[Json] = [origin.run_record(matrix, cells)]
    for c in cells:
        who = {"cell": c.id, "fingerprint": make_plan(matrix, c).fingerprint}
        nodes = world.owed_by(c.id)
        fields += [
            origin.cell_record(matrix, c),
            {"kind": "expected", "cell": c.id, "tests": nodes},
            origin.launch_record(matrix, c),
            *({"kind": "proof", **who, "feature": f, "outcome": "proven", "rung": "log"} for f in c.features),
            world.signature(c.id, "short", -1.0),
            world.signature(c.id, "long", -1.5 if c.features else -1.0),
            *world.with_evidence(
                {"kind": "result", **who, "test": "test_boots", "nodeid": node, "status": "PASS"} for node in nodes
            ),
        ]
    write(tmp_path / "e.jsonl", fields)
    return tmp_path


def write(path: Path, fields: list[Json]) -> None:
    path.write_bytes(world.write(world.seal(fields, begun=datetime.now(UTC))))


def run(folder: Path, *argv: str) -> int:
    """As on the command line, but nothing is left in the checkout."""
    if argv[0] == "gate" and "--junit" not in argv:
        argv = (*argv, "--junit", str(folder / "gate.junit.xml"))
    return cli.main([*argv, "--evidence", str(folder / "e.jsonl")])


def fail(folder: Path) -> None:
    """Write the run again with a failure as one of its results."""
    fields = [f | {"status": "FAIL"} if f["kind"] == "result" else f for f in _fields(folder)]
    write(folder / "e.jsonl", fields)


def _fields(folder: Path) -> list[Json]:
    from reports.evidence import files as evidence
    from reports.evidence import types as record

    return [f for r in evidence.read_records(folder / "e.jsonl") if (f := record.dump_record(r))["kind"] != "end"]


def test_the_gate_is_green_then_red(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = ("gate", "--policy", str(folder / "gate.yaml"))
    assert run(folder, *policy) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("GREEN: CPU; ")
    fail(folder)
    assert run(folder, *policy) == 1
    assert "test_boots came to FAIL" in capsys.readouterr().out


def test_a_report_is_written_green_or_red(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = ("report", "--policy", str(folder / "gate.yaml"), "--out", str(folder / "out"))
    assert run(folder, *report) == 0
    fail(folder)
    assert run(folder, *report) == 1
    assert "combinations excluded" in capsys.readouterr().out
    assert "FAIL" in (folder / "out/index.html").read_text()
    assert "FAIL" in (folder / "out/table.md").read_text()


@pytest.mark.parametrize("verb", ["gate", "report"])
def test_large_evidence_is_reported_as_when_it_is_read_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    fail(folder)
    monkeypatch.setattr(ledger, "judge_claims", lambda _: ())  # of the real matrix, whatever `folder` is
    told, out = [], folder / "out"
    for is_large in (False, True):
        monkeypatch.setattr(cli, "is_large", lambda _, large=is_large: large)
        more = ["--out", str(out)] if verb == "report" else []
        code = run(folder, verb, "--policy", str(folder / "gate.yaml"), *more)
        pages = {p.relative_to(out): p.read_text() for p in sorted(out.rglob("*.html"))}
        told.append((code, capsys.readouterr().out, pages))
    assert told[0] == told[1] and told[0][0] == 1


def told(path: Path) -> tuple[str, str]:
    """Failures and errors of the verdict's JUnit."""
    suite = ElementTree.parse(path).getroot()[0]
    return suite.get("failures", ""), suite.get("errors", "")


@pytest.mark.parametrize("verb", ["gate", "report"])
def test_the_verdict_is_written_as_junit_that_is_as_red_as_the_gate(folder: Path, verb: str) -> None:
    path = folder / "gate.junit.xml"
    argv = (verb, "--policy", str(folder / "gate.yaml"), *(("--out", str(folder)) if verb == "report" else ()))
    assert run(folder, *argv) == 0
    assert told(path) == ("0", "0")
    fail(folder)
    assert run(folder, *argv) == 1
    assert told(path)[0] != "0"


@pytest.mark.parametrize("verb", ["gate", "report"])
def test_a_gate_that_cannot_judge_leaves_no_older_green(folder: Path, verb: str) -> None:
    path = folder / "gate.junit.xml"
    argv = (verb, "--policy", str(folder / "gate.yaml"), *(("--out", str(folder)) if verb == "report" else ()))
    assert run(folder, *argv) == 0
    (folder / "e.jsonl").unlink()
    assert run(folder, *argv) == 2
    assert told(path) == ("0", "1")


def test_a_gate_that_dies_leaves_no_older_green(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ("gate", "--policy", str(folder / "gate.yaml"))
    assert run(folder, *argv) == 0
    monkeypatch.setattr(gate, "judge_evidence", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(folder, *argv)
    assert told(folder / "gate.junit.xml") == ("0", "1")


def test_a_report_without_a_policy_has_no_verdict_to_leave(folder: Path) -> None:
    (folder / "gate.junit.xml").write_text("<testsuites/>")
    assert run(folder, "report", "--out", str(folder)) == 0
    assert not (folder / "gate.junit.xml").exists()


def test_only_cells_of_the_policy_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = _fields(folder)
    cells = sorted({f["cell"] for f in fields if f["kind"] == "cell"})
    (folder / "gate.yaml").write_text(POLICY.replace("'cpu.*'\n    suites", f"'{cells[0]}'\n    suites"))
    write(
        folder / "e.jsonl",
        [f | {"status": "FAIL"} if f.get("cell") == cells[1] and f["kind"] == "result" else f for f in fields],
    )
    assert run(folder, "report", "--policy", str(folder / "gate.yaml"), "--out", str(folder)) == 0
    said = capsys.readouterr().out.splitlines()
    assert any(f"1 of 1 cells passed what they ran, {len(cells) - 1} not of this policy" in line for line in said)
    counted = (folder / "index.html").read_text().partition('class="counts"')[2].partition("</div>")[0]
    assert "1 cell" in counted and "FAIL" not in counted


def test_a_run_of_another_commit_is_red_and_told_where_the_policy_accepts_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = ("gate", "--policy", str(folder / "gate.yaml"))
    write(folder / "e.jsonl", [f | {"commit": "0ddba11"} if f["kind"] == "run" else f for f in _fields(folder)])
    assert run(folder, *policy) == 1
    assert "is of another commit (0ddba11)" in capsys.readouterr().out
    clause = f"{{what: another_commit, of: 0ddba11, owner: me, why: the same, until: {SOON}}}"
    (folder / "gate.yaml").write_text(f"{POLICY}accepted:\n  - {clause}\n")
    assert run(folder, *policy) == 0
    assert "note: Run r1 is of another commit (0ddba11)" in capsys.readouterr().out
    assert f"Accepted until {SOON} by me" in (folder / "gate.junit.xml").read_text()


def test_only_the_selected_cells_are_judged_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = next(f["cell"] for f in _fields(folder) if f["kind"] == "cell")
    fields = [f for f in _fields(folder) if f.get("cell") in (None, first)]
    write(folder / "e.jsonl", [{**fields[0], "selection": [first]}, *fields[1:]])
    policy = ("gate", "--policy", str(folder / "gate.yaml"))
    assert run(folder, *policy) == 1
    assert "no evidence; it was expected to run" in capsys.readouterr().out
    assert run(folder, *policy, "--selected-only") == 0
    assert " 2 required cells were not judged (--selected-only)" in capsys.readouterr().out
    assert "Not judged, no run selected them (--selected-only): " in (folder / "gate.junit.xml").read_text()


def test_evidence_named_twice_is_judged_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file that is named first must not be lost: it may be the one that failed."""
    fail(folder)
    (folder / "failed.jsonl").write_bytes((folder / "e.jsonl").read_bytes())
    (folder / "e.jsonl").write_bytes(b"")
    failed = ("--evidence", str(folder / "failed.jsonl"))
    assert run(folder, "gate", "--policy", str(folder / "gate.yaml"), *failed) == 1
    assert "test_boots came to FAIL" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["gate", "table", "html", "report"])
def test_a_torn_file_is_read_as_far_as_it_is_whole_and_is_red(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    path = folder / "e.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    out = {"html": ["--out", str(folder / "page.html")], "report": ["--out", str(folder)]}.get(verb, [])
    assert run(folder, verb, "--policy", str(folder / "gate.yaml"), *out) == 1
    lines = len(path.read_bytes().splitlines())
    told = capsys.readouterr().out + "".join(p.read_text() for p in folder.rglob("*.html"))
    assert "1 line of evidence lost" in told
    assert f"e.jsonl:{lines}: this line is lost: torn line" in caplog.text


def test_a_bad_policy_is_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "gate.yaml").write_text(POLICY.replace("glob", "globe"))
    assert run(folder, "gate", "--policy", str(folder / "gate.yaml")) == 2
    assert "did you mean 'glob'?" in capsys.readouterr().err


def test_absent_evidence_is_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "e.jsonl").unlink()
    assert run(folder, "table") == 2
    assert "Did anything run?" in capsys.readouterr().err


def test_a_gate_without_a_policy_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        run(folder, "gate")
    assert caught.value.code == 2


def test_the_table_has_a_markdown_form(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "table", "--markdown") == 0
    assert capsys.readouterr().out.startswith("# ")
    assert run(folder, "table") == 0
    assert "PASS" in capsys.readouterr().out


def test_a_log_has_one_line_for_each_cell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = _fields(folder)
    [result, *_] = [f for f in fields if f["kind"] == "result"]
    of_cell = {name: result[name] for name in ("cell", "fingerprint")}
    proofs = [f"a_feature_of_a_long_name_{n}" for n in range(12)]
    fields += [{"kind": "proof", **of_cell, "feature": p, "outcome": "proven", "rung": "log"} for p in proofs]
    write(folder / "e.jsonl", fields)
    run(folder, "table")
    [line] = [text for text in capsys.readouterr().out.splitlines() if proofs[0] in text]
    assert all(proof in line for proof in proofs)


def test_html_is_written_where_it_is_asked_for(folder: Path) -> None:
    assert run(folder, "html", "--out", str(folder / "x/y.html")) == 0
    assert (folder / "x/y.html").read_text().startswith("<!doctype html>")


def test_a_diff_that_got_worse_is_red(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = folder / "old.jsonl"
    old.write_bytes((folder / "e.jsonl").read_bytes())
    assert cli.main(["diff", str(old), str(folder / "e.jsonl")]) == 0
    fail(folder)
    assert cli.main(["diff", str(old), str(folder / "e.jsonl")]) == 1
    assert "broken" in capsys.readouterr().out
    assert cli.main(["diff", str(folder / "e.jsonl"), str(old)]) == 0
    page = folder / "upgrade.html"
    assert cli.main(["diff", str(old), str(old), "--format", "html", "--out", str(page)]) == 0
    assert "YES: nothing changed" in page.read_text() and capsys.readouterr().out.endswith(f"{page}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the later run's evidence"),
        (["--cells", "a", "b", "--map", "a=b"], "leave out --map"),
        (["--cells", "a", "b"], "OLD holds no cell 'a'"),
    ],
)
def test_a_diff_that_names_no_two_sides_is_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cli.main(["diff", str(folder / "e.jsonl"), *words]) == 2
    assert said in capsys.readouterr().err


def test_answers_lost_beyond_luck_are_red_though_every_test_passed(folder: Path) -> None:
    """A suite that allows some failures stays green while a new version loses the same items again and again."""
    old, new = (_with_answers(folder, right=right) for right in (True, False))
    assert cli.main(["diff", str(old), str(old)]) == 0
    assert cli.main(["diff", str(old), str(new)]) == 1


def _with_answers(folder: Path, *, right: bool) -> Path:
    found = {"kind": "finding", "cell": world.PLAIN, "check": "c", "ok": right, "expected": "", "got": ""}
    path = folder / f"{right}.jsonl"
    write(path, [*world.green(), *({**found, "item": f"i{n}"} for n in range(5))])
    return path


def test_junit_is_merged_and_verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = '<testcase classname="c" name="n" time="1"/>'
    suite = f'<testsuite name="s" tests="1" failures="0" errors="0" skipped="0">{case}</testsuite>'
    (folder / "a.xml").write_text(suite)
    assert cli.main(["junit", "merge", str(folder / "out.xml"), str(folder / "a.xml")]) == 0
    assert cli.main(["junit", "verify", str(folder / "out.xml")]) == 0
    assert cli.main(["junit", "verify", str(folder / "out.xml"), "--evidence", str(folder / "e.jsonl")]) == 1
    assert "has no test case" in capsys.readouterr().out


def test_help_explains_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"glm-matrix {verb}" in text for verb in ("report", "table", "html", "gate", "diff", "junit"))
    assert "Exit codes" in text


def test_what_cannot_be_judged_again_is_red_and_a_skipped_replay_is_no_way_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "gate.yaml").write_text(STRICT)
    policy = ("gate", "--policy", str(folder / "gate.yaml"))
    assert run(folder, *policy) == 1
    assert "nothing that its engine said was kept" in capsys.readouterr().out
    assert run(folder, *policy, "--no-replay") == 1
    assert "was not judged again from its replies (--no-replay)" in capsys.readouterr().out


def test_an_accepted_skip_is_told_in_the_headline(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "gate", "--policy", str(folder / "gate.yaml"), "--no-replay") == 0
    *notes, headline = capsys.readouterr().out.splitlines()
    assert "not judged again from their replies" in headline
    assert all("by tests: made up" in note for note in notes if "Throughput is told" not in note)


def test_a_gate_can_ask_who_vouches_for_the_evidence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed = ("gate", "--policy", str(folder / "gate.yaml"), "--require-signature", str(folder / "signers"))
    (folder / "signers").write_text("")
    assert run(folder, *signed) == 1
    assert "there is no e.jsonl.sig" in capsys.readouterr().out


def test_a_replay_of_what_kept_nothing_is_red(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(folder / "e.jsonl")]) == 1
    assert capsys.readouterr().out.endswith("judged again: 0 disagreements\n")


def test_the_order_of_files_changes_nothing_and_a_retry_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A host error, asked again by name; without that it stays, though everything passed later."""
    begun, fields = datetime.now(UTC) - timedelta(hours=1), _fields(folder)
    plain = [{k: v for k, v in f.items() if k not in ("t", "run")} for f in fields]
    bad = [f | {"status": "HOST_ERROR", "message": "no room"} if f["kind"] == "result" else f for f in plain]
    (folder / "a.jsonl").write_bytes(world.write(world.seal(bad, "r1", begun)))
    command = ("gate", "--policy", str(folder / "gate.yaml"), "--junit", str(folder / "g.xml"))
    for named, code in (("r1", 0), ("", 1), ("r7", 1)):
        again = [f | {"retry_of": named} if f["kind"] == "run" else f for f in plain]
        (folder / "b.jsonl").write_bytes(world.write(world.seal(again, "r2", begun + timedelta(minutes=5))))
        said = []
        for order in (("a", "b"), ("b", "a")):
            assert cli.main([*command, "--evidence", *(str(folder / f"{name}.jsonl") for name in order)]) == code
            said.append(capsys.readouterr().out)
        assert said[0] == said[1]
        assert "HOST_ERROR in run r1: no room; PASS in run r2" in said[0]


def test_an_index_that_is_a_folder_is_told_before_anything_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pages").mkdir()
    assert run(folder, "html", "--out", str(folder / "pages")) == 2
    assert f"name the index in it: --out {folder / 'pages' / 'index.html'}" in capsys.readouterr().err
    assert not (folder / "pages.cells").exists()
