"""Launches are ranked by who has run them; what is known not to start is not offered; each number has a source."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from matrix.errors import ConfigError
from matrix.hardware import Rig
from matrix.planning.expand import expand_matrix, list_attachable
from matrix.planning.plan import make_plan
from matrix.recommending.choose import MOST, Recommendation, Want, narrow_matrix, rank_launches, recommend_launches
from matrix.recommending.ran import LastRun, read_ran
from matrix.recommending.render import WIDTH, as_json, next_command, render_text
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
SM120X4 = recommend_launches(MATRIX, MATRIX.rigs["sm120x4"], {})
H100 = recommend_launches(MATRIX, MATRIX.rigs["sm90x1_h100"], read_ran())
PUBLISHED = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"


def make_ran(cell_id: str, **fields: object) -> LastRun:
    cell = next(c for c in expand_matrix(MATRIX).runnable if c.id == cell_id)
    given: dict[str, object] = {"counts": {"PASS": 26}, "file": "e.jsonl", "date": "2026-11-29", "host": "here"}
    return LastRun(
        cell=cell.id,
        rig=cell.rig.id,
        release=cell.release.id,
        checkpoint=cell.checkpoint.id,
        features=tuple(sorted(cell.features)),
        fingerprint="",
        **{**given, **fields},  # type: ignore[arg-type]
    )


def test_the_published_launch_with_numbers_is_first_on_its_rig() -> None:
    first, second = SM120X4.launches[:2]
    assert first.cell.id == PUBLISHED
    assert (first.provenance.level, second.provenance.level) == ("published", "published")
    assert second.cell.features == {"mtp"}
    assert SM120X4.launches[2].provenance.level == "derived"


@pytest.mark.parametrize("found", [SM120X4, H100], ids=["sm120x4", "h100"])
def test_ranks_follow_provenance_and_numbers_have_sources(found: Recommendation) -> None:
    assert 0 < len(found.launches) <= MOST
    assert all(a.provenance.order <= b.provenance.order for a, b in pairwise(found.launches))
    for one in found.launches:
        assert one.preflight in ("accept", "unknown")
        assert all(n.source and n.basis for n in one.numbers)
        assert not any(k.expect == "always" and k.fails.at != "test" for k in one.known)


def test_what_ran_here_outranks_what_was_published() -> None:
    cell = "sm120x4.vllm_0_33_0.glm51_478b_nvfp4.baseline"
    found = recommend_launches(MATRIX, MATRIX.rigs["sm120x4"], {cell: make_ran(cell, speed=61.5)})
    assert found.launches[0].cell.id == cell and found.launches[0].speed == 61.5
    assert found.launches[1].cell.id == PUBLISHED


@pytest.mark.parametrize(
    ("missing", "said"), [(2, "not asked when it ran, and no number is known"), (0, "no number is")]
)
def test_a_speed_that_was_not_asked_is_told_from_one_that_nobody_knows(missing: int, said: str) -> None:
    cell = "sm120x4.vllm_0_33_0.glm51_478b_nvfp4.baseline"
    found = recommend_launches(MATRIX, MATRIX.rigs["sm120x4"], {cell: make_ran(cell, missing=missing)})
    (line, *_) = [each for each in render_text(found).splitlines() if each.startswith("   speed ")]
    assert line.startswith(f"   speed    {said}")


def test_a_run_that_failed_is_counted_and_not_offered() -> None:
    failed = {PUBLISHED: make_ran(PUBLISHED, counts={"PASS": 25, "FAIL": 1})}
    found = recommend_launches(MATRIX, MATRIX.rigs["sm120x4"], failed)
    assert PUBLISHED not in {one.cell.id for one in found.launches}
    assert any("ran here and failed (e.jsonl)" in b.reason and b.example == PUBLISHED for b in found.blocked)


def test_a_small_rig_gets_canaries_and_is_told_so() -> None:
    assert H100.canaries and not SM120X4.canaries
    assert H100.launches[0].provenance.level == "ran" and H100.launches[0].ran is not None
    assert "canaries" in render_text(H100)


@pytest.mark.parametrize(
    ("want", "features"), [("speed", {"mtp"}), ("long-context", frozenset()), ("tools", frozenset())]
)
def test_what_is_wanted_decides_among_equals(want: Want, features: set[str]) -> None:
    ranked = rank_launches(MATRIX, [c for c in expand_matrix(MATRIX).runnable if c.rig.id == "sm120x4"], {}, want)
    assert (ranked[0].provenance.level, set(ranked[0].cell.features)) == ("published", set(features))


def test_every_combination_is_offered_shared_or_counted() -> None:
    narrow = narrow_matrix(MATRIX, MATRIX.rigs["sm120x4"])
    world = expand_matrix(narrow)
    counted = sum(b.count for b in SM120X4.blocked if b.what == "combinations")
    assert counted == sum(not c.checkpoint.canary for c in world.excluded)
    assert len(world) < len(expand_matrix(MATRIX)) / 5


def test_a_rig_that_is_not_on_the_axes_is_judged_by_the_same_arithmetic() -> None:
    gpu = MATRIX.rigs["sm120x4"].gpu
    tiny = recommend_launches(MATRIX, Rig(id="asked", gpu=replace(gpu, vram_bytes=gpu.vram_bytes // 4), gpus=2), {})
    assert tiny.canaries and any("does_not_fit" in b.reason for b in tiny.blocked)


def test_a_glob_that_matches_nothing_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'glm51_478b_nvfp4'"):
        recommend_launches(MATRIX, MATRIX.rigs["sm120x4"], {}, globs=["glm51_478b_nvfp"])


def test_text_fits_a_terminal_and_ends_each_launch_with_its_command() -> None:
    lines = render_text(SM120X4, model="/my models/x").splitlines()
    long = [line for line in lines if len(line) > WIDTH and not line.startswith("   next ")]
    assert [line for line in long if " " in line.strip()] == []  # an address is not broken
    assert sum(line.startswith("   next     glm-matrix show ") for line in lines) == len(SM120X4.launches)
    assert "MODEL='/my models/x' bash" in next_command(SM120X4.launches[0], "/my models/x")


def test_json_holds_every_reason_and_every_source() -> None:
    said = as_json(SM120X4)
    assert len(said["blocked"]) == len(SM120X4.blocked)
    assert all(n["source"] for one in said["launches"] for n in one["numbers"])
    assert said["launches"][0]["known_failures"][0]["issue"].startswith("http")


@pytest.mark.parametrize("rig", ["gfx950x8", "sm121x2"])
def test_a_rig_that_is_only_attached_to_gets_cells_to_ask_and_no_script(rig: str) -> None:
    found = recommend_launches(MATRIX, MATRIX.rigs[rig], read_ran())
    assert found.launches and found.attached
    attachable = set(list_attachable(MATRIX))
    for one in found.launches:
        assert next_command(one) == f"pytest --endpoint http://127.0.0.1:8000 --cells {one.cell.id}"
        assert one.cell in attachable and one.cell.engine.id != "trtllm"
    text = render_text(found)
    assert "Nothing is started on this rig" in text and "glm-matrix probe http://127.0.0.1:8000" in text
    assert not any("attach_only" in block.reason for block in found.blocked)


def test_among_equals_the_newest_glm_of_its_maker_comes_before_its_likenesses() -> None:
    found = recommend_launches(MATRIX, MATRIX.rigs["sm103x8"], read_ran())
    assert {one.provenance.level for one in found.launches} == {"expected"}
    assert found.launches[0].cell.checkpoint.repository == "zai-org/GLM-5.3"
    assert not any("deepseek" in one.cell.checkpoint.id for one in found.launches)


def test_what_is_wrong_with_its_parsers_is_told_with_the_command_that_shows_it() -> None:
    one = next(one for one in SM120X4.launches if one.cell.id == PUBLISHED)
    [faults] = one.faults
    assert faults.requirement == "sglang==0.5.10.post1" and faults.pair == "glm47+glm45"
    assert faults.command in " ".join(render_text(SM120X4).split())
    shown = next(e for e in as_json(SM120X4)["launches"] if e["cell"] == PUBLISHED)
    assert shown["parser_faults"][0]["worst"] == list(faults.worst) and shown["loses_calls"] is one.loses_calls


def test_a_run_of_another_plan_is_told_as_that() -> None:
    """Flags, environment or a merged config have changed since: what is offered is not what ran."""
    matrix = load_matrix()
    ran = read_ran()
    name = "sm90x1.vllm_0_33_0.canary_bf16.baseline"
    [cell] = [c for c in expand_matrix(matrix).runnable if c.id == name]
    same = rank_launches(matrix, [cell], {name: replace(ran[name], fingerprint=make_plan(matrix, cell).fingerprint)})
    other = rank_launches(matrix, [cell], {name: replace(ran[name], fingerprint="0" * 16)})
    assert same[0].provenance.level == other[0].provenance.level == "ran"
    assert "another plan" not in same[0].provenance.why
    assert other[0].provenance.why.endswith(", with another plan than today's")
