"""The page and the Markdown of trends and flakes: what got slower first, and nothing of the evidence runs or loads."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reports import __main__ as cli
from reports.history.forms import sort_trends
from reports.history.page import FEW, draw_spark, render_trend_page
from reports.history.trend import NumberTrend
from tests.reports.history.test_history import WAVE, run_fields, write

HOSTILE = "sm9<script>alert(1)</script>|`x`\x1b[31m"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Six equal launches of a cell, then a slow one, under an index."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for number, value in enumerate((100.0, 101.0, 99.0, 100.0, 100.5, 99.5, 50.0)):
        write(folder, number, run_fields("FAIL" if number == 3 else "PASS", value))
    return folder


def ask(verb: str, runs: Path, *more: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["history", verb, str(runs), *more]) == 0
    return capsys.readouterr().out


def test_the_page_shows_what_got_slower_first(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = ask("trend", runs, "--format", "html", capsys=capsys)
    assert "3 numbers over time: 1 slower" in page and 'class="verdict trouble"' in page
    assert page.index(">slower<") < page.index(">not judged<")
    assert '<div class="word">SLOWER</div>' in page and "<dt>runs</dt><dd>7</dd>" in page
    assert "7 from 100 on 2026-" in page and "to 50 on 2026-" in page
    assert "<script" not in page and not re.search(r"(src|href)=", page), "it runs nothing and loads nothing"


def test_nothing_is_said_to_be_as_fast_where_nothing_was_judged() -> None:
    rows = [(f"2026-11-{day}", "r", 100.0, "f", "h") for day in range(10, 17)]
    few, all_ = (NumberTrend(cell="a", name=WAVE, conditions={}, unit="tok/s", rows=own) for own in (rows[:2], rows))
    assert '<div class="word">NOT JUDGED</div>' in render_trend_page([few])
    assert '<div class="word">NOTHING SLOWER</div>' in render_trend_page([few, all_])


def test_rows_that_want_nothing_of_anybody_are_closed_where_there_are_many() -> None:
    rows = [("2026-11-10", "r", 100.0, "f", "h")]
    many = [NumberTrend(cell=f"c{n}", name=WAVE, conditions={}, unit="", rows=rows) for n in range(FEW + 1)]
    assert "<details>" in render_trend_page(many) and "<details open>" in render_trend_page(many[1:])


def test_what_got_slower_goes_first_whatever_its_name() -> None:
    rows = [(f"2026-11-{day}", "r", value, "f", "h") for day, value in enumerate([100.0] * 6 + [50.0], 10)]
    few, slower = (
        NumberTrend(cell=cell, name=WAVE, conditions={}, unit="tok/s", rows=own)
        for cell, own in (("a", rows[:2]), ("b", rows))
    )
    assert sort_trends([few, slower]) == [slower, few]


def test_the_markdown_of_both_and_the_page_of_flakes(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trend = ask("trend", runs, "--format", "markdown", capsys=capsys)
    assert trend.startswith("# 3 numbers over time: 1 slower") and trend.count("\n| `") == 3
    assert "0.500 | slower |" in trend.splitlines()[4]
    flakes = ask("flakes", runs, "--format", "markdown", capsys=capsys)
    assert flakes.startswith("# 1 test that one plan answered both ways") and "1 of 7" in flakes
    page = ask("flakes", runs, "--format", "html", capsys=capsys)
    assert 'data-label="failed">1 of 7</td>' in page and "14.3%" in page and "FLAKY" in page
    assert ask("flakes", runs, "--cells", "*", "--format", "json", capsys=capsys).startswith("[")


def test_the_answer_goes_to_a_file_and_its_first_line_to_the_terminal(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "trend.html"
    said = ask("trend", runs, "--name", WAVE, "--format", "html", "--out", str(out), capsys=capsys)
    assert said == f"1 number over time: 1 slower\n{out}\n"
    assert "<polyline" in out.read_text(encoding="utf-8")


def test_hostile_names_are_inert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = [{**f, "name": HOSTILE, "unit": HOSTILE} if f["kind"] == "measurement" else f for f in run_fields()]
    write(tmp_path, 0, fields)
    for form in ("html", "markdown"):
        text = ask("trend", tmp_path, "--format", form, capsys=capsys)
        assert "<script>" not in text and "\x1b" not in text and "alert" in text


@pytest.mark.parametrize("values", [[5.0], [1.0, 1.0], [1.0, 3.0, 2.0], [-2.0, 0.0]])
def test_a_sparkline_stays_inside_its_frame(values: list[float]) -> None:
    drawn = draw_spark([("2026-11-30T00", value) for value in values])
    svg = ElementTree.fromstring(str(drawn))
    line = svg.find("polyline")
    assert line is not None
    points = [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
    assert len(points) == len(values)
    assert all(0 <= x <= 160 and 0 <= y <= 28 for x, y in points)
    assert [y for _, y in points].index(min(y for _, y in points)) == values.index(max(values)), "more is higher"
