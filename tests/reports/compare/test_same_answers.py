"""Cells that differ only in layout, cache or graphs answer alike, or the gate is red.

The known positive: a release whose decode context parallelism returned random tokens with every process up and every
reply well formed. Its distributions are the one-GPU cell's with the candidates' names dealt anew.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from reports.compare.same_answers import SameAnswers, find_pairs, judge_same_answers
from reports.evidence.types import Record, parse_record
from reports.expected import ExpectedCell
from reports.gate.gate import judge_evidence
from tests.reports.world import BEGUN, NOW, POLICY, seal

PLAIN, SPREAD = "sm90x1.vllm.canary.baseline", "sm90x2.vllm.canary.decode_context_parallel"
TOLERANCE = 5e-7
WORDS = ("code", "17", "93", "the", "", "is")
Json = dict[str, Any]


def cell(cell_id: str, gpus: int, *features: str, varied: frozenset[str] = frozenset(), **facts: Any) -> ExpectedCell:
    place = {"gpu": "h200_141gb", "release": "vllm", "checkpoint": "canary", "canary": True, "gpus": gpus, **facts}
    return ExpectedCell(
        id=cell_id, features=frozenset(features), varied=varied, facts={**place, "features": list(features)}
    )


DCP = frozenset({"decode_context_parallel"})
ONE, TWO = cell(PLAIN, 1), cell(SPREAD, 2, "decode_context_parallel", varied=DCP)


def numbers(seed: int, *, off: float = 0.0) -> list[dict[str, float]]:
    """Eight sure positions, with the names of their candidates in an order of the seed's own."""
    dealt = random.Random(seed)
    found = []
    for _ in range(8):
        names = dealt.sample(WORDS, 3)
        found.append(dict(zip(names, (-0.001 - off, -7.5, -9.0), strict=True)))
    return found


def reference(cell_id: str, positions: list[dict[str, float]], *, item: str = "needle.1", **more: Any) -> Json:
    data = {"candidates": positions, "mean_nats": 1e-8, "tolerance": TOLERANCE, "prompt_sha256": "p1", "positions": 8}
    return finding(cell_id, "reference.kl", item, True, data=data | more)


def finding(cell_id: str, check: str, item: str, ok: bool, **more: Any) -> Json:
    node = f"suites/test_effective.py::test_numbers[{cell_id}]"
    who = {"kind": "finding", "cell": cell_id, "nodeid": node, "run": "r1", "t": BEGUN.isoformat()}
    return {**who, "check": check, "ok": ok, "expected": "", "got": "", "item": item, **more}


def judge(*found: Json, cells: tuple[ExpectedCell, ...] = (ONE, TWO)) -> SameAnswers:
    (told,) = judge_same_answers(cells, read(*found), {c.id for c in cells})
    return told


def read(*found: Json) -> list[Record]:
    return [parse_record(f) for f in found]


def test_a_layout_that_computes_the_same_is_the_same() -> None:
    told = judge(reference(PLAIN, numbers(1)), reference(SPREAD, numbers(1, off=1e-6)))
    assert (told.outcome, told.prompts) == ("same", 1) and told.nats < TOLERANCE


def test_random_tokens_of_a_layout_are_noticed_although_every_test_passed() -> None:
    """The plant: each finding says ok, as it would where the reference was not asked."""
    told = judge(reference(PLAIN, numbers(1)), reference(SPREAD, numbers(2)))
    assert told.outcome == "differs" and told.nats > 1 and "needle.1" in told.detail


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), 3e-6])
def test_numbers_far_from_the_reference_are_told_whatever_the_finding_says(broken: float) -> None:
    told = judge(reference(PLAIN, numbers(1)), reference(SPREAD, numbers(1), mean_nats=str(broken)))
    assert told.outcome == "differs" and "from the reference" in told.detail


def test_numbers_that_are_none_are_no_agreement() -> None:
    nothing = [{"code": "NaN", "17": "NaN"}] * 8
    assert judge(reference(PLAIN, numbers(1)), reference(SPREAD, nothing)).outcome == "differs"  # type: ignore[arg-type]


def test_one_boot_of_several_is_not_averaged_away() -> None:
    often = [reference(SPREAD, numbers(1)) for _ in range(4)]
    assert judge(reference(PLAIN, numbers(1)), *often, reference(SPREAD, numbers(2))).outcome == "differs"


@pytest.mark.parametrize(
    "found",
    [
        [],
        [reference(PLAIN, numbers(1))],
        [reference(SPREAD, numbers(1))],
        [reference(PLAIN, numbers(1)), reference(SPREAD, numbers(1), item="needle.2")],
        [reference(PLAIN, numbers(1)), reference(SPREAD, numbers(1), prompt_sha256="p2")],
        [reference(PLAIN, numbers(1)), reference(SPREAD, [])],
        [reference(PLAIN, numbers(1)), reference(SPREAD, numbers(1), tolerance=None)],
        [finding(PLAIN, "tool.call", "weather", True), finding(SPREAD, "tool.call", "weather", True)],
    ],
)
def test_what_was_not_asked_of_both_is_no_evidence(found: list[Json]) -> None:
    assert judge(*found).outcome == "not_evidence"


def test_an_answer_that_one_layout_loses_is_told() -> None:
    same = [reference(PLAIN, numbers(1)), reference(SPREAD, numbers(1))]
    lost = [finding(PLAIN, "needle.found", "n", True), finding(SPREAD, "needle.found", "n", False)]
    told = judge(*same, *lost)
    assert (told.outcome, told.answers) == ("differs", 2) and "needle.found of n" in told.detail


def test_a_known_failure_speaks_for_itself() -> None:
    node = finding(SPREAD, "x", "y", True)["nodeid"]
    known = {"kind": "result", "cell": SPREAD, "nodeid": node, "run": "r1", "t": BEGUN.isoformat(), "status": "XFAIL"}
    told = judge(reference(PLAIN, numbers(1)), reference(SPREAD, numbers(2)), known)
    assert told.outcome == "not_evidence"


def test_pairs_share_all_but_what_the_launch_varies() -> None:
    graphs = cell("sm90x1.vllm.canary.cuda_graphs_full", 1, "cuda_graphs_full", varied=frozenset({"cuda_graphs_full"}))
    others = (
        cell("sm90x2.vllm.canary.baseline", 2),
        cell("sm90x1.vllm.canary.mtp", 1, "mtp"),
        cell("h100.vllm.canary.baseline", 1, gpu="h100_80gb"),
        cell("sm90x1.sglang.canary.baseline", 1, release="sglang"),
    )
    pairs = {(mine.id, beside.id) for mine, beside in find_pairs((ONE, TWO, graphs, *others))}
    assert pairs == {(SPREAD, PLAIN), (graphs.id, PLAIN), ("sm90x2.vllm.canary.baseline", PLAIN)}


def test_big_checkpoints_on_more_gpus_are_no_pair_unless_a_layout_is_asked() -> None:
    small, large = cell("sm90x4.v.glm.baseline", 4, canary=False), cell("sm90x8.v.glm.baseline", 8, canary=False)
    assert not [*find_pairs((small, large))]


@pytest.mark.parametrize(
    ("seed", "said"),
    [(1, ""), (2, "its answers are not those of"), (None, "cannot be judged")],
)
def test_the_gate_is_red_where_a_layout_answers_otherwise_or_was_not_asked(seed: int | None, said: str) -> None:
    run: Json = {"kind": "run", "argv": ["pytest"], "selection": [PLAIN, SPREAD], "depth": "quick"}
    up = [{"kind": "launch", "cell": c, "fingerprint": "f", "outcome": "ok"} for c in (PLAIN, SPREAD)]
    found = [reference(PLAIN, numbers(1)), *([reference(SPREAD, numbers(seed))] if seed else [])]
    verdict = judge_evidence(POLICY, (ONE, TWO), seal([run, *up, *found]), now=NOW)
    told = [r.text for r in verdict.reasons if r.rule == "same_answers"]
    assert [said in text for text in told] == ([True] if said else [])
    assert any("same answers" in line for line in verdict.told) is (not said)


def test_a_layout_that_flattens_its_long_prompts_alone_is_told() -> None:
    flat = [{name: value / 2 for name, value in position.items()} for position in numbers(2)]
    told = judge(
        *(reference(where, numbers(1), item="needle.short") for where in (PLAIN, SPREAD)),
        reference(PLAIN, numbers(2), item="needle.long", prompt_sha256="p2"),
        reference(SPREAD, flat, item="needle.long", prompt_sha256="p2"),
    )
    assert told.outcome == "differs" and "needle.long" in told.detail
