"""The file of a test's replies: whole, found by its content, and read with a bound whatever it holds."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.evidence import kept, redact
from reports.evidence.files import EvidenceWriter
from reports.evidence.kept import Exchange, KeptTape, Unreadable, digest_question, read_tape, write_tape

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
HEAD: Mapping[str, Any] = {"tape": 1, "run": "r", "nodeid": "n", "cell": "c", "fingerprint": "f"}
LAW = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


def exchange(question: Any, answer: Any, kind: str = "http", **more: Any) -> Exchange:
    return Exchange(kind=kind, asked=digest_question(kind, question), question=question, answer=answer, **more)


def tape(*exchanges: Exchange) -> KeptTape:
    options = {"depth": "quick"}
    return KeptTape(run="r", nodeid="n", cell="c", fingerprint="f", options=options, exchanges=exchanges)


def put(folder: Path, content: bytes) -> str:
    """Return a file under its right name, whatever it holds."""
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / f"{sha256}.jsonl.gz").write_bytes(content)
    return sha256


def lines(*values: Any) -> bytes:
    return gzip.compress(b"".join(json.dumps(v).encode() + b"\n" for v in values))


@given(st.lists(st.tuples(JSON, JSON, st.booleans()), max_size=4))
@LAW
def test_what_is_written_is_read(tmp_path: Path, said: list[tuple[Any, Any, bool]]) -> None:
    made = tape(*(exchange(q, a, lane="1.0" if lane else "", dropped="" if lane else "why") for q, a, lane in said))
    read = read_tape(tmp_path, write_tape(tmp_path, made).sha256)
    assert (read.options, tuple(read.exchanges)) == ({"depth": "quick"}, tuple(made.exchanges))


def test_equal_tapes_are_one_file_and_leave_no_draft(tmp_path: Path) -> None:
    first, second = (write_tape(tmp_path, tape(exchange("q", "a"))) for _ in range(2))
    assert first == second
    assert [f.name for f in tmp_path.iterdir()] == [f"{first.sha256}.jsonl.gz"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 64 + "/", "A" * 64, "", "\0" * 64, "é" * 64])
def test_only_a_digest_names_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unreadable, match="no sha256"):
        read_tape(tmp_path, name)


def test_a_file_with_other_content_is_refused(tmp_path: Path) -> None:
    mine, other = (write_tape(tmp_path, tape(exchange("q", a))).sha256 for a in "ab")
    (tmp_path / f"{other}.jsonl.gz").replace(tmp_path / f"{mine}.jsonl.gz")
    with pytest.raises(Unreadable, match="other content"):
        read_tape(tmp_path, mine)


def test_an_absent_file_a_link_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    sha256 = write_tape(tmp_path / "real", tape()).sha256
    name = f"{sha256}.jsonl.gz"
    for each in ("absent", "link", "folder", "pipe"):
        (tmp_path / each).mkdir()
    (tmp_path / "link" / name).symlink_to(tmp_path / "real" / name)
    (tmp_path / "folder" / name).mkdir()
    os.mkfifo(tmp_path / "pipe" / name)
    for each in ("absent", "link", "folder", "pipe"):
        with pytest.raises(Unreadable):
            read_tape(tmp_path / each, sha256)


def test_a_bomb_is_unpacked_no_further_than_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "TEST_BYTES", 1000)
    with pytest.raises(Unreadable, match="unpacks to more"):
        read_tape(tmp_path, put(tmp_path, gzip.compress(b"0" * 10_000_000)))


def test_a_log_that_grows_out_of_its_parts_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = digest_question("log", {"start": 0})
    parts = [
        {"kind": "log", "asked": asked, "question": {"start": 0}, "answer": {"value": {"more": "x" * 90}}}
        for _ in range(20)
    ]
    content = lines(HEAD, *parts)
    assert len(read_tape(tmp_path, put(tmp_path, content)).exchanges) == 20
    monkeypatch.setattr(kept, "LOGS_BYTES", 1000)
    with pytest.raises(Unreadable, match="grow to more"):
        read_tape(tmp_path, put(tmp_path, content))


def test_a_file_over_the_bound_is_neither_written_nor_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = put(tmp_path, os.urandom(5000))
    monkeypatch.setattr(kept, "FILE_BYTES", 1000)
    with pytest.raises(Unreadable, match="5000 bytes"):
        read_tape(tmp_path, big)
    with pytest.raises(Unreadable, match="more than"):
        write_tape(tmp_path, tape(exchange("q", os.urandom(2000).hex())))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no gzip", "not gzip"),
        (gzip.compress(b"[" * 100_000), "not JSON"),
        (gzip.compress(b""), "no JSON objects"),
        (lines(HEAD)[:-9], "cut short"),
        (lines(HEAD) + lines(HEAD), "more than one"),
        (zlib.compress(b"{}"), "not gzip"),
        (lines([1]), "no JSON objects"),
        (lines({**HEAD, "tape": 2}), "version 2"),
        (lines({**HEAD, "tape": True}), "version"),
        (lines({**HEAD, "run": 1}), "whose"),
        (lines(HEAD, {"kind": 1}), "other fields"),
        (lines(HEAD, {"kind": "http", "asked": "0", "question": "q", "answer": "a"}), "another question"),
        (lines(HEAD, {"kind": "http", "asked": "0", "question": "q", "redacted": True}), "another question"),
        (lines(HEAD, {"kind": "http", "surprise": 1}), "other fields"),
    ],
    ids=range(14),
)
def test_what_is_no_tape_is_told(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_tape(tmp_path, put(tmp_path, content))


def test_a_new_run_moves_the_replies_with_the_evidence(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    for run in ("r1", "r2", "r3"):
        with EvidenceWriter(path, run, fresh=True) as writer:
            writer.append([{"kind": "run"}])
            write_tape(kept.folder_of(path), KeptTape(run=run, nodeid="n"))
    assert [
        read_tape(tmp_path / f"e{which}.kept", _only(tmp_path / f"e{which}.kept")).run for which in ("", ".previous")
    ] == ["r3", "r2"]


def _only(folder: Path) -> str:
    (file,) = folder.iterdir()
    return file.name.partition(".")[0]


def test_a_folder_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    (tmp_path / "old.previous.kept").symlink_to(tmp_path / "mine")
    kept.move_folder(tmp_path / "old.jsonl", tmp_path / "old.previous.jsonl")
    assert (tmp_path / "mine" / "letter").exists()


def test_redaction_before_an_upload_leaves_kept_files_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "e.kept"
    name = folder / f"{write_tape(folder, tape(exchange('q', 'a'))).sha256}.jsonl.gz"
    before = name.read_bytes()
    redact.register_secrets(before[10:30].decode("latin-1"))
    try:
        redact.redact_files([tmp_path])
    finally:
        redact.forget_secrets()
    assert name.read_bytes() == before
