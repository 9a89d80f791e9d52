"""Cells of one evidence file that differ in one feature, judged by what they recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from matrix.judging.logprobs import NO_NUMBERS, Logprobs
from matrix.judging.observation import Rung
from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from reports.__main__ import main
from reports.compare import noise_floor as repeats
from reports.compare import prediction
from reports.compare.prediction import Prediction, judge_predictions
from reports.evidence.types import parse_record
from reports.gate.policy import make_expected
from tests.reports import world

BASE = "cpu.llamacpp_2026_10_11549.canary_bf16"
BASELINE, SHARED, DRAFTED, CHUNKED = (f"{BASE}.{f}" for f in ("baseline", "indexcache", "mtp", "chunked_prefill"))
NOISY = Path(__file__).with_name("sglang_indexcache.jsonl")
LAYERS, KEY = 4, 256  # the canary's, and llama.cpp's bytes of one token's indexer key


def keys_of(layers: int) -> dict[str, Any]:
    size = LAYERS * 1152 + layers * KEY
    return {"low": size - 0.4, "high": size + 0.4}


def answered(cell: str) -> world.Json:
    return {"kind": "result", "cell": cell, "test": "test_x", "nodeid": "x", "status": "PASS", "duration_s": 1.0}


def layout(cell: str, layers: int) -> world.Json:
    return {
        "kind": "proof",
        "cell": cell,
        "feature": "kv_layout",
        "outcome": "proven",
        "rung": "counters and sizes",
        "data": keys_of(layers),
    }


def signature(cell: str, name: str, *tokens: tuple[str, float]) -> world.Json:
    """Positions with the chosen token and one that is less likely, which the evidence's sorting puts first."""
    positions = [{token: logprob, " ": logprob - 3.0} for token, logprob in tokens]
    found = {"kind": "finding", "cell": cell, "check": f"signature.{name}", "ok": True, "expected": "", "got": ""}
    return {**found, "data": {"signature": positions}}


def held(cell: str, first: float) -> world.Json:
    """Return the long prompt again, as the test that compares it with a reference leaves it."""
    made = signature(cell, "long", ("a", first), ("b", -1.0))
    return {**made, "check": repeats.AGAIN, "data": {"candidates": made["data"]["signature"]}}


def judged(*fields: world.Json) -> list[Prediction]:
    """Return what is judged of the recorded cells; what they left nothing for is another test's."""
    recorded = {f["cell"] for f in fields}
    cells = [make_expected(load_matrix(), c) for c in expand_matrix(load_matrix()).runnable if c.id in recorded]
    return [p for p in judge_predictions(cells, world.typed(fields)) if p.outcome != "absent"]


def outcomes(*fields: world.Json) -> dict[str, str]:
    return {a.what: a.outcome for a in judged(*fields)}


@pytest.mark.parametrize(("layers", "outcome"), [(2, "proven"), (4, "refuted"), (3, "unproven")])
def test_indexcache_saves_the_keys_of_the_layers_that_share(layers: int, outcome: str) -> None:
    (found,) = judged(layout(BASELINE, 4), layout(SHARED, layers))
    assert (found.cell, found.without, found.what, found.outcome) == (SHARED, BASELINE, "bytes", outcome)
    assert "512 predicted" in found.detail


GPU = "sm90x1.vllm_0_26_0.canary_bf16"


@pytest.mark.parametrize(("bytes_per_token", "outcome"), [(3152, "proven"), (5136, "refuted"), (4000, "unproven")])
def test_fp8_keys_and_values_save_the_difference_of_two_layouts(bytes_per_token: int, outcome: str) -> None:
    """656 instead of 1152 bytes on 4 layers: 1984 bytes less."""
    sizes = {f"{GPU}.baseline": 5136, f"{GPU}.fp8_kv": bytes_per_token}
    recorded = [{**layout(cell, 4), "data": {"low": n - 0.7, "high": n + 0.7}} for cell, n in sizes.items()]
    (found,) = judged(*recorded)
    assert (found.feature, found.what, found.outcome) == ("fp8_kv", "bytes", outcome)
    assert "1984 predicted" in found.detail


@pytest.mark.parametrize(
    ("below", "beyond", "again", "outcome"),
    [
        (0.0, 0.4, [0.01], "proven"),
        (0.0, 0.0, [0.01], "refuted"),  # inert
        (0.3, 0.4, [0.01], "unproven"),  # short prompts change as well: these launches do not compute alike
        (0.0, 0.4, [0.1], "unproven"),  # nor does one launch when it is asked again
        (0.0, 0.4, [], "unproven"),  # nobody knows
    ],
)
def test_indexcache_changes_numbers_only_beyond_index_topk(
    below: float, beyond: float, again: list[float], outcome: str
) -> None:
    plain = [signature(BASELINE, name, ("a", -1.0), ("b", -1.0)) for name in ("short", "long")]
    shared = [signature(SHARED, n, ("a", -1.0 - gap), ("b", -1.0)) for n, gap in (("short", below), ("long", beyond))]
    assert outcomes(*plain, *shared, *(held(BASELINE, -1.0 - gap) for gap in again)) == {"numbers": outcome}


def test_what_an_engine_differs_by_from_itself_is_no_proof() -> None:
    """SGLang 0.5.17 on H100: 0 below and 0.25 beyond, as much as two asks of one launch are apart. Recorded there."""
    records = [parse_record(json.loads(line)) for line in NOISY.read_text(encoding="utf-8").splitlines()]
    recorded = {r.cell for r in records}
    found = judge_predictions(
        [make_expected(load_matrix(), c) for c in expand_matrix(load_matrix()).runnable if c.id in recorded], records
    )
    (numbers,) = [p for p in found if p.what == "numbers"]
    assert (numbers.outcome, numbers.detail) == (
        "unproven",
        "logprobs differ by 0 below index_topk and 0.25 beyond, where a launch asked twice differs by 0.25",
    )


@pytest.mark.parametrize(("last", "outcome"), [("b", "proven"), ("c", "unproven")])
def test_drafts_and_chunks_leave_the_words_alone(last: str, outcome: str) -> None:
    plain = signature(BASELINE, "long", ("a", -0.1), ("b", -0.2))
    for cell in (DRAFTED, CHUNKED):
        (found,) = judged(plain, signature(cell, "long", ("a", 0.0), (last, -0.4)))
        assert (found.what, found.outcome) == ("words", outcome)
        assert found.detail == f"long prompt: {2 if last == 'b' else 1} of 2 tokens are the same"


def test_an_engine_with_room_for_every_key_saves_no_bytes() -> None:
    """SGLang's pool is as large with IndexCache as without: that refutes nothing."""
    cells = [f"sm90x1.sglang_0_5_17.canary_bf16.{f}" for f in ("baseline", "indexcache")]
    assert judged(*(layout(c, 4) for c in cells)) == []


def test_a_drafted_token_says_nothing_of_attention() -> None:
    """llama.cpp gives it probability 1 and no alternative: beside a computed one it only looks different."""
    drafted, computed = {"b": 0.0}, {"b": -0.4, " ": -3.0}
    fields = []
    for cell, second in ((world.PLAIN, computed), (world.SHARED, drafted)):
        for name in ("short", "long"):
            made = world.signature(cell, name, -1.0)
            positions = [*made["data"]["signature"], *([second] if name == "long" else [])]
            fields.append({**made, "data": {"signature": positions}})
    found = {p.what: p.outcome for p in judge_predictions(world.PAIR, world.typed(fields))}
    assert found["numbers"] == "refuted"


def test_what_was_not_recorded_is_absent_and_named() -> None:
    found = {p.what: p for p in judge_predictions(world.PAIR, world.typed([world.size(world.PLAIN, 4)]))}
    assert {what: p.outcome for what, p in found.items()} == {"bytes": "absent", "numbers": "absent"}
    assert found["bytes"].detail == f"{world.SHARED} recorded no kv_layout"
    assert f"{world.PLAIN} recorded no signature.long" in found["numbers"].detail


@pytest.mark.parametrize("name", ["short", "long"])
@pytest.mark.parametrize("value", ["NaN", "inf", None])
def test_numbers_that_are_none_refute_what_was_predicted_of_them(name: str, value: object) -> None:
    """`inf > x` had proven that the feature changes something."""
    told = {(c, n): signature(c, n, ("a", -0.1)) for c in (BASELINE, SHARED) for n in ("short", "long")}
    told[SHARED, name]["data"]["signature"][0]["a"] = value
    assert outcomes(*told.values())["numbers"] == "refuted"


def test_cells_that_differ_in_more_than_one_feature_are_not_compared() -> None:
    assert judged(layout(SHARED, 2), layout(DRAFTED, 4)) == []


def test_the_command_prints_what_was_seen_and_is_red_when_a_feature_did_nothing(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for layers, code in ((2, 0), (4, 1)):
        file = tmp_path / f"{layers}.jsonl"
        file.write_bytes(world.write(world.seal([layout(BASELINE, 4), layout(SHARED, layers), answered(SHARED)])))
        assert main(["predictions", "--evidence", str(file)]) == code
    assert "without indexcache" in capsys.readouterr().out


def test_words_are_told_with_their_prompt_and_how_far_they_agree() -> None:
    both: list[Logprobs] = [[{"x": -0.1}, {"y": -0.1}], [{"x": -0.1}, {"z": -0.1}]]
    same, other, nan = (
        prediction._compare_words("mtp", "short", pair)
        for pair in ((both[0], both[0]), (both[0], both[1]), (both[0], [{"x": float("nan")}]))
    )
    assert (same.outcome, same.detail) == ("proven", "short prompt: 2 of 2 tokens are the same")
    assert (other.outcome, other.detail) == ("unproven", "short prompt: 1 of 2 tokens are the same")
    assert (nan.outcome, nan.detail) == ("refuted", f"short prompt: {NO_NUMBERS}")
    assert {(p.feature, p.rung) for p in (same, other, nan)} == {("mtp", Rung.ABLATION)}
    assert prediction._compare_words("mtp", "long", (both[0], both[0][:1])).outcome == "unproven"


def test_each_prompt_has_its_own_prediction_and_says_which() -> None:
    recorded = [signature(cell, name, ("a", -0.5)) for cell in (BASELINE, DRAFTED) for name in ("short", "long")]
    assert sorted(p.detail.partition(" ")[0] for p in judged(*recorded)) == ["long", "short"]
