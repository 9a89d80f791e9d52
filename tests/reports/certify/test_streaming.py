"""Certificates that are made while evidence is read are those of evidence read at once, byte by byte."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from reports import __main__ as cli
from reports.certify import command, verify
from reports.certify.statement import NotCertifiable, Statements, format_statement, list_cells
from reports.certify.streaming import cut_out_cell, stream_cells
from reports.evidence.by_cell import Unstreamable
from reports.evidence.files import Seal, is_sealed, read_records
from tests.bench_pages import seal_evidence, write_large_evidence
from tests.reports import world
from tests.reports.world import PLAIN, WITH_MTP, Json

ISSUED, EXPIRES = date(2026, 11, 29), date(2027, 2, 27)
HOSTILE = '\x1b[2J \u202e \\u "q" \x7f'


def each(kind: str, **values: Any) -> list[Json]:
    return [{**f, **values} if f["kind"] == kind else f for f in world.green()]


def write(folder: Path, fields: list[Json], name: str = "e.jsonl") -> Path:
    path, data = folder / name, world.write(world.seal(fields))
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def describe(make: Callable[[], Any]) -> bytes:
    try:
        return format_statement(make())
    except NotCertifiable as error:
        return str(error).encode()


def certify_streamed(paths: list[Path], glob: str = "*") -> dict[str, bytes]:
    found = stream_cells(paths, glob)
    return {e.row.cell: describe(lambda e=e: e.make(issued=ISSUED, expires=EXPIRES)) for e in found}  # type: ignore[misc]


def certify_at_once(paths: list[Path]) -> dict[str, bytes]:
    records = [r for path in paths for r in read_records(path)]
    made = Statements(records)
    return {c: describe(lambda c=c: made.make(c, issued=ISSUED, expires=EXPIRES)) for c in list_cells(records)}  # type: ignore[misc]


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz"])
@pytest.mark.parametrize(
    "fields",
    [
        world.green(),
        world.paired(),
        each("result", status="FAIL", message=HOSTILE),
        each("run", commit="c0ffee", matrix_sha256="ab", depth="first"),
        each("launch", stub=True),
        [f for f in world.green() if f["kind"] != "launch"],
        [f for f in world.green() if f["kind"] != "cell" or f["cell"] != PLAIN],
    ],
)
def test_they_are_the_same(tmp_path: Path, fields: list[Json], name: str) -> None:
    path = write(tmp_path, fields, name)
    assert certify_streamed([path]) == certify_at_once([path])


def test_a_run_whose_seal_does_not_hold_gives_none(tmp_path: Path) -> None:
    path = write(tmp_path, world.green())
    path.write_bytes(path.read_bytes().replace(b'"status":"PASS"', b'"status":"MEASURED"', 1))
    assert certify_streamed([path]) == certify_at_once([path])
    assert all(said.endswith(b"is not sealed") for said in certify_streamed([path]).values())


@pytest.mark.parametrize("change", [{"continues": {"r0": "ab"}}, {"retry_of": "r0"}])
def test_where_one_run_speaks_for_another_it_is_read_at_once(tmp_path: Path, change: Json) -> None:
    with pytest.raises(Unstreamable, match="another"):
        certify_streamed([write(tmp_path, each("run", **change))])


def test_a_seal_needs_the_last_record_only() -> None:
    records = world.seal(world.green())
    for own in (records, records[:-1], records[1:], [*records, records[0]], [], [records[-1]]):
        seal = Seal()
        for r in own:
            seal.add(r)
        assert seal.holds == is_sealed(own)
    assert is_sealed(records)


def test_the_verb_streams_what_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.jsonl"
    write_large_evidence(path, 3)
    seal_evidence(path)
    at_once, streamed, read = tmp_path / "at_once", tmp_path / "streamed", list[Path]()
    assert cli.main(["certify", str(path), "--out", str(at_once)]) == 0
    monkeypatch.setattr(command, "is_large", lambda _: True)
    monkeypatch.setattr(command, "read_records", read.append)
    assert cli.main(["certify", str(path), "--out", str(streamed)]) == 0
    assert not read
    made = sorted(p.name for p in at_once.iterdir())
    assert len(made) == 3 and made == sorted(p.name for p in streamed.iterdir())
    assert all((at_once / n).read_bytes() == (streamed / n).read_bytes() for n in made)
    assert json.loads((streamed / made[0]).read_text())["predicate"]["result"] in ("PASSED", "WARNED", "FAILED")
    capsys.readouterr()


def test_a_glob_that_fits_no_cell_names_the_nearest_of_large_evidence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, world.green())
    monkeypatch.setattr(command, "is_large", lambda _: True)
    assert cli.main(["certify", str(path), "--cells", WITH_MTP.replace("mtp", "mpt"), "--out", str(tmp_path)]) == 2
    assert "has the feature set 'mpt'; did you mean 'mtp'?" in capsys.readouterr().err


def test_damaged_evidence_is_read_at_once_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, world.green())
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(command, "is_large", lambda _: True)
    assert cli.main(["certify", str(path), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "note: read at once, for torn" in said.err and "is not sealed" in said.out


def forget_everything(*_: Any) -> Any:
    raise AssertionError("all records were read at once")


def test_a_certificate_is_verified_by_its_own_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.jsonl"
    write_large_evidence(path, 3)
    seal_evidence(path)
    assert cli.main(["certify", str(path), "--out", str(tmp_path / "made")]) == 0
    first = min((tmp_path / "made").iterdir())
    told = verify.read_certificate(first)
    monkeypatch.setattr(verify, "read_records", forget_everything)
    assert verify.find_problems(told, [path], today=told.issued, replay=False) == []
    edited = json.loads(first.read_text())
    edited["predicate"]["result"] = "NEVER"
    first.write_text(json.dumps(edited))
    (problem,) = verify.find_problems(verify.read_certificate(first), [path], today=told.issued, replay=False)
    assert "predicate.result" in problem
    edited["predicate"]["glmMatrix"]["cell"] = "no.such.cell[*]"
    first.write_text(json.dumps(edited))
    (problem,) = verify.find_problems(verify.read_certificate(first), [path], today=told.issued)
    assert "there is no evidence of no.such.cell[*]" in problem
    capsys.readouterr()


def test_the_replay_of_large_evidence_is_given_one_cell_and_its_replies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = world.green()
    kept_file = tmp_path / "e.kept" / f"{'a' * 64}.jsonl.gz"
    kept_file.parent.mkdir()
    kept_file.write_bytes(b"of the other")
    told = next(f for f in fields if f["kind"] == "result" and f["cell"] == PLAIN)
    named: Json = {k: v for k, v in told.items() if k in ("t", "run", "cell", "fingerprint", "test", "nodeid")}
    path = write(tmp_path, [*fields[:-1], {**named, "kind": "kept", "sha256": "a" * 64, "bytes": 12}, fields[-1]])
    folder = tmp_path / "alone"
    folder.mkdir()
    (cut,) = cut_out_cell([path], PLAIN, folder)
    whole = [r for r in read_records(path) if r.cell in ("", PLAIN)]
    assert sorted(map(repr, read_records(cut))) == sorted(map(repr, whole))
    assert (folder / "0.kept" / kept_file.name).read_bytes() == b"of the other"
    (other,) = cut_out_cell([path], WITH_MTP, tmp_path)
    assert not list((tmp_path / "0.kept").iterdir()), "replies of another cell"
    assert {r.cell for r in read_records(other)} == {"", WITH_MTP} and cut_out_cell([path], "absent", tmp_path) == []
