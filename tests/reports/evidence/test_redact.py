"""No secret leaves: by value where it is known, by shape where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, TestCase, TestSuite

from reports.board import terminal as table
from reports.board.text import make_view
from reports.evidence import files as evidence
from reports.evidence import junit, redact
from reports.evidence.files import EvidenceWriter
from reports.evidence.secret_values import SHORTEST
from reports.evidence.summary import make_board
from tests.reports.rendered import render_pages
from tests.reports.world import FEW

HF = "hf_" + "aB3" * 11


@pytest.fixture(autouse=True)
def _nothing_registered() -> Iterator[None]:
    redact.forget_secrets()
    yield
    redact.forget_secrets()


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ('{"authorization": "Basic dXNlcjpwdw=="}', '{"authorization": "Basic ***"}'),
        ("curl -H 'authorization: s3cr3t' x", "curl -H 'authorization: ***' x"),
        ("sent bearer eyJhbGciOi.J9", "sent bearer ***"),
        (f"token {HF} rejected", "token *** rejected"),
        ("sk-proj-1234567890abcdef", "***"),
        ("https://me:pw@example.org/v1", "https://***@example.org/v1"),
        ("https://token@example.org", "https://***@example.org"),
        ("serve --api-key abc --port 1", "serve --api-key *** --port 1"),
        ("serve --api-key='a b' --port 1", "serve --api-key=*** --port 1"),
        ("serve --admin-api-key=abc", "serve --admin-api-key=***"),
        ("HF_TOKEN=abc MY_PASSWORD='a b' serve", "HF_TOKEN=*** MY_PASSWORD=*** serve"),
    ],
)
def test_a_secret_is_known_by_its_shape(dirty: str, clean: str) -> None:
    assert redact.redact_text(dirty) == clean
    assert redact.redact_text(clean) == clean


@pytest.mark.parametrize(
    "innocent",
    [
        "max_tokens=512 --max-num-batched-tokens 8192 --tokenizer x",
        "https://github.com/sgl-project/sglang/issues/26087",
        "hf_hub_download task-123456789012345678901 KEY",
        "The secret code of the tower is 81724.",
        "mail me@example.org",
    ],
)
def test_ordinary_text_is_left_alone(innocent: str) -> None:
    assert redact.redact_text(innocent) == innocent


def test_the_value_after_a_secret_flag_or_name_is_hidden() -> None:
    found = redact.redact_data(
        {"argv": ["x", "--api-key", "abc", "--port", "1"], "env": {"HF_TOKEN": "abc", "PATH": "/bin"}}
    )
    assert found == {"argv": ["x", "--api-key", "***", "--port", "1"], "env": {"HF_TOKEN": "***", "PATH": "/bin"}}


def test_logprob_tokens_are_not_secrets() -> None:
    assert redact.redact_data({"token": "hello", "tokens": ["a"]}) == {"token": "hello", "tokens": ["a"]}


def test_secrets_of_the_environment_are_known_by_value() -> None:
    redact.register_environment({"WANDB_API_KEY": "deadbeef", "SHELL": "/bin/bash", "SHORT_KEY": "1"})
    assert redact.redact_text("deadbeef /bin/bash 1") == "*** /bin/bash 1"


def test_a_file_is_cleaned_in_place(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\r\nsesame-open, sesame-open-2\n\xff\rsesame")
    log.chmod(0o600)
    redact.register_secrets("sesame-open", "sesame-open-2")
    redact.redact_file(log)
    assert log.read_bytes() == b"one\r\n***********, *************\n\xff\rsesame"
    assert log.stat().st_mode & 0o777 == 0o600
    redact.redact_file(tmp_path / "absent")
    (tmp_path / "empty").touch()
    redact.redact_file(tmp_path / "empty")


# Every § is part of a secret, so that one § anywhere in an output is a leak. The rest needs quoting somewhere.
secrets = st.text("aZ9 <>&\"'`|*_\\\n\tü龙-", min_size=SHORTEST, max_size=20).map(lambda s: f"§{s}§")
around = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="§"), max_size=10)


@FEW
@given(secrets, around, around)
@example("§Bearer x§", "Authorization: ", "")
@example("§--api-key y§", "--api-key ", "")
def test_a_registered_secret_is_nowhere(secret: str, before: str, after: str) -> None:
    """Not in evidence, JUnit, HTML or Markdown, wherever a text can stand."""
    redact.forget_secrets()
    redact.register_secrets(secret)
    dirty = f"{before}{secret}{after}"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.jsonl"
        with EvidenceWriter(path, "r1") as writer:
            writer.append(_fields(dirty))
        junit_path = _junit(Path(folder) / "junit.xml", dirty)
        junit.merge_junit([junit_path], evidence.read_records(path), junit_path)
        shown = make_view(make_board(evidence.read_records(path)))
        outputs = (path.read_text(), junit_path.read_text(), render_pages(shown), table.render_markdown(shown))
    assert [name for name, text in zip(OUTPUTS, outputs, strict=True) if "§" in text or "&#167;" in text] == []


OUTPUTS = ("evidence", "junit", "html", "markdown")


def _fields(dirty: str) -> list[dict[str, Any]]:
    finding = {"kind": "finding", "cell": "C", "nodeid": "N", "check": dirty, "ok": False, "expected": dirty}
    facts = {"rig": dirty, "release": dirty, "checkpoint": dirty, "features": [dirty]}
    launch = {"kind": "launch", "cell": "C", "outcome": dirty, "message": dirty, "command": ["x", dirty]}
    return [
        {"kind": "run", "argv": ["x", dirty], "host": {dirty: dirty}, "commit": dirty},
        {"kind": "cell", "cell": "C", "facts": facts, "script": dirty},
        {**launch, "versions": {"v": dirty}},
        {**finding, "got": dirty, "item": dirty, "detail": dirty, "data": {"a": [{"b": dirty}]}},
        {"kind": "proof", "cell": "C", "feature": dirty, "outcome": "refuted", "rung": dirty, "detail": dirty},
        {"kind": "measurement", "cell": "C", "name": dirty, "value": 1, "unit": dirty, "conditions": {"c": dirty}},
        {"kind": "result", "cell": "C", "nodeid": "N", "status": "FAIL", "message": dirty},
        {"kind": "result", "cell": dirty, "nodeid": dirty, "status": "CRASH", "message": dirty},
    ]


def _junit(path: Path, dirty: str) -> Path:
    case = TestCase(name=dirty, classname="x", time=0.1)
    case.result = [Failure(message=dirty, type_="x")]
    case.result[0].text = dirty
    case.system_out = dirty
    suite, whole = TestSuite("s"), JUnitXml()
    suite.add_testcase(case)
    suite.add_property("note", dirty)
    whole.add_testsuite(suite)
    whole.write(str(path))
    return path


def test_a_secret_behind_a_switch_is_hidden_and_one_with_slashes_is_no_path() -> None:
    like_a_path = "x/Kf83/kQ02+base64/likeTHIS9"
    redact.register_environment({"A_TOKEN": "1", "B_TOKEN": like_a_path, "C_TOKEN": "Zq81mmT0-another-one"})
    assert redact.redact_text(f"{like_a_path} Zq81mmT0-another-one").split() == [redact.HIDDEN, redact.HIDDEN]


def test_a_file_that_is_named_itself_is_redacted(tmp_path: Path) -> None:
    redact.register_secrets("Yw55-secret-in-a-file")
    log = tmp_path / "engine.log"
    log.write_text("said Yw55-secret-in-a-file\n")
    assert redact.redact_files([log]) == 1
    assert "Yw55" not in log.read_text()


def test_a_short_text_that_was_seen_before_is_held_against_what_is_secret_now() -> None:
    text = "served by quiet-harbour-lantern"
    assert redact.redact_text(text) == text == redact.redact_text(text)
    redact.register_secrets("quiet-harbour-lantern")
    assert redact.redact_text(text) == f"served by {redact.HIDDEN}"
