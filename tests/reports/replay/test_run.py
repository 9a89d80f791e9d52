"""A replay beside other work ends with that work: nobody would wait for it, and it would run on for minutes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest

from matrix.errors import HostError
from reports.replay import run
from reports.replay.differences import Replayed


def test_an_unwanted_replay_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = tmp_path / "python"
    endless.write_text("#!/bin/sh\nexec sleep 3600\n")
    endless.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(endless))
    unwanted = Event()
    unwanted.set()
    with pytest.raises(HostError, match="nobody waits for its replay"):
        run.run_replay(tmp_path / "e.jsonl", "run", tmp_path / "derived.jsonl", unwanted)


def test_a_caller_that_fails_ends_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    def replay(_: Sequence[Path], *, unwanted: Event) -> Replayed:
        ended.append(unwanted.wait(60))
        return Replayed()

    monkeypatch.setattr(run, "replay_evidence", replay)
    with pytest.raises(KeyError), run.replay_beside([]):
        raise KeyError("the policy is wrong")
    assert ended == [True]


def test_the_result_is_the_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "replay_evidence", lambda paths, unwanted: Replayed(tests=len(paths)))
    with run.replay_beside([Path("a"), Path("b")]) as replay:
        assert replay().tests == 2
