"""The plots of a cell: from facts alone, with their numbers as text, and inert."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from reports.evidence.summary import CellRow, make_board
from reports.page.plots import Figure, draw_cell
from tests.reports import world
from tests.reports.test_pages import EVIL
from tests.reports.world import PLAIN, Json

WHO = {"cell": PLAIN, "nodeid": world.nodeid("needle", PLAIN)}


def row_of(*fields: Json) -> CellRow:
    return make_board(world.typed([*fields, *world.one_cell(PLAIN, [])])).rows[0]


def needle(item: str, *, ok: bool) -> Json:
    return {"kind": "finding", **WHO, "check": "needle.found", "ok": ok, "expected": "", "got": "", "item": item}


def speed(value: float, streams: int, tokens: int, name: str = "output_throughput") -> Json:
    where: dict[str, Any] = {"concurrency": streams, "input_len": tokens}
    return {"kind": "measurement", **WHO, "name": name, "value": value, "unit": "tok/s", "conditions": where}


def figures(*fields: Json) -> dict[str, Figure]:
    drawn = list(draw_cell(row_of(*fields)))
    for figure in drawn:
        ElementTree.fromstring(figure.drawing)
    return {figure.caption.split(":")[0].split(" over")[0]: figure for figure in drawn}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("canary.needle.s1.4608t4c20d", "canary.needle.s1.4608t4c20d"),
        ("needle.smoke.4608t.20d.1", "needle.smoke.4608t.20d.2"),
    ],
)
def test_needles_stand_by_length_and_depth_and_each_answer_counts(first: str, second: str) -> None:
    drawn = figures(needle(first, ok=True), needle(second, ok=False))["Needles"].drawing
    assert "4,608 tokens, 20 % depth: ✗ 1/2" in drawn and "htrouble" in drawn


def test_speed_is_drawn_over_what_varies_most() -> None:
    over_streams = figures(speed(100, 1, 88), speed(170, 2, 75), speed(300, 4, 80))["tok/s"]
    assert "streams at once" in over_streams.caption
    assert over_streams.drawing.count("<polyline") + over_streams.drawing.count('class="l0"') == 2  # one line, its key
    over_length = figures(speed(100, 1, 1_000), speed(90, 1, 8_000), speed(60, 1, 64_000))["tok/s"]
    assert "tokens in" in over_length.caption and "64000 tokens in 60" in over_length.drawing


@pytest.mark.parametrize("foreign", [{"a": 1}, [1], None, True, "x", 10**400], ids=range(6))
def test_a_condition_of_any_kind_is_drawn_or_left_out(foreign: Any) -> None:
    for name in ("concurrency", "input_len"):
        odd = speed(100, 1, 88)
        odd["conditions"][name] = foreign
        assert "streams at once" in figures(odd, speed(100, 1, 88), speed(170, 2, 75))["tok/s"].caption


def test_the_bytes_of_a_token_are_those_that_were_seen() -> None:
    assert "bytes per token as seen" in figures(world.size(PLAIN, 4))["KV cache"].caption


def test_hostile_texts_are_inert_in_a_plot() -> None:
    launch = {"kind": "launch", "cell": PLAIN, "fingerprint": "f0", "outcome": "ok", "phases_s": {EVIL: 3.0}}
    drawn = figures({**launch, "launch_s": 3.0})
    assert not any("<script" in f.drawing or "<img" in f.drawing for f in drawn.values())
