"""A speed is bounded by what memory delivers, and far below what somebody published is no small thing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from matrix.judging.roofline import FAR, SHORT_TOKENS, Floor, SpeedBounds, find_bounds
from matrix.model import Cell
from matrix.planning.expand import expand_matrix
from matrix.recorded import Claim, Measurement
from matrix.yaml.load import load_matrix

MATRIX = load_matrix()
CELLS = {c.id: c for c in expand_matrix(MATRIX).runnable}


@cache
def find_cell(rig: str, checkpoint: str, *features: str) -> Cell:
    return next(
        c for c in CELLS.values() if (c.rig.id, c.checkpoint.id, c.features) == (rig, checkpoint, frozenset(features))
    )


def bounds(cell: Cell, *claims: Claim) -> SpeedBounds:
    return find_bounds(cell, claims or [c.value for c in MATRIX.claims], MATRIX.rigs, MATRIX.checkpoints)


def claim(rig: str, checkpoint: str, tps: float, **conditions: object) -> Claim:
    asked = {"concurrency": 1, "input_tokens": 512, **conditions}
    number = Measurement(metric="decode_throughput", value=tps, unit="tok/s", conditions=asked)
    return Claim(id="c", title="", when={"rig": rig, "checkpoint": checkpoint}, source="s", measurements=(number,))


FOUR, EIGHT = find_cell("sm120x4", "glm51_478b_nvfp4"), find_cell("sm120x8", "glm51_478b_nvfp4")


def test_the_seed_whose_setting_was_broken_is_below_its_floor() -> None:
    """5.2 tok/s at 150k tokens with 8 KV splits, 22.4 with 64; and what was sound at 16k stays above."""
    found = bounds(FOUR)
    long, short = found.find_floor(150_000, 1), found.find_floor(16_384, 1)
    assert long and 5.2 < long.tps < 18.4 and long.published
    assert short and short.tps < 26.4


def test_thirty_to_ten_tokens_a_second_is_told_of_every_rig_of_eight_with_known_weights() -> None:
    cells = [find_cell("sm90x8", "glm5_fp8"), find_cell("sm100x8", "glm5_fp8"), find_cell("sm103x8", "glm5_fp8")]
    floors = [bounds(c).find_floor(2048, 1) for c in cells]
    assert [(f.tps > 10, f.published) for f in floors if f] == [(True, False), (True, True), (True, False)]
    assert "expected" in str(floors[0]) and "published" in str(floors[1])


def test_no_published_number_breaks_the_bounds_of_its_own_cell() -> None:
    for each in (c.value for c in MATRIX.claims):
        rig, checkpoint = MATRIX.rigs.get(str(each.when.get("rig"))), str(each.when.get("checkpoint"))
        cells = [c for c in CELLS.values() if c.rig is rig and c.checkpoint.id == checkpoint]
        for m in each.measurements if cells else ():
            speed = {"decode_throughput": m.value, "mean_tpot": 1000 / m.value}.get(m.metric)
            drafts = bool(m.conditions.get("mtp"))
            cell = next((c for c in cells if ("mtp" in c.features) is drafts and "eager" not in c.features), None)
            tokens = next(
                (m.conditions[n] for n in ("input_tokens", "prompt_tokens", "context_tokens") if n in m.conditions),
                None,
            )
            if speed and cell and tokens and m.conditions.get("kv_splits") != 8:
                found = bounds(cell)
                floor = found.find_floor(tokens, m.conditions["concurrency"])
                assert found.ceiling and floor and floor.tps < speed < found.ceiling, (each.id, m)


def test_the_roofline_lowers_a_published_speed_and_never_lifts_it() -> None:
    on_four, on_eight = claim("sm120x4", "glm51_478b_nvfp4", 30), claim("sm120x8", "glm51_478b_nvfp4", 30)
    found = [bounds(cell, c).floors[0].tps for cell, c in ((FOUR, on_four), (EIGHT, on_four), (FOUR, on_eight))]
    assert found == pytest.approx([30 / FAR, 30 / FAR, 15 / FAR])


def test_a_floor_holds_for_no_harder_conditions_than_its_own() -> None:
    found = bounds(FOUR, claim("sm120x4", "glm51_478b_nvfp4", 30, concurrency=8, input_tokens=20_000))
    assert found.find_floor(20_000, 8) and found.find_floor(1, 1)
    assert not found.find_floor(20_001, 8) and not found.find_floor(20_000, 9)
    short = bounds(FOUR, claim("sm120x4", "glm51_478b_nvfp4", 30, input_tokens=256))
    assert short.find_floor(SHORT_TOKENS, 1) and not short.find_floor(SHORT_TOKENS + 1, 1)


def test_drafts_are_asked_only_of_cells_that_draft() -> None:
    published = claim("sm120x4", "glm51_478b_nvfp4", 90, mtp=True)
    drafting = find_cell("sm120x4", "glm51_478b_nvfp4", "mtp")
    assert not bounds(FOUR, published).floors and bounds(drafting, published).floors[0].tps == pytest.approx(30)


def test_what_cannot_be_bounded_is_not() -> None:
    canary = find_cell("sm90x1", "canary_bf16")
    assert bounds(canary).ceiling and not bounds(canary).floors
    eager = replace(FOUR, features=frozenset({"eager"}))
    assert bounds(eager).ceiling and not bounds(eager).floors
    unknown = replace(FOUR, checkpoint=replace(FOUR.checkpoint, size_bytes=None))
    assert bounds(unknown) == SpeedBounds()
    assert not bounds(FOUR, claim("sm120x4", "glm51_478b_nvfp4", 30, concurrency=None)).floors


def test_a_published_floor_goes_before_a_higher_expected_one() -> None:
    published, expected = (
        Floor(tps=tps, context=SHORT_TOKENS, concurrency=1, source="s", published=known)
        for tps, known in ((3.0, True), (10.0, False))
    )
    assert SpeedBounds(floors=(published, expected)).find_floor(1, 1) is published
    assert SpeedBounds(floors=(expected,)).find_floor(1, 1) is expected


def test_what_is_expected_is_the_smallest_share_that_anybody_reached() -> None:
    of_others = (claim("sm90x8", "glm5_fp8", 100), claim("sm100x8", "glm5_fp8", 20))
    [expected] = bounds(FOUR, *of_others).floors
    slowest = min(bounds(FOUR, c).floors[0].tps for c in of_others)
    assert not expected.published and expected.tps == pytest.approx(slowest)
    assert expected.tps < max(bounds(FOUR, c).floors[0].tps for c in of_others)


def test_drafts_lift_the_roofline() -> None:
    """A step reads the weights once, whatever it accepts."""
    plain, drafting = (bounds(c).ceiling for c in (FOUR, find_cell("sm120x4", "glm51_478b_nvfp4", "mtp")))
    assert plain and drafting == pytest.approx(4 * plain)


@pytest.mark.parametrize("features", ["mtp", ["mtp", "indexcache"]])
def test_a_claim_about_cells_that_draft_is_none_about_others(features: object) -> None:
    plain = claim("sm120x4", "glm51_478b_nvfp4", 90)
    drafted = replace(plain, when={**plain.when, "features": features})
    assert bounds(FOUR, plain).floors and not bounds(FOUR, drafted).floors
