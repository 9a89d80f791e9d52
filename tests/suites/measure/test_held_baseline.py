"""Which launches a cell is held against, and what is refused before an engine is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fixtures.client.tape import RecordingAsker, Tape
from matrix.errors import ConfigError
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from reports.compare.baselines import Baseline, read_baseline
from reports.evidence.files import EvidenceWriter
from suites.measure.held_baseline import fit_earlier, fit_plan, require_release
from suites.measure.kept_baseline import KeptBaseline
from tests.suites.world import replay_kept

HOST = {"gpus": [{"name": "NVIDIA H200"}]}
WAVE, WHERE = "wave_output_throughput", {"concurrency": 8}
OLDER = "sglang_0_5_17"


@cache
def plan_of(release: str) -> Plan:
    matrix = load_matrix()
    cell = next(c for c in expand_matrix(matrix).runnable if c.release.id == release and not c.features)
    return make_plan(matrix, cell)


def plan() -> Plan:
    return plan_of("sglang_0_5_23")


def sibling() -> str:
    return replace(plan().cell, release=load_matrix().releases[OLDER]).id


def write(path: Path, cell: str, values: Sequence[float], host: dict[str, Any] = HOST) -> Path:
    for i, value in enumerate(values):
        number = {"kind": "measurement", "cell": cell, "fingerprint": "old plan", "name": WAVE, "value": value}
        with EvidenceWriter(path, f"r{i}") as writer:
            writer.append([{"kind": "run", "host": host}, {**number, "unit": "tok/s", "conditions": WHERE}])
    return path


def require(paths: Sequence[Path], name: str = OLDER, plans: Sequence[Plan] = ()) -> None:
    require_release(paths, plans or [plan()], HOST, name, load_matrix().releases)


def test_a_cell_is_held_against_the_same_cell_of_the_earlier_release(tmp_path: Path) -> None:
    path = write(tmp_path / "b.jsonl", sibling(), [30.0, 31.0])
    require([path])
    fit = fit_earlier(read_baseline([path]), plan(), HOST, load_matrix().releases[OLDER])
    assert sorted(fit.baseline.list_launches(plan().cell.id, WAVE, WHERE)) == [30.0, 31.0]


def test_without_a_release_it_is_held_against_its_own_launches(tmp_path: Path) -> None:
    earlier = read_baseline([write(tmp_path / "b.jsonl", plan().cell.id, [30.0])])
    assert fit_earlier(earlier, plan(), HOST, None) == fit_plan(earlier, plan(), HOST)


def test_a_cell_of_another_engine_is_held_against_nothing(tmp_path: Path) -> None:
    earlier = read_baseline([write(tmp_path / "b.jsonl", sibling(), [30.0])])
    fit = fit_earlier(earlier, plan_of("vllm_0_33_0"), HOST, load_matrix().releases[OLDER])
    assert (fit.baseline, fit.refused) == (Baseline(), ())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sglang_0_5_71", r"there is no release 'sglang_0_5_71'.*sglang_0_5_17"),
        ("vllm_0_33_0", "vllm_0_33_0 is of vllm, and no selected cell is another release of it"),
        ("sglang_0_5_23", "no selected cell is another release of it"),
        ("sglang_0_5_10_post1", "holds no launch of sglang_0_5_10_post1 that fits: it is of"),
    ],
)
def test_a_release_that_judges_nothing_is_refused_before_an_engine_is_loaded(
    tmp_path: Path, name: str, said: str
) -> None:
    path = write(tmp_path / "b.jsonl", sibling(), [30.0])
    with pytest.raises(ConfigError, match=said):
        require([path], name)


def test_other_hardware_and_no_baseline_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "b.jsonl", sibling(), [30.0], {"gpus": [{"name": "NVIDIA H100"}]})
    with pytest.raises(ConfigError, match="on other hardware"):
        require([path])
    with pytest.raises(ConfigError, match="name its launches with --baseline"):
        require([])


@pytest.mark.parametrize("release", ["", OLDER])
def test_what_a_test_read_is_on_its_tape_with_the_release(tmp_path: Path, release: str) -> None:
    """A replay has neither the files nor the option."""
    values = read_baseline([write(tmp_path / "b.jsonl", "c", [30.0, 31.0])]).values
    source = RecordingAsker()
    live = KeptBaseline(values, tape=Tape(source), release=release).find_earlier("c", WAVE, WHERE)
    again = KeptBaseline({}, tape=Tape(replay_kept(source))).find_earlier("c", WAVE, WHERE)
    assert live == again
    assert (sorted(again.values), again.release) == ([30.0, 31.0], release)
