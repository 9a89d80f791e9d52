"""Backends that serve the same weights have the same numbers, or the gate is red; what no floor bounds is told."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from matrix.checkout import CHECKOUT
from reports.compare.across_backends import AcrossBackends, find_backend_pairs, judge_across_backends
from reports.evidence.files import read_records
from reports.evidence.types import CellFacts, Record, parse_record
from reports.expected import ExpectedCell
from reports.gate.gate import judge_evidence
from tests.reports.world import BEGUN, NOW, POLICY, seal

Json = dict[str, Any]
VLLM, SGLANG = "sm90x8.vllm.glm.baseline", "sm90x8.sglang.glm.baseline"
TOLERANCE = 5e-7
WORDS = ("code", "17", "93", "the", "", "is")


def cell(cell_id: str, release: str, *features: str, **facts: Any) -> ExpectedCell:
    place = {"gpu": "h200_141gb", "release": release, "checkpoint": "glm", "gpus": 8, **facts}
    return ExpectedCell(
        id=cell_id,
        features=frozenset(features),
        varied=frozenset({"eager"}) & set(features),
        facts={**place, "features": list(features)},
    )


ONE, TWO = cell(VLLM, "vllm"), cell(SGLANG, "sglang")


def numbers(seed: int, *, off: float = 0.0, end: str = "<|user|>") -> list[Json]:
    """Eight sure positions, and the end token in an engine's own spelling."""
    dealt = random.Random(seed)
    said = [dict(zip(dealt.sample(WORDS[:4], 3), (-0.001 - off, -7.5, -9.0), strict=True)) for _ in range(8)]
    return [*said, {end: -0.001 - off, "the": -8.0}]


def signature(cell_id: str, positions: list[Json], *, item: str = "needle.1", run: str = "r1") -> Json:
    return finding(cell_id, "signature.long", item, {"signature": positions}, run)


def reference(cell_id: str, positions: list[Json], **more: Any) -> Json:
    data = {"candidates": positions, "tolerance": TOLERANCE, "prompt_sha256": "p1", **more}
    return finding(cell_id, "reference.kl", "needle.1", data)


def finding(cell_id: str, check: str, item: str, data: Json, run: str = "r1") -> Json:
    node = f"suites/test_boot.py::test_leaves_a_signature[{cell_id}]"
    who = {"kind": "finding", "cell": cell_id, "nodeid": node, "run": run, "t": BEGUN.isoformat()}
    return {**who, "check": check, "ok": True, "expected": "", "got": "", "item": item, "data": data}


def run(name: str, commit: str) -> Json:
    return {"kind": "run", "run": name, "t": BEGUN.isoformat(), "argv": ["pytest"], "commit": commit}


def judge(*found: Json) -> AcrossBackends:
    (told,) = judge_across_backends((ONE, TWO), read(*found), {VLLM, SGLANG})
    return told


def read(*found: Json) -> list[Record]:
    return [parse_record(f) for f in found]


def test_a_reference_bounds_what_two_backends_may_be_apart() -> None:
    told = judge(reference(VLLM, numbers(1)), reference(SGLANG, numbers(1, off=1e-6, end="")))
    assert (told.outcome, told.prompts) == ("same", 1) and told.nats < TOLERANCE


@pytest.mark.parametrize("off", [0.02, 0.5])
def test_sure_tokens_that_lose_mass_are_told_where_a_reference_bounds_them(off: float) -> None:
    told = judge(reference(VLLM, numbers(1)), reference(SGLANG, numbers(1, off=off)))
    assert told.outcome == "differs" and "allowed" in told.detail


def test_random_tokens_of_a_backend_are_noticed_without_a_reference() -> None:
    """The plant: every test of it passed."""
    told = judge(signature(VLLM, numbers(1)), signature(SGLANG, numbers(2)))
    assert told.outcome == "differs" and "needle.1" in told.detail


def test_one_boot_of_several_is_not_averaged_away() -> None:
    often = [signature(SGLANG, numbers(1)) for _ in range(3)]
    assert judge(signature(VLLM, numbers(1)), *often, signature(SGLANG, numbers(2))).outcome == "differs"


def test_numbers_that_are_none_are_no_agreement() -> None:
    nothing = [{"code": "NaN", "17": "NaN"}] * 8
    assert judge(signature(VLLM, numbers(1)), signature(SGLANG, nothing)).outcome == "differs"


def test_below_a_nat_nothing_is_judged_without_a_floor_and_that_is_told() -> None:
    told = judge(signature(VLLM, numbers(1)), signature(SGLANG, numbers(1, off=0.2)))
    assert told.outcome == "not_evidence" and "no floor was measured" in told.detail and told.prompts == 1


@pytest.mark.parametrize(
    "found",
    [
        [],
        [signature(VLLM, numbers(1))],
        [signature(VLLM, numbers(1)), signature(SGLANG, numbers(2), item="needle.2")],
        [signature(VLLM, numbers(1)), signature(SGLANG, [])],
        [run("r1", "a"), run("r2", "b"), signature(VLLM, numbers(1)), signature(SGLANG, numbers(2), run="r2")],
        [reference(VLLM, numbers(1)), reference(SGLANG, numbers(2), prompt_sha256="p2")],
        [reference(VLLM, numbers(1)), reference(SGLANG, numbers(2), prompt_sha256="")],
    ],
)
def test_what_was_not_asked_of_both_is_no_evidence(found: list[Json]) -> None:
    told = judge(*found)
    assert (told.outcome, told.prompts) == ("not_evidence", 0) and "of both" in told.detail


def test_two_runs_of_one_commit_asked_the_same() -> None:
    found = [run("r1", "a"), run("r2", "a"), signature(VLLM, numbers(1)), signature(SGLANG, numbers(2), run="r2")]
    assert judge(*found).outcome == "differs"


def test_a_known_failure_speaks_for_itself() -> None:
    bad = signature(SGLANG, numbers(2))
    known = {"kind": "result", **{k: bad[k] for k in ("cell", "nodeid", "run", "t")}, "status": "XFAIL"}
    assert judge(signature(VLLM, numbers(1)), bad, known).outcome == "not_evidence"


def test_pairs_serve_the_same_weights_with_the_same_features_elsewhere() -> None:
    eager = cell("sm90x8.vllm.glm.eager", "vllm", "eager")
    others = (
        cell("sm90x8.vllm.glm.mtp", "vllm", "mtp"),
        cell("sm90x8.vllm.other.baseline", "vllm", checkpoint="other"),
    )
    newer = cell("sm120x8.vllm.glm.baseline", "vllm", gpu="rtx")
    pairs = {(mine.id, beside.id) for mine, beside in find_backend_pairs((ONE, eager, TWO, *others, newer))}
    assert pairs == {(VLLM, SGLANG), (newer.id, SGLANG)}


def test_a_backend_that_did_not_start_is_left_out_and_the_others_are_compared() -> None:
    third = cell("sm90x8.trtllm.glm.baseline", "trtllm")
    told = judge_across_backends((ONE, TWO, third), [], {VLLM, third.id})
    assert [(t.cell, t.other) for t in told] == [(VLLM, third.id)]


@pytest.mark.parametrize(("seed", "red"), [(1, False), (2, True), (None, False)])
def test_the_gate_is_red_where_a_backend_computes_another_model(seed: int | None, red: bool) -> None:
    started: Json = {"kind": "run", "argv": ["pytest"], "selection": [VLLM, SGLANG], "depth": "quick"}
    up = [{"kind": "launch", "cell": c, "fingerprint": "f", "outcome": "ok"} for c in (VLLM, SGLANG)]
    found = [signature(VLLM, numbers(1)), *([signature(SGLANG, numbers(seed))] if seed else [])]
    verdict = judge_evidence(POLICY, (ONE, TWO), seal([started, *up, *found]), now=NOW)
    said = [r.text for r in verdict.reasons if r.rule == "backends"]
    assert bool(said) is red
    assert any("another backend" in line for line in verdict.told) is (
        seed == 1
    )  # what nothing was compared of is silent
    assert all("serves the same weights" in text for text in said)


def test_two_engines_of_an_h200_compute_the_same_canaries(tmp_path: Path) -> None:
    """The committed runs of vLLM 0.33.0 and SGLang 0.5.23: the floor that the module's text states."""
    records = [r for path in _unpack(tmp_path) for r in read_records(path)]
    facts = {r.cell: r.facts for r in records if isinstance(r, CellFacts)}
    cells = [ExpectedCell(id=c, facts=f, features=frozenset(f.get("features", ()))) for c, f in facts.items()]
    told = judge_across_backends(cells, records, facts)
    assert {t.outcome for t in told if t.prompts} == {"same"}
    assert sum(t.prompts for t in told) == 57 and max(t.nats for t in told if t.prompts) < 0.01


def _unpack(folder: Path) -> list[Path]:
    for name in ("vllm-0.33.0", "sglang-0.5.23"):
        archive = CHECKOUT / "docs" / "evidence" / "sm90-h200" / f"{name}.tar.xz"
        with tarfile.open(archive) as packed:
            wanted = [m for m in packed.getmembers() if m.name.endswith(".jsonl")]
            packed.extractall(folder, wanted, filter="data")
    return sorted(folder.rglob("*.jsonl"))
