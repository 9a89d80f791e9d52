"""Adding a release: what it is held against, what it brings along, and the file for the axes."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import pytest
import yaml

from lab.snapshot.release import axes_yaml, hold_against_before, missing_pins, newer_versions, release_before
from matrix.checkout import CHECKOUT
from matrix.errors import HostError
from matrix.preflight.snapshot import Snapshot, snapshot_for


def held(name: str) -> Snapshot:
    found = snapshot_for(name)
    assert found is not None
    return found


NEW = replace(held("sglang_0_5_23"), version="0.5.24", release="sglang_0_5_24")


def test_a_release_is_held_against_the_one_before_it() -> None:
    before = release_before(NEW)
    assert before is not None and before.version == "0.5.23"
    assert hold_against_before(NEW) == NEW


def test_flags_that_are_far_fewer_than_before_are_unread_and_not_gone() -> None:
    """SGLang 0.5.11 has a second class ServerArgs, with 58 flags."""
    few = hold_against_before(replace(NEW, flags=NEW.flags[:58]))
    assert not few.flags
    assert few.unread["flags"] == "58 flags were found, and 0.5.23 has 532"


@pytest.mark.parametrize("part", ["flags", "env", "architectures", "requires"])
def test_every_long_part_is_counted(part: str) -> None:
    whole = getattr(NEW, part)
    half = type(whole)(list(whole)[: len(whole) // 2])
    lost = hold_against_before(replace(NEW, **{part: half}))
    assert lost.unread.keys() == {part} and not getattr(lost, part)
    assert hold_against_before(replace(NEW, **{part: type(whole)(list(whole)[: len(whole) * 7 // 10])})).unread == {}


def test_the_first_release_of_an_engine_has_nothing_to_be_held_against() -> None:
    first = replace(NEW, engine="toy", release="toy_1", version="1", flags=())
    assert release_before(first) is None
    assert hold_against_before(first) == first


def test_pins_that_nobody_has_read_are_named() -> None:
    assert list(missing_pins(NEW)) == []
    pinned = replace(NEW, requires=("flashinfer-python==99.1", "sgl-deep-gemm>=1", "transformers==99.2"))
    assert list(missing_pins(pinned)) == [("flashinfer-python", "99.1"), ("transformers", "99.2")]


def index(text: str, code: int = 0) -> Any:
    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], code, stdout=text, stderr="no such package")

    return run


def test_only_versions_above_every_snapshot_are_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "sglang (0.6.0)\nAvailable versions: 0.6.0, 0.5.24, not-a-version, 0.5.23, 0.5.9\n"
    monkeypatch.setattr(subprocess, "run", index(text))
    assert newer_versions("sglang") == ["0.5.24", "0.6.0"]


def test_an_index_that_does_not_answer_is_the_hosts_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", index("", 1))
    with pytest.raises(HostError, match="cannot list the versions of sglang"):
        newer_versions("sglang")


def test_the_file_for_the_axes_says_what_the_wheel_says() -> None:
    made = yaml.safe_load(axes_yaml(held("sglang_0_5_17")))
    written = CHECKOUT / "matrix/axes/engines/sglang/sglang_0_5_17.yaml"
    by_hand = yaml.safe_load(written.read_text(encoding="utf-8"))
    for key in ("id", "version", "requirement", "dsa_sms", "pins"):
        assert made[key] == by_hand[key], key
    assert made["features"]["indexcache"] is True
    assert yaml.safe_load(axes_yaml(held("sglang_0_5_9")))["dsa_sms"] == [90, 100]
    assert yaml.safe_load(axes_yaml(held("sglang_0_5_9")))["features"]["indexcache"] is False
