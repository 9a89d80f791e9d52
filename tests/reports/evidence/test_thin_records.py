"""Thin records are judged as whole ones are, and say which runs were sealed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from reports.evidence.by_cell import Unstreamable
from reports.evidence.files import read_records
from reports.evidence.thin_records import Positions, read_thin
from reports.evidence.types import Found, Measured
from reports.gate.gate import judge_evidence
from reports.gate.policy import load_policy, make_expected
from tests.reports import world
from tests.reports.test_pages import failing

CANARIES = CHECKOUT / "docs/evidence/sm90-h100/canaries.jsonl"
# Two releases and a feature, and one feature that is taken for what only varies the launch: pairs of every kind.
JUDGED = (
    "vllm_0_26_0.canary_fp8.baseline",
    "vllm_0_26_0.canary_fp8.indexcache",
    "vllm_0_26_0.canary_fp8.chunked_prefill",
    "sglang_0_5_17.canary_fp8.baseline",
)
SHOWN = ("reasons", "told", "predictions", "same_answers", "backends")


def test_committed_cells_are_judged_as_with_everything_that_was_recorded(tmp_path: Path) -> None:
    path, matrix = tmp_path / "e.jsonl", load_matrix()
    lines = CANARIES.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"cell":' not in line or any(name in line for name in JUDGED)))
    policy, _ = load_policy(CHECKOUT / "ci/gates/sm90_h200_vllm.yaml")
    cells = [c for c in expand_matrix(matrix).runnable if c.id.endswith(JUDGED) and c.rig.id == "sm90x1_h100"]
    varied = frozenset({"chunked_prefill"})
    expected = [replace(e, varied=e.features & varied) for e in (make_expected(matrix, c) for c in cells)]
    whole, thin, now = read_records(path), read_thin([path]), datetime(2026, 11, 27, tzinfo=UTC)
    one = judge_evidence(policy, expected, whole, now=now)
    two = judge_evidence(policy, expected, thin.records, now=now, sealed=thin.sealed)
    # Each comparison has found something here, or that they agree would say nothing.
    assert {"bytes", "numbers"} <= {p.what for p in one.predictions if p.outcome != "absent"}
    assert one.reasons and any(b.prompts for b in one.backends) and any(s.prompts for s in one.same_answers)
    assert [getattr(one, name) for name in SHOWN] == [getattr(two, name) for name in SHOWN]


def test_a_failed_check_keeps_its_texts_and_an_ok_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(world.write(world.seal(failing("the reply"))))
    found = [r for r in read_thin([path]).records if isinstance(r, Found)]
    assert {bool(f.got) for f in found if not f.ok} == {True} and not any(f.got for f in found if f.ok)


def test_packed_positions_are_those_that_were_recorded() -> None:
    listed = [{"a": -1.5, "b": -2.5}, {}, {"a": 0.0}]
    packed = Positions(listed, [-1.5, -2.5, 0.0])
    assert [*packed] == listed and packed[-1] == listed[-1] and packed[1:] == listed[1:] and len(packed) == 3
    with pytest.raises(IndexError):
        packed[3]


def test_equal_conditions_are_one_object_and_a_true_is_no_one(tmp_path: Path) -> None:
    number = {"kind": "measurement", "cell": world.PLAIN, "name": "tok_s", "value": 1.0, "unit": "tok/s"}
    path = tmp_path / "e.jsonl"
    path.write_bytes(world.write(world.typed([{**number, "conditions": {"c": c}} for c in (1, True, 1)])))
    one, true, again = (r.conditions for r in read_thin([path]).records if isinstance(r, Measured))
    assert one is again and true["c"] is True and one["c"] == 1


def test_a_seal_holds_whoever_spelled_the_lines_and_not_of_an_edited_one(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(world.write(world.seal(world.green())))
    assert read_thin([path]).sealed == {"r1": True}
    turned = [dict(reversed(json.loads(line).items())) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(fields, separators=(",", ":")) + "\n" for fields in turned))
    assert read_thin([path]).sealed == {"r1": True}
    path.write_text(path.read_text().replace('"PASS"', '"FAIL"', 1))
    assert read_thin([path]).sealed == {"r1": False}


@pytest.mark.parametrize(("run", "why"), [({"continues": {"r0": "0"}}, "continues"), ({}, "two files")])
def test_what_only_whole_records_can_say_is_read_at_once(tmp_path: Path, run: world.Json, why: str) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_bytes(world.write(world.typed([{"kind": "run", **run}])))
    with pytest.raises(Unstreamable, match=why):
        read_thin(paths)
