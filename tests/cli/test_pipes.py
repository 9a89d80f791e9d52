"""`| head` is no traceback for any verb that prints, and no other exit code than a closed pipe's."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Final

import pytest

from cli.program import main
from cli.verbs import VERBS
from matrix.checkout import CHECKOUT
from matrix.output.pipe import CLOSED, run_for_a_pipe

CELL: Final = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"
RUN: Final = str(CHECKOUT / "docs/evidence/sm90-h100/two-gpus.jsonl")
JUNIT: Final = str(CHECKOUT / "docs/evidence/sm90-h100/two-gpus.junit.xml")
WORDS: Final = {
    "list": ["-m", "sm120x4"],
    "show": [CELL],
    "explain": [CELL],
    "why-not": ["sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.indexcache_mtp"],
    "why": ["XPASS"],
    "plan": ["-m", "sm120x4"],
    "canary": ["list"],
    "table": ["--evidence", RUN],
    "predictions": ["--evidence", RUN],
    "ablation": ["--evidence", RUN],
    "diff": [RUN, RUN],
    "certify": [RUN],
    "claims": ["--evidence", RUN],
    "history": ["trend", "runs"],  # a folder of that run
    "repro": ["--evidence", RUN],
    "issue": ["1", "--evidence", RUN],
    "junit": ["verify", JUNIT, "--evidence", RUN],
    "tolerances": [RUN],
}
# They start, download, write, sign or judge again for longer than a test may take; each prints through the same stream.
NOT_HERE: Final = frozenset(
    """
    lint preflight check facts doctor weights judge-checkpoint add venv patch overlay reap completion llamacpp load
    load-bench mock-server report html gate registry replay sign redact snapshot record-recordings record-references
    prompt-seed train-canary known-wrong gguf damage
    """.split()  # noqa: SIM905 - a list of 30 words is a page
)


@contextmanager
def closed_pipe() -> Iterator[None]:
    """Make standard output a pipe whose reader is gone. pytest sets its own in each phase: a fixture is too early."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream, redirect_stdout(stream):
        yield
    gc.enable()  # the verbs of the matrix turn it off for their own short life


def test_every_verb_that_judges_is_asked_or_named() -> None:
    assert WORDS.keys() | NOT_HERE <= VERBS.keys() and not WORDS.keys() & NOT_HERE
    assert {name for name, verb in VERBS.items() if verb.group == "judge"} <= WORDS.keys() | NOT_HERE


@pytest.mark.parametrize("verb", WORDS)
def test_a_reader_that_went_away_ends_the_verb_quietly(
    verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "night.jsonl").symlink_to(RUN)
    with closed_pipe():
        assert run_for_a_pipe(lambda: main([verb, *WORDS[verb]])) == CLOSED
    assert capsys.readouterr().err == ""
