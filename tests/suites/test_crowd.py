"""The suite's test about the crowd: each form passes with its own numbers, and every other way to attend fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fixtures.banks import bank_for
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.logprobs import Logprobs, chosen_token
from matrix.planning.expand import expand_matrix
from matrix.planning.plan import Plan, make_plan
from matrix.yaml.load import load_matrix
from suites import test_selection
from suites.checks import sparse
from suites.measure import references
from suites.measure.recordings import DENSE
from tests.suites.test_effective import planned
from tests.suites.world import Recorder

FORMATS = Path(__file__).with_name("crowd_formats.json")
VLLM, SGLANG = "sm90x1.vllm_0_33_0.", "sm90x1.sglang_0_5_23."
CPU = "cpu.llamacpp_2026_10_11549."
FORMS = [
    *(f"{VLLM}{name}.baseline" for name in ("canary_bf16", "canary_fp8", "canary_modelopt_fp4", "canary_w4a16")),
    *(f"{VLLM}{name}.baseline" for name in ("canary_reap160", "canary_reap192", "canary_shared")),
    f"{SGLANG}canary_wide.baseline",
    f"{SGLANG}canary_bf16.indexcache",
    f"{SGLANG}canary_reap160.indexcache",
    f"{SGLANG}canary_reap192.indexcache",
    *(f"{CPU}{name}.baseline" for name in ("canary_bf16", "canary_nvfp4", "canary_mxfp4", "canary_q8_0")),
    *(f"{CPU}{name}.baseline" for name in ("canary_reap160", "canary_reap192")),
    f"{CPU}canary_bf16.indexcache",
    f"{CPU}canary_fsfs.indexcache",
]


class Saying:
    """A client whose engine answers the crowd with these numbers."""

    def __init__(self, positions: Logprobs) -> None:
        self.positions = positions

    def ask(self, item: Item, **_: object) -> Reply:
        assert item.kind == "crowd"
        text = "".join(map(chosen_token, self.positions))
        return Reply(content=text, logprobs=tuple(map(_position, self.positions)))


def _position(listed: Mapping[str, float]) -> dict[str, Any]:
    top = [{"token": t, "logprob": v} for t, v in listed.items()]
    return {**top[0], "top_logprobs": top}


def known(asked: Plan) -> references.Reference:
    found = references.find_crowd(asked.cell, asked, bank_for(asked.cell.checkpoint))
    assert found is not None
    return found


def ask_crowd(asked: Plan, positions: Logprobs) -> Recorder:
    evidence, client = Recorder(), Saying(positions)
    held: Any = client
    test_selection.test_attends_to_the_selected_tokens_only(
        cell=asked.cell, plan=asked, client=held, bank=bank_for(asked.cell.checkpoint), evidence=evidence
    )
    return evidence


@pytest.mark.parametrize("name", FORMS)
def test_a_form_passes_with_its_own_numbers_and_fails_with_those_of_dense_attention(name: str) -> None:
    asked = planned(name)
    own = known(asked)
    assert ask_crowd(asked, own.positions).proofs[0][:2] == ("dsa", "proven")
    with pytest.raises(AssertionError, match=r"selection\.crowd: NOT OK.*of all ways to attend dense is nearest"):
        ask_crowd(asked, own.ways[DENSE])


def test_half_of_index_topk_fails_where_it_was_256() -> None:
    asked = planned(f"{CPU}canary_bf16.baseline")
    with pytest.raises(AssertionError, match="of all ways to attend half is nearest"):
        ask_crowd(asked, known(asked).ways[references.HALF])


def test_a_dense_launch_fails_with_the_numbers_of_sparse_attention() -> None:
    asked = planned("sm120x1_rtx5090.sglang_0_5_10_post1.canary_bf16.mtp")
    own = known(asked)
    assert own.way == DENSE and ask_crowd(asked, own.positions).proofs == []
    with pytest.raises(AssertionError, match="of all ways to attend FFFF is nearest"):
        ask_crowd(asked, own.ways["FFFF"])


def list_recorded(kind: str) -> list[Any]:
    every = json.loads(FORMATS.read_text(encoding="utf-8"))[kind]
    return [pytest.param(each, id=f"{each['index_topk']}-{each['weights']}-{each['computed']}") for each in every]


def ask_recorded(recorded: Mapping[str, Any]) -> Recorder:
    """Return what transformers computes otherwise than the reference, for a launch of these weights."""
    asked = planned(f"{VLLM}{recorded['weights']}.baseline")
    plan: Any = _WithSettings({**asked.settings, "index_topk": recorded["index_topk"]})
    evidence, client = Recorder(), Saying(references.read_positions(recorded))
    held: Any = client
    test_selection.test_attends_to_the_selected_tokens_only(
        cell=asked.cell, plan=plan, client=held, bank=bank_for(asked.cell.checkpoint), evidence=evidence
    )
    return evidence


@pytest.mark.parametrize("recorded", list_recorded("right"))
def test_what_rounding_makes_of_the_crowd_passes(recorded: Mapping[str, Any]) -> None:
    """Weights in their format, the indexer in 8 bits: at most a third of the tolerance."""
    (found,) = ask_recorded(recorded).findings
    assert 3 * found.data["nats"]["FFFF"] < found.data["tolerance"]


@pytest.mark.parametrize("recorded", list_recorded("wrong"))
def test_another_selection_fails(recorded: Mapping[str, Any]) -> None:
    with pytest.raises(AssertionError, match=r"selection\.crowd: NOT OK"):
        ask_recorded(recorded)


def test_a_context_that_cannot_hold_the_crowd_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = planned(f"{VLLM}canary_bf16.baseline")
    short = _WithSettings({**asked.settings, "context": 6000})
    plan: Any = short
    with pytest.raises(pytest.skip.Exception, match="none fits the context 6000"):
        test_selection.test_attends_to_the_selected_tokens_only(
            cell=asked.cell,
            plan=plan,
            client=Saying([]),  # type: ignore[arg-type]
            bank=bank_for(asked.cell.checkpoint),
            evidence=Recorder(),
        )


class _WithSettings:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings


def test_the_context_of_every_canary_launch_holds_the_crowd() -> None:
    """So no cell of the matrix is excused by its context; one that always thinks spends the few tokens on a thought,
    and for the weights of canary_flash no crowd was chosen yet."""
    matrix = load_matrix()
    canaries = [c for c in expand_matrix(matrix).runnable if c.checkpoint.canary]
    without = {
        c.checkpoint.id
        for c in canaries
        if not references.list_crowd_keys(c, make_plan(matrix, c), bank_for(c.checkpoint))
    }
    assert without == {"canary_thinking", "canary_flash"} and len(canaries) > 500


def test_every_tolerance_is_several_times_what_rounding_costs() -> None:
    """1.2e-3 nats a position: NVFP4 weights at index_topk 2048."""
    keys = {f: sparse.halve_nearest(known(planned(f)).ways, known(planned(f)).way) for f in FORMS}
    assert min(keys.values()) > 3 * 1.2e-3, keys
