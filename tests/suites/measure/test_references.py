"""Every canary launch has a reference, stale ones are an error that names the command, and numbers can fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fixtures.banks import bank_for
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.errors import ConfigError
from matrix.judging.logprobs import Logprobs
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from suites import test_effective
from suites.asking.depth import FIRST, QUICK, Depth
from suites.checks import agreement
from suites.measure import logprob_probe as signature
from suites.measure import references
from tests.suites.test_effective import planned
from tests.suites.world import Recorder

CPU = "cpu.llamacpp_2026_10_11549."
CANARIES = [c for c in expand_matrix(load_matrix()).runnable if c.checkpoint.canary]


def known(asked: Plan, file: Path = references.FILE, *, one_text: bool = False) -> list[references.Reference]:
    return references.find_references(asked.cell, asked, bank_for(asked.cell.checkpoint), file, one_text=one_text)


def test_every_canary_cell_has_a_reference_for_each_of_its_prompts() -> None:
    matrix, recorded = load_matrix(), references.read_references()
    without = [
        (cell.id, key)
        for cell in CANARIES
        for one_text in (False, True)
        for key, _ in references.list_keys(cell, make_plan(matrix, cell), bank_for(cell.checkpoint), one_text=one_text)
        if sum(map(key.matches_record, recorded)) != 1
    ]
    assert not without


def test_the_committed_references_are_of_these_weights_and_these_prompts() -> None:
    """Fails after every change of either, with the command that mends it."""
    for name in ("canary_bf16", "canary_reap160", "canary_reap192"):
        assert [r.item.kind for r in known(planned(f"{CPU}{name}.baseline"))] == ["needle", "needle", "unsure"]


def test_references_are_distributions_with_the_choice_first() -> None:
    for record in references.read_references():
        for position in record["positions"]:
            values = [value for _, value in position]
            assert len(values) == signature.TOP and values == sorted(values, reverse=True) and values[0] <= 0


@pytest.mark.parametrize("key", ["weights_sha256", "prompt_sha256"])
def test_stale_references_are_an_error_that_names_the_command(key: str, tmp_path: Path) -> None:
    records = [{**record, key: "0" * 64} for record in references.read_references()]
    file = tmp_path / "references.json"
    file.write_text(json.dumps({"references": records}))
    with pytest.raises(ConfigError, match=f"{key} is 000.*record again: glm-matrix record-references"):
        known(planned(CPU + "canary_bf16.baseline"), file)


@pytest.mark.parametrize(
    ("name", "weights", "way"),
    [
        (CPU + "canary_bf16.baseline", "canary_bf16", "FFFF"),
        (CPU + "canary_bf16.indexcache", "canary_bf16", "FFSS"),
        (CPU + "canary_fsfs.indexcache", "canary_bf16", "FSFS"),
        (CPU + "canary_nvfp4.baseline", "canary_bf16", "FFFF"),
        (CPU + "canary_reap160.baseline", "canary_reap160", "FFFF"),
        ("sm90x1.vllm_0_33_0.canary_fp8.mtp", "canary_bf16", "FFFF"),
        ("sm120x1_rtx5090.sglang_0_5_10_post1.canary_bf16.mtp", "canary_bf16", "dense"),
    ],
)
def test_a_launch_is_held_against_its_own_weights_and_way(name: str, weights: str, way: str) -> None:
    asked = planned(name)
    assert references.recorded_as(asked.cell.checkpoint) == weights
    assert [r.way for r in known(asked)] == [references.ALL, way, way]


def test_a_class_of_its_own_is_held_against_its_own_weights() -> None:
    """Nothing is recorded of a question that it is unsure of: none was chosen."""
    asked = planned("sm90x1.vllm_0_33_0.canary_flash.baseline")
    assert references.recorded_as(asked.cell.checkpoint) == "canary_flash"
    assert [r.way for r in known(asked)] == [references.ALL, "FFFF"]


class Replaying:
    """A client whose engine says the reference's numbers, changed."""

    def __init__(self, asked: Plan, change: Callable[[float], float]) -> None:
        self._said = {r.item.id: r.positions for alike in (False, True) for r in known(asked, one_text=alike)}
        self._change = change

    def ask(self, item: Item, **_: object) -> Reply:
        return Reply(content="The", logprobs=tuple(self._position(p) for p in self._said[item.id]))

    def _position(self, listed: Mapping[str, float]) -> dict[str, Any]:
        top = [{"token": t, "logprob": self._change(v)} for t, v in listed.items()]
        return {**top[0], "top_logprobs": sorted(top, key=lambda each: -each["logprob"])}  # as engines list them


def agree(name: str, change: Callable[[float], float] = lambda value: value, on: str = CPU) -> Recorder:
    asked, evidence = planned(on + name), Recorder()
    held(asked, Replaying(asked, change), evidence)
    return evidence


def held(asked: Plan, client: Any, evidence: Recorder, depth: Depth = QUICK) -> None:
    test_effective.test_numbers_agree_with_the_reference(
        cell=asked.cell, plan=asked, client=client, bank=bank_for(asked.cell.checkpoint), evidence=evidence, depth=depth
    )


@pytest.mark.parametrize("name", ["canary_bf16.baseline", "canary_fsfs.indexcache", "canary_mxfp4.baseline"])
def test_the_references_own_numbers_agree(name: str) -> None:
    assert [f.ok for f in agree(name).findings] == [True, True, True]


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("canary_fsfs", 2),
        ("canary_bf16", 1),
        ("canary_fp8", 1),
        ("canary_modelopt_fp4", 1),
        ("canary_reap160", 1),
        ("canary_reap192", 1),
    ],
)
def test_a_pattern_that_these_weights_mind_is_proven_on_the_way(name: str, by: int) -> None:
    """Inside one launch of SGLang, whose cache has the same size with every pattern: FSFS by both long prompts, FFSS
    by the one that the canary is not sure of."""
    seen = agree(f"{name}.indexcache", on="sm90x1_h100.sglang_0_5_17.")
    assert [(feature, outcome) for feature, outcome, _ in seen.proofs] == [("indexcache", "proven")] * by


@pytest.mark.parametrize(
    "name", ["canary_bf16.baseline", "canary_fp8.indexcache", "canary_w4a16.baseline", "canary_reap160.indexcache"]
)
def test_where_it_is_unsure_no_tolerance_is_as_small_as_what_rounding_costs(name: str) -> None:
    """Twice 1.5e-2, which transformers with W4A16 weights is away from itself in float32; bf16 is 5.5e-4 at most."""
    (unsure,) = [r for r in known(planned(f"sm90x1_h100.sglang_0_5_17.{name}")) if r.item.kind == "unsure"]
    assert 2 * 1.5e-2 < agreement.kl_tolerance_unsure(unsure.ways, unsure.way) <= agreement.TOLERANCE_UNSURE


@pytest.mark.parametrize("depth", [QUICK, FIRST], ids=lambda depth: depth.name)
@pytest.mark.parametrize("on", [CPU, "sm90x1_h100.sglang_0_5_17."])
def test_a_launch_that_ignores_its_pattern_fails_by_that_answer_alone(on: str, depth: Depth) -> None:
    asked, evidence = planned(on + "canary_bf16.indexcache"), Recorder()
    client: Any = Replaying(planned(on + "canary_bf16.baseline"), lambda value: value)
    with pytest.raises(AssertionError, match=r"reference\.kl: NOT OK"):
        held(asked, client, evidence, depth)
    assert [(f.ok, "unsure" in f.item) for f in evidence.findings] == [(True, False), (True, False), (False, True)]


@pytest.mark.parametrize(
    "name", ["canary_bf16.baseline", "canary_bf16.indexcache", "canary_fsfs.indexcache", "canary_reap160.baseline"]
)
def test_in_one_text_the_other_patterns_are_as_far_away_as_the_tolerance_needs(name: str) -> None:
    """Healthy launches of llama.cpp are 6.1e-5 away there at most (2026-12-01), other patterns 0.13 at least."""
    first, second, unsure = known(planned(CPU + name), one_text=True)
    assert unsure.item.id.startswith(second.item.id) and first.item.kind == second.item.kind == "needle"
    assert agreement.kl_tolerance_unsure(unsure.ways, unsure.way) == agreement.TOLERANCE_UNSURE


def test_weights_whose_rounding_shows_there_are_asked_the_prompt_that_was_chosen_for_them() -> None:
    asked = planned(f"{CPU}canary_mxfp4.baseline")
    assert [r.item for r in known(asked, one_text=True)] == [r.item for r in known(asked)]


@pytest.mark.parametrize("name", ["canary_bf16.baseline", "canary_q8_0.baseline", "canary_mxfp4.baseline"])
@pytest.mark.parametrize("by", [0.6, 0.05])
def test_numbers_that_are_too_low_fail_at_every_dtype(name: str, by: float) -> None:
    with pytest.raises(AssertionError, match=r"reference\.kl: NOT OK"):
        agree(name, lambda value: value - by)


def test_a_launch_without_a_reference_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> Logprobs:
        return []

    monkeypatch.setattr(test_effective, "find_references", none)
    asked: Any = planned(CPU + "canary_bf16.baseline")
    nobody: Any = None
    with pytest.raises(pytest.skip.Exception, match=r"^NOT_EVIDENCE: no reference was recorded"):
        test_effective.test_numbers_agree_with_the_reference(
            cell=asked.cell,
            plan=asked,
            client=nobody,
            bank=bank_for(asked.cell.checkpoint),
            evidence=Recorder(),
            depth=QUICK,
        )
