"""Changes of facts, judgements and reports that a random share of mutants left unnoticed: a case for each."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.client.reply import Reply
from matrix.bisecting.settings import list_units
from matrix.facts.lint import find_disagreements
from matrix.facts.model import load_facts
from matrix.judging.requested import read_requested
from matrix.output.docker_words import server_command
from matrix.parsers.judge import _judge_say
from matrix.planning import plan as plan_module
from matrix.planning.expand import expand_matrix, find_cell
from matrix.planning.fit import fit_of_plan
from matrix.planning.plan import make_plan
from matrix.preflight.checkpoints.quant_map import _as_count, _by_groups, _read_algorithm
from matrix.preflight.plans import _check_fit
from matrix.recommending.provenance import _list_claimed, _list_printed
from matrix.recommending.render import as_json
from matrix.serving.container import render_compose
from matrix.upgrading.choices import Choice
from matrix.yaml.load import load_matrix
from reports.board.text import format_conditions
from reports.certify.statement import _make_subjects
from reports.evidence.ran import SPEED, SeenCell, _note_record
from reports.evidence.secret_values import value_forms
from reports.gate import gate
from reports.gate.flakes import AskedAgain
from reports.gate.policy import Policy
from reports.gate.speed import _name_cells
from reports.history.command import _hand_over
from reports.page import cell as page_cell
from reports.page.plots import draw_cell
from reports.registry.decay import _read_settings
from reports.upgrade import command as upgrade
from suites.checks.isolation import check_no_leak
from suites.checks.protocol import CHUNK_CHARS, _find_lumps
from suites.checks.text import GIBBERISH_FROM_WORDS, _well_formed, find_gibberish
from tests.suites.checks.test_isolation import MARKERS, OWN, item

MATRIX = load_matrix()
RUNNABLE = expand_matrix(MATRIX).runnable


def plan_of(cell_id: str) -> Any:
    cell = find_cell(MATRIX, cell_id)
    assert cell is not None
    return make_plan(MATRIX, cell)


def test_what_a_feature_takes_away_is_a_unit() -> None:
    base = plan_of("sm90x8.vllm_0_26_0.glm51_fp8.baseline")
    gone, *_ = base.sections["args"]
    less = replace(base, sections={**base.sections, "args": tuple(s for s in base.sections["args"] if s is not gone)})
    assert [(u.path, u.value, u.instead) for u in list_units(less, base)] == [(gone.path, None, gone.value)]


def test_a_launch_says_its_window_and_its_expert_kernels() -> None:
    plans = [make_plan(MATRIX, cell) for cell in {c.release.id: c for c in RUNNABLE}.values()]
    told = [(plan, read_requested(plan)) for plan in plans]
    assert {found.context for plan, found in told} == {plan.settings.get("context") for plan, _ in told}
    own = [make_plan(MATRIX, c) for c in {c.release.id: c for c in RUNNABLE if c.engine.id == "trtllm"}.values()]
    asked = {plan.values("serve_config")["moe_config"]["backend"] for plan in own if plan.values("serve_config")}
    assert asked and {read_requested(plan).moe_backend for plan in own if plan.values("serve_config")} == asked


def test_an_image_that_is_the_server_gets_the_model_under_its_flag() -> None:
    plan = plan_of("sm90x8.vllm_0_26_0.glm51_fp8.baseline")
    words = plan.arguments()
    assert words[0] == "{model}"
    launcher = SimpleNamespace(
        values=lambda name: {"model_argument": "--model"}, arguments=lambda: words, cell=plan.cell
    )
    assert server_command(launcher)[:2] == ["--model", "{model}"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("say", "fault"), [("abd", "altered_text"), ("ab", "lost_text")])
def test_text_of_the_same_length_is_altered_and_not_lost(say: str, fault: str) -> None:
    [found] = _judge_say("abc", say, "", "", False)
    assert fault in str(found)


def groups(**weights: Any) -> str:
    return str(_by_groups({"config_groups": {"a": {"weights": weights}}}))


def test_formats_are_read_by_their_type_or_by_their_bits() -> None:
    assert groups(dtype="fp8") == groups(dtype="fp8_e4m3") == groups(num_bits=8, type="float") == "fp8"
    assert groups(dtype="fp4") == "nvfp4"
    assert _read_algorithm("modelopt", {"quant_algo": "INT8_SQ"}) == "int8"
    assert [_as_count(n) for n in (0, 1, 999_999, 1_000_000, True)] == [None, 1, 999_999, None, None]


def test_a_launch_that_fits_is_not_remarked_on() -> None:
    told: dict[str, Any] = {}
    for cell in {(c.rig.id, c.release.id): c for c in RUNNABLE}.values():
        found = fit_of_plan(plan := make_plan(MATRIX, cell))
        if found is not None:
            told.setdefault(found.word, [*_check_fit(plan)])
    assert told["fits"] == []


def test_a_published_launch_says_so_and_on_what() -> None:
    assert {a.level for a in (*_list_printed(MATRIX), *_list_claimed(MATRIX))} == {"published"}
    rigs = {str(r) for c in MATRIX.claims for r in ([c.value.when["rig"]] if "rig" in c.value.when else [])}
    assert rigs and {a.rig for a in _list_claimed(MATRIX)} - {""}


def test_a_compose_file_names_its_volume() -> None:
    assert (
        "name: glm-matrix" in render_compose(plan_of("sm90x8.vllm_0_26_0.glm51_fp8.baseline")).partition("volumes")[2]
    )


def test_a_cache_type_that_nobody_gave_is_the_releases_own() -> None:
    side: Any = SimpleNamespace(fact={"kv": None, "kv_given": None}.get)
    assert Choice("KV", ("kv",), "then").values(side) == ("auto",)


def test_a_release_in_a_boundary_is_held_against_the_facts_it_rests_on() -> None:
    facts = load_facts()
    for fact in facts.values():
        for release in MATRIX.releases:
            told = [*find_disagreements(fact.id, {"release": release}, facts)]
            other = [*find_disagreements(f"not {fact.id}", {"release": release}, facts)]
            assert not (told and other)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [({"concurrency": 2, "input_len": 4600}, "c=2, 4.6k in"), ({"concurrency": 1}, "c=1"), ({}, "")],
)
def test_a_number_says_its_load(conditions: Mapping[str, Any], said: str) -> None:
    measured: Any = SimpleNamespace(conditions=conditions)
    assert format_conditions(measured) == said


def test_a_certificate_is_about_the_image() -> None:
    digest = "a" * 64
    row: Any = SimpleNamespace(
        cell="c", launch=SimpleNamespace(versions={"image_digest": f"vllm/vllm-openai@sha256:{digest}"})
    )
    facts: Any = SimpleNamespace(sha256="b" * 64)
    *_, image = _make_subjects(row, facts)
    assert image == {"name": "image:vllm/vllm-openai", "digest": {"sha256": digest}}


def test_a_speed_without_conditions_is_nobodys() -> None:
    seen = SeenCell({}, "f")
    _note_record(seen, {"kind": "measurement", "name": SPEED, "value": 50.0})
    assert seen.speed is None
    _note_record(seen, {"kind": "measurement", "name": SPEED, "value": 50.0, "conditions": {"concurrency": 1}})
    assert seen.speed == 50.0


def test_half_a_character_in_a_secret_ends_nothing() -> None:
    assert "geheim%3F" in value_forms("geheim\ud800")


def test_an_answer_is_written_into_a_folder_that_is_there(tmp_path: Path) -> None:
    _hand_over(tmp_path / "a.txt", "text", lambda found: "said", None)
    assert (tmp_path / "a.txt").read_text() == "text"


def test_memory_is_drawn_by_the_plans_arithmetic_where_nothing_was_seen() -> None:
    fit = next(f for c in RUNNABLE if (f := fit_of_plan(make_plan(MATRIX, c))))
    row: Any = SimpleNamespace(tests=(), launches=(), proofs=(), measurements=(), launch=None)
    assert "by arithmetic" in [*draw_cell(row, fit=fit)][-1].caption


def test_a_variable_of_a_script_is_read_as_one() -> None:
    assert _read_settings("# head\nexport A=b c\n  --tp 8 \\\n") == {"A": "b c", "--tp": "8"}


def test_cells_named_by_hand_use_no_map_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    certified = SimpleNamespace(old=(), new=(), maps=("a=b",))
    monkeypatch.setattr(upgrade, "read_certified_evidence", lambda *words: certified)
    monkeypatch.setattr(upgrade, "parse_maps", lambda words: dict(w.split("=") for w in words))
    monkeypatch.setattr(upgrade, "compare_evidence", lambda old, new, maps, **more: seen.append(maps))
    for cells in ([], ["a", "b"]):
        given = argparse.Namespace(map=[], cells=cells, new=Path("n"), old=Path("o"), baseline=None, registry=Path("r"))
        upgrade._compare_given_runs(given)
    assert seen == [{"a": "b"}, {}]


def test_a_leak_is_told_with_how_many_were_asked() -> None:
    found = check_no_leak(item("x.1"), OWN, MARKERS)
    assert found.data["requests"] == len(MARKERS) and found.data["prompt_sha256"]


def test_a_stream_without_a_counted_chunk_is_a_lump_at_once() -> None:
    streamed = Reply(content="", streamed=True)
    assert _find_lumps(replace(streamed, content="x" * (CHUNK_CHARS + 1)))
    assert not _find_lumps(replace(streamed, content="x" * CHUNK_CHARS))


def test_one_sign_is_a_word_of_its_own() -> None:
    assert [_well_formed(t) for t in (",", "--", "]]", ",;")] == [True, True, False, False]


def test_prose_is_held_against_a_language_from_so_many_words_on() -> None:
    words = ("brin tolk vamp dorst " * GIBBERISH_FROM_WORDS).split()
    assert find_gibberish(" ".join(words[:GIBBERISH_FROM_WORDS]), prose=True)
    assert not find_gibberish(" ".join(words[: GIBBERISH_FROM_WORDS - 1]), prose=True)


def test_a_plan_asks_for_its_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(plan_module, "find_draft", lambda matrix, cell: asked.append(cell.id))
    cell = find_cell(MATRIX, "sm90x8.vllm_0_26_0.glm51_fp8.baseline")
    assert cell is not None
    plan_module._merge_overlays(MATRIX, cell, "recommended")  # below the cache of plans
    assert asked == [cell.id]


def test_a_recommendation_is_read_by_these_names() -> None:
    blocked = SimpleNamespace(reason="r", count=1, what="w", example="e")
    rig = SimpleNamespace(id="sm90x8", gpu=SimpleNamespace(name="H200"), gpus=8, sm=90)
    found: Any = SimpleNamespace(rig=rig, want="quality", canaries=False, total=0, launches=(), blocked=(blocked,))
    told = as_json(found)
    assert told["rig"]["id"] == "sm90x8" and told["blocked"][0]["what"] == "w"


def test_a_reason_of_a_gate_names_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    row: Any = SimpleNamespace(fingerprints=frozenset({"a", "b"}))
    cell: Any = SimpleNamespace(fingerprint="a")
    assert {rule for rule, _ in gate._check_identity(cell, row, ())} == {"identity", "fingerprint"}
    flaky = AskedAgain(reasons=(("c", "flake", "came to FLAKE"),))
    monkeypatch.setattr(gate, "judge_attempts", lambda *words: flaky)
    verdict = gate.judge_evidence(Policy(title="t", require=(), max_age_h=1.0), (), (), now=datetime.now(UTC))
    assert "flake" in {reason.rule for reason in verdict.reasons}


def test_several_cells_are_named_by_their_first() -> None:
    assert _name_cells(["a", "b"]) == "2 cells (a, ...)"


def test_a_failed_test_can_be_asked_again_by_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cell, "is_shown_in_full", lambda test: True)
    row: Any = SimpleNamespace(cell="c", tests=(SimpleNamespace(findings=(), name="test_x[c]"),))
    replies: Any = SimpleNamespace(find_talk=lambda *words: None, find_log=lambda *words: "")
    [failed] = page_cell._list_failed(row, replies)
    assert failed.command == "pytest --cells c -k test_x"
