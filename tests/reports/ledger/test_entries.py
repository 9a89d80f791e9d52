"""Published numbers beside ours: what makes each verdict, and that every form shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError
from matrix.judging.published import compute_decode_limit
from matrix.model import Cell
from matrix.output import places
from matrix.planning.expand import expand_matrix
from matrix.recommending.ran import read_ran
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix
from reports import __main__ as cli
from reports.ledger.entries import LedgerEntry, _repeats, list_entries
from reports.ledger.forms import FORMS, summarise_entries
from tests.matrix import world as matrix_world
from tests.reports import world
from tests.reports.world import Json

CELL = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"
MTP = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.mtp"


@cache
def cells() -> tuple[Cell, ...]:
    return tuple(c for c in expand_matrix(load_matrix()).runnable if c.rig.id == "sm120x4")


def measured(ms: float, cell: str = CELL, name: str = "median_tpot_ms", **conditions: Any) -> Json:
    where = {"concurrency": 1, "input_len": 4096, "output_len": 100, "client_fit": True, **conditions}
    return {"kind": "measurement", "cell": cell, "name": name, "value": ms, "unit": "ms", "conditions": where}


def find(fields: list[Json], matrix: Matrix | None = None, /, **wanted: Any) -> LedgerEntry:
    """Return the entry of docs/sources/004's table at 4,096 tokens without IndexCache: 41.8 tok/s."""
    entries = list_entries(matrix or load_matrix(), cells(), world.typed(fields))
    wanted = wanted or {"indexcache": False, "context_tokens": 4096}
    return next(e for e in entries if e.claim == "seed004_context" and wanted.items() <= e.conditions.items())


def published(**values: Any) -> Matrix:
    """Return the matrix, but every number of that table has these values."""
    matrix = load_matrix()
    claims = []
    for loaded in matrix.claims:
        own = loaded.value
        if own.id == "seed004_context":
            own = replace(own, measurements=tuple(replace(m, **values) for m in own.measurements))
        claims.append(replace(loaded, value=own))
    return replace(matrix, claims=tuple(claims))


@pytest.mark.parametrize(
    ("fields", "verdict", "why"),
    [
        ([], "not measured", "no such cell has run here"),
        ([measured(25.0)], "reproduced", "0.96 of it, median_tpot_ms"),
        ([measured(10.0)], "reproduced", "2.39 of it"),
        ([measured(40.0)], "not reproduced", "0.60 of it"),
        ([measured(25.0, concurrency=8)], "not measured", "not with this load"),
        ([measured(25.0, input_len=2048)], "not measured", "not with this load"),
        ([measured(25.0, client_fit=False)], "not measured", "no such cell has run here"),
        ([measured(25.0, cell=MTP)], "not measured", "no such cell has run here"),
        ([measured(25.0), {"kind": "launch", "cell": CELL, "outcome": "ok", "stub": True}], "not measured", "no such"),
        ([measured(25.0), measured(200.0), measured(24.0)], "reproduced", "0.96"),
    ],
)
def test_the_verdict_follows_our_number_under_the_same_conditions(fields: list[Json], verdict: str, why: str) -> None:
    found = find(fields)
    assert (found.verdict, found.ours is None) == (verdict, verdict == "not measured")
    assert why in found.why


def test_a_range_is_met_anywhere_inside() -> None:
    wanted: dict[str, Any] = {"indexcache": False, "context_tokens": 16384}  # 26.4 to 38.6
    assert find([measured(30.0, input_len=16384)], **wanted).ratio == 1.0
    assert find([measured(50.0, input_len=16384)], **wanted).verdict == "not reproduced"


def test_a_feature_without_effect_causes_no_number() -> None:
    found = find([], indexcache=True, context_tokens=256)
    assert found.verdict == "not caused by the named feature" and "exclusion patch" in found.why


def test_a_feature_that_our_run_refutes_causes_no_number() -> None:
    asks = {
        "metric": "decode_throughput",
        "value": 40.0,
        "conditions": {"concurrency": 1, "context_tokens": 4096, "mtp": True},
    }
    matrix = published(**asks)
    of_both = next(c.condition for c in matrix.claims if c.value.id == "seed004_mtp")
    matrix = replace(matrix, claims=tuple(replace(c, condition=of_both) for c in matrix.claims))
    matrix = replace(matrix, claims=tuple(replace(c, value=replace(c.value, inert=())) for c in matrix.claims))
    refuted = {"kind": "proof", "cell": MTP, "feature": "mtp", "outcome": "refuted", "rung": "counter"}
    assert find([measured(25.0, cell=MTP)], matrix, mtp=True).verdict == "reproduced"
    assert find([measured(25.0, cell=MTP), refuted], matrix, mtp=True).why == f"our run refutes mtp in {MTP}"


@pytest.mark.parametrize(
    ("metric", "factor", "above"),
    [
        ("decode_throughput", 1.01, True),
        ("decode_throughput", 0.99, False),
        ("output_throughput", 1.01, True),
        ("mean_tpot", 0.99, True),
        ("mean_tpot", 1.01, False),
        ("p99_itl", 0.01, False),
    ],
)
def test_a_stream_faster_than_memory_is_above_the_roofline(metric: str, factor: float, above: bool) -> None:
    matrix = load_matrix()
    limit = compute_decode_limit(matrix.rigs["sm120x4"], matrix.checkpoints["glm51_478b_nvfp4"], drafts=False)
    assert limit
    value = factor * (1000 / limit if metric == "mean_tpot" else limit)
    found = find([measured(25.0)], published(metric=metric, value=value, high=None))
    assert (found.verdict == "above the roofline") == above


def test_what_no_load_repeats_is_not_measured_and_says_why() -> None:
    entries = list_entries(load_matrix(), cells(), world.typed([measured(25.0)]))
    whys = {(e.claim, e.metric): e.why for e in entries if e.verdict == "not measured"}
    assert whys["seed004_kv_splits", "decode_throughput"] == "no load repeats its kv_splits"
    assert whys["seed001_memory", "weights_total"] == "no suite measures it"
    assert whys["seed001_concurrency", "mean_ttft"] == "a published TTFT measures queue or cache"
    excluded = "sm100x8.vllm_0_16_0.glm5_fp8.baseline"
    assert whys["seed001_concurrency", "p99_itl"].startswith(f"{excluded} cannot be run: rule vllm_0_16_0_transf")
    assert len(entries) == sum(len(c.value.measurements) for c in load_matrix().claims), "no number is left out"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_every_number(form: str) -> None:
    entries = list_entries(load_matrix(), cells(), world.typed([measured(25.0)]))
    text = FORMS[form](entries)
    if form == "json":
        assert [e["verdict"] for e in json.loads(text)] == [e.verdict for e in entries]
    else:
        assert summarise_entries(entries) in text and "40 (1 x)" in text.replace("\\", "")
        assert all(title in text.replace("\\", "") for title in {e.title for e in entries})


def test_the_verb_prints_the_ledger_without_evidence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports.ledger import command

    monkeypatch.setattr(places, "find_evidence", lambda: Path("absent"))
    monkeypatch.setattr(command, "judge_claims", lambda records: list_entries(load_matrix(), (), records))
    assert cli.main(["claims", "--format", "markdown"]) == 0
    count = sum(len(c.value.measurements) for c in load_matrix().claims)
    told = capsys.readouterr().out
    assert told.startswith(f"# {count} published numbers: ") and "ours: no evidence was read" in told


def test_a_claimed_cell_of_the_committed_runs_is_read_without_being_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports.ledger import command

    path = tmp_path / "night.jsonl"
    path.write_bytes(world.write(world.seal([{"kind": "run"}, measured(25.0)])))
    ran = {CELL: replace(next(iter(read_ran().values())), cell=CELL, file=str(path))}
    monkeypatch.setattr(command, "read_ran", lambda: ran)
    monkeypatch.setattr(places, "find_evidence", lambda: Path("absent"))
    assert cli.main(["claims"]) == 0
    told = capsys.readouterr().out
    assert "40 (1 x)" in told and f"ours: {path}; of the 52 runnable" in told.replace("  ", " ")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("inert: [indexcach]\ndisputed: x\n", "there is no feature 'indexcach'; did you mean 'indexcache'?"),
        ("inert: [indexcache]\n", "say in `disputed` why"),
    ],
)
def test_an_inert_feature_exists_and_has_a_reason(tmp_path: Any, lines: str, said: str) -> None:
    root = matrix_world.write(tmp_path / "matrix")
    (root / "claims").mkdir(exist_ok=True)
    (root / "claims/c.yaml").write_text(
        f"id: c\ntitle: t\nwhen: {{}}\nsource: s\n{lines}measurements:\n"
        "  - {metric: m, value: 1, unit: u, conditions: {}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_matrix(root)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "repeats"),
    [({}, True), ({"concurrency": 8}, True), ({"concurrency": 1}, False), ({"output_tokens": 9}, False)],
)
def test_a_load_repeats_what_a_claim_says_of_it_and_may_be_any_where_it_says_nothing(
    wanted: dict[str, Any], repeats: bool
) -> None:
    seen = {"input_len": 4096, "output_len": 100, "concurrency": 8}
    assert _repeats({"context_tokens": 4096, **wanted}, seen) is repeats
