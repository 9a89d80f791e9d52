"""What a run declares of itself before its first test, in real runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports.evidence import files as evidence
from reports.evidence import junit
from reports.evidence.attempts import link_retries
from reports.evidence.types import CellFacts, End, Run
from reports.evidence.xdist import list_words
from tests.reports.evidence.small_run import TESTS, both, of, records, start


@both
def test_a_run_says_what_it_is_and_is_sealed(folder: Path) -> None:
    whole = records(folder)
    first, last = whole[0], whole[-1]
    assert isinstance(first, Run)
    assert (first.selection, first.commit, first.host) == (("a", "b"), "c0ffee", {"cpu": "x"})
    assert isinstance(last, End)
    assert (last.exit_code, last.interrupted, last.launches) == (1, False, 2)
    assert evidence.is_sealed(whole)
    assert len({r.run for r in whole}) == 1
    assert [r.fingerprint for r in whole if isinstance(r, CellFacts)] == ["fa", "fb"]


def test_a_run_says_also_the_options_of_its_environment(tmp_path: Path) -> None:
    start(tmp_path, TESTS, ["-q"], PYTEST_ADDOPTS="-k 'test_passes and a'").communicate()
    [first] = of(Run, tmp_path)
    assert isinstance(first, Run)
    assert first.argv[-3:] == ("-q", "-k", "test_passes and a")


@pytest.mark.parametrize("words", [["-o", "addopts=--replay=old.jsonl"], ["@words"], ["-c", "mine.toml"]])
def test_a_replay_says_so_wherever_its_option_stood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its times would make any old run new: the gate looks for the option among the words of the run."""
    monkeypatch.setattr("sys.argv", ["pytest", *words])
    config: Any = SimpleNamespace(option=SimpleNamespace(replay="old.jsonl"))
    assert list_words(config) == ["pytest", *words, "--replay=old.jsonl"]
    monkeypatch.setattr("sys.argv", ["pytest", "--replay=old.jsonl"])
    assert list_words(config) == ["pytest", "--replay=old.jsonl"]


ONCE = "import os\ndef test_it(cell): assert os.environ.get('WELL'), 'the code is not in the reply'\n"


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_retry_says_which_run_it_asks_again(tmp_path: Path, options: Sequence[str]) -> None:
    start(tmp_path, ONCE, options).communicate()
    (first,) = of(Run, tmp_path)
    start(tmp_path, ONCE, [*options, f"--retry-of={first.run}"], WELL="1").communicate()
    (second,) = of(Run, tmp_path)
    assert isinstance(second, Run) and second.retry_of == first.run
    earlier = evidence.read_records(tmp_path / "e.previous.jsonl")
    told = link_retries([*earlier, *records(tmp_path)])
    assert not told.retried and "the matrix of neither was recorded" in "".join(
        told.problems
    )  # not in this small world
    xml = junit.load_junit(tmp_path / "junit.xml")
    assert {junit.read_properties(c)["run"] for s in xml for c in s} == {second.run}


def test_what_is_no_run_cannot_be_asked_again(tmp_path: Path) -> None:
    out, _ = start(tmp_path, ONCE, ["--retry-of=evidence.jsonl"]).communicate()
    assert "--retry-of 'evidence.jsonl': expected a run's id, e.g. 20261126T020541Z.73627f" in out
    assert not (tmp_path / "e.jsonl").exists()
