"""A search that is interrupted tells what it knows, and goes on without making a boot again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.bisecting import command, ending, interrupted, launching
from cli.bisecting.environment import Environments
from cli.bisecting.interrupted import STATE, find_last_number, make_state, read_earlier, write_state
from fixtures.host.model import FoundHost
from matrix.errors import ConfigError
from matrix.upgrading.of_cells import find_cell
from matrix.yaml.load import load_matrix
from tests.reports import world

OWN = "cpu.llamacpp_2026_10_11549.canary_bf16.indexcache"
TEST = "test_answers_first_token"
VERSIONS = ("2026.10.1", "2026.10.2", "2026.10.3", "2026.10.4", "2026.10.5", "2026.10.6")
FIRST_BAD = 3  # its place


class Machine:
    """Stands for pytest: releases from the first bad one on fail; Ctrl-C comes in the boot of a number."""

    def __init__(self, stop_at: int = 0) -> None:
        self.stop_at, self.asked = stop_at, list[str]()

    def run(self, argv: Sequence[str], log: Path) -> int:
        given = dict(word.split("=", 1) for word in argv if word.startswith("--") and "=" in word)
        version = next(v for v in VERSIONS if v.replace(".", "_") in given["--cells"])
        self.asked.append(version)
        stopped = len(self.asked) == self.stop_at
        bad = VERSIONS.index(version) >= FIRST_BAD
        who = {"cell": given["--cells"], "nodeid": argv[-1], "test": TEST, "fingerprint": "f"}
        failure = {"at": "test", "how": "wrong_answer"} if bad else {}
        facts = {"engine": "llamacpp", "version": version, "rig": "cpu", "checkpoint": "canary_bf16"}
        fields: list[dict[str, Any]] = [
            {"kind": "run"},
            {"kind": "cell", "cell": given["--cells"], "facts": {**facts, "features": ["indexcache"]}},
            {"kind": "result", **who, "status": "FAIL" if bad else "PASS", **failure},
        ]
        path = Path(given["--evidence"])
        begun = world.BEGUN + timedelta(minutes=int(path.name[:3]))
        path.write_bytes(world.write(world.seal(fields[: 2 if stopped else 3], f"r{path.name}", begun)))
        if stopped:
            raise KeyboardInterrupt
        return int(bad)


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "compare_steps", lambda *_: [])
    monkeypatch.setattr(command, "make_prior", lambda _: (0.05, *[0.9 / 5] * 5, 0.05))
    monkeypatch.setattr(command, "detect_host", FoundHost)
    monkeypatch.setattr(Environments, "ensure", lambda *_: {})
    monkeypatch.setattr(launching, "write_matrix", lambda folder, *_: folder)
    monkeypatch.setattr(ending, "lint_entry", lambda *_: [])


def search(out: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr(launching, "run_pytest", machine.run)
    ends = ("--good", VERSIONS[0], "--bad", VERSIONS[-1], "--releases", ",".join(VERSIONS))
    return command.main([OWN, *ends, "--test", TEST, "--out", str(out), "--no-settings", *more])


def test_ctrl_c_tells_what_is_known_and_the_next_command_asks_only_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Machine()
    assert search(tmp_path / "whole", whole, monkeypatch) == 0
    first, rest = Machine(stop_at=4), Machine()
    assert search(tmp_path / "cut", first, monkeypatch) == 130
    said = capsys.readouterr().out
    assert "UNDECIDED: interrupted" in said and "the same command with --continue" in said
    assert search(tmp_path / "cut", rest, monkeypatch, "--continue") == 0
    assert "FIRST BAD: llamacpp==2026.10.4; last good 2026.10.3" in capsys.readouterr().out
    assert [*first.asked[:3], *rest.asked] == whole.asked
    left = sorted(p.name for p in (tmp_path / "cut" / "probes").glob("*.jsonl"))
    assert [n[:3] for n in left] == [f"{n:03}" for n in range(1, len(whole.asked) + 2)]  # nothing was written over


def test_a_new_search_below_the_same_folder_keeps_what_an_earlier_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(tmp_path, Machine(), monkeypatch)
    first = {p.name: p.read_bytes() for p in (tmp_path / "probes").glob("*.jsonl")}
    search(tmp_path, Machine(), monkeypatch)
    now = {p.name: p.read_bytes() for p in (tmp_path / "probes").glob("*.jsonl")}
    assert len(now) == 2 * len(first) and first.items() <= now.items()


@pytest.mark.parametrize("key", ["cell", "test", "depth", "matrix_sha256", "commit"])
def test_answers_of_another_question_are_refused(tmp_path: Path, key: str) -> None:
    state = make_state(OWN, TEST, "quick")
    write_state(tmp_path, {**state, key: "another"})
    with pytest.raises(ConfigError, match=f"{key}.*of that search: another"):
        read_earlier(tmp_path, state, find_cell(load_matrix(), OWN))


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_damaged_or_absent_state_is_one_error(tmp_path: Path, text: str) -> None:
    cell, state = find_cell(load_matrix(), OWN), make_state(OWN, TEST, "quick")
    with pytest.raises(ConfigError, match="no search was begun below this folder"):
        read_earlier(tmp_path, state, cell)
    (tmp_path / STATE).write_text(text)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_earlier(tmp_path, state, cell)


def test_a_boot_that_was_killed_while_it_wrote_is_no_answer(tmp_path: Path) -> None:
    state = make_state(OWN, TEST, "quick")
    write_state(tmp_path, state)
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "007-2026.10.1.jsonl").write_text('{"kind":"ru')
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "011-2026.10.1.part").touch()
    (tmp_path / "settings" / "notes-99").touch()
    assert read_earlier(tmp_path, state, find_cell(load_matrix(), OWN)) == {}
    assert find_last_number(tmp_path) == 11
    assert interrupted.OPTION == "--continue"
