"""Terminal, Markdown and HTML: the same facts, and nothing that a model says is markup."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from matrix.judging.status import Status
from matrix.model import Excluded
from reports.board import terminal as table
from reports.board.text import GLYPHS, View, make_view, tone_of
from reports.evidence.summary import make_board
from reports.expected import ExpectedCell
from reports.gate import gate
from reports.page.environment import read_asset
from reports.page.write import PageSource, write_pages
from tests.reports import world
from tests.reports.rendered import render_pages
from tests.reports.world import EXPECTED, FEW, NOW, PAIR, PLAIN, POLICY, SHARED, WITH_MTP, Json

EVIL = """</pre><script>alert(1)</script><img src=x onerror=alert(2)> `|**x**| " onload='y' {{ 7*7 }}"""


def shown(fields: list[Json], expected: Sequence[ExpectedCell] = EXPECTED) -> View:
    records = world.seal(fields)
    verdict = gate.judge_evidence(POLICY, expected, records, now=NOW)
    return make_view(make_board(records, {c.id: c.facts for c in expected}), verdict)


def failing(text: str) -> list[Json]:
    finding = {"kind": "finding", "cell": PLAIN, "nodeid": world.nodeid("needle", PLAIN), "check": text, "ok": False}
    bad = world.result(PLAIN, "needle", "FAIL", message=text)
    measured = {
        "kind": "measurement",
        "cell": PLAIN,
        "name": text,
        "value": 1.0,
        "unit": text,
        "conditions": {text: text},
    }
    proof = {"kind": "proof", "cell": PLAIN, "feature": text, "outcome": "refuted", "rung": text, "detail": text}
    crash = world.result(PLAIN, "boot", "CRASH", message=text)
    loose = {"kind": "result", "nodeid": text, "status": "FAIL", "message": text}
    return [
        *world.green(),
        bad,
        crash,
        {**finding, "expected": text, "got": text, "item": text},
        measured,
        proof,
        loose,
    ]


OURS = re.compile("|".join(re.escape(read_asset(name)) for name in ("page.css", "index.js", "cell.js")))


class Elements(HTMLParser):
    """Every element and attribute name of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.text: list[str] = []
        self.feed(OURS.sub("", page))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


SCRIPTS = re.compile(r"<script([^>]*)>(.*?)</script>", re.DOTALL)


def foreign_scripts(page: str) -> list[str]:
    """Return the scripts of a page that are neither ours nor inert data."""
    ours = {read_asset("index.js"), read_asset("cell.js")}
    found = SCRIPTS.findall(page)
    assert page.count("<script") == len(found)
    return [body for kind, body in found if not (body in ours or ("application/json" in kind and "<" not in body))]


def test_what_a_model_says_is_text_on_the_page() -> None:
    page = render_pages(shown(failing(EVIL)))
    found = Elements(page)
    assert not {"img", "onerror", "onload"} & found.seen
    assert EVIL in "".join(found.text)
    assert not foreign_scripts(page)


@FEW
@given(st.text(st.sampled_from("<>&\"'`/= abconlscript!-\\{}%#")))
def test_no_reply_adds_an_element_or_attribute(text: str) -> None:
    attacked = Elements(render_pages(shown(failing(text))))
    assert attacked.seen <= elements_of_plain() | {"code", "details", "open"}  # ours, where there is something to show


@cache
def elements_of_plain() -> frozenset[str]:
    return frozenset(Elements(render_pages(shown(failing("x")))).seen)


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_pages(shown(failing("x")))
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(|<link|fetch\(|XMLHttpRequest|import\(""", page)


def test_the_page_shows_the_failing_reply_and_the_next_step() -> None:
    fields = failing("the code is 81")
    text = "".join(Elements(render_pages(shown(fields))).text)
    assert "the code is 81" in text
    assert f"glm-matrix show {PLAIN}" in text


def test_a_page_can_be_written_whatever_the_model_says(tmp_path: Path) -> None:
    write_pages(shown(failing("\ud800 \x00 ü")), tmp_path / "out" / "index.html", PageSource())
    cell = tmp_path / "out" / "index.cells" / f"{PLAIN}.html"
    assert "ü" in cell.read_text(encoding="utf-8")


@pytest.mark.parametrize("fields", [world.green(), failing("x"), []], ids=["green", "red", "empty"])
def test_pages_say_green_or_red_in_words(fields: list[Json]) -> None:
    what = shown(fields)
    assert what.verdict is not None
    word = "Green" if what.verdict.green else "Red"
    assert f"{GLYPHS[Status.PASS] if word == 'Green' else GLYPHS[Status.FAIL]} {word}" in render_pages(what)
    assert table.render_markdown(what).startswith(f"# {word.upper()}: ")
    assert word.upper() in terminal(what)


def terminal(what: View) -> str:
    out = io.StringIO()
    table.print_table(what, Console(file=out, width=200))
    return out.getvalue()


def test_a_narrow_terminal_shows_every_cell_and_cuts_no_word() -> None:
    out = io.StringIO()
    table.print_table(shown(failing("x")), Console(file=out, width=50))
    text = " ".join(out.getvalue().split())
    assert "…" not in text and "boot PASS 1" in text and "FAIL" in text and "proven: mtp" in text
    assert {len(line) for line in out.getvalue().splitlines()} <= set(range(51))


def test_every_status_has_a_shape_beside_its_colour() -> None:
    assert set(GLYPHS) == set(Status)
    loud = [GLYPHS[s] for s in Status if tone_of(s) == "trouble" and not s.endswith("_ERROR")]
    assert len(set(loud)) == len(loud)


def test_markdown_has_a_row_per_cell_and_defuses_replies() -> None:
    text = table.render_markdown(shown(failing(EVIL)))
    rows = [line for line in text.splitlines() if line.startswith("| canary |")]
    assert len(rows) == 2
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert "<script" not in outside
    assert "**x**" not in outside


def test_an_absent_cell_has_its_row() -> None:
    rest = [f for f in world.green() if f.get("cell") != WITH_MTP]
    for text in (render_pages(shown(rest)), table.render_markdown(shown(rest)), terminal(shown(rest))):
        assert "MISSING" in text


def test_exclusions_are_counted_by_rule() -> None:
    def excluded(rule: str) -> Excluded:
        return Excluded(rule=rule, status="INVALID_HW", reason=f"why {rule}", source="s")

    cells = {str(i): excluded("fit" if i else "sm") for i in range(3)}
    what = make_view(make_board(world.seal(world.green())), None, cells)  # type: ignore[arg-type]
    assert [(e.rule, e.count) for e in what.exclusions] == [("fit", 2), ("sm", 1)]
    assert "why fit" in render_pages(what)
    assert "| 2 | INVALID_HW | `fit` | why fit |" in table.render_markdown(what)
    assert "3 combinations excluded on " in terminal(what)


def slow_once(note: str) -> list[Json]:
    """Return a test that passed on a fresh launch."""
    finding = {"kind": "finding", "cell": PLAIN, "nodeid": world.nodeid("needle", PLAIN), "check": "x.y", "ok": True}
    return [*world.green(), {**finding, "expected": "", "got": "", "note": note}]


def test_what_passed_only_on_a_fresh_launch_is_shown_though_everything_is_green() -> None:
    what = shown(slow_once("0.81 of the baseline, 0.99 on a fresh launch"))
    assert what.verdict is not None and what.verdict.green
    for text in ("".join(Elements(render_pages(what)).text), table.render_markdown(what), terminal(what)):
        assert "0.81 of the baseline, 0.99 on a fresh launch" in text
        assert "2 of 2 cells passed what they ran, 1 with a note" in text
    assert "with a note" not in terminal(shown(world.green()))


def test_a_note_is_text_in_every_report() -> None:
    what = shown(slow_once(EVIL))
    assert not {"img", "onerror", "onload"} & Elements(render_pages(what)).seen
    assert not foreign_scripts(render_pages(what))
    assert "<script" not in table.render_markdown(what)


@pytest.mark.parametrize("inert", [False, True])
def test_predictions_have_a_table_with_their_outcomes(inert: bool) -> None:
    what = shown([*world.paired(), *[world.size(SHARED, world.LAYERS)] * inert], PAIR)
    outcome = "refuted" if inert else "proven"
    row = next(line for line in table.render_markdown(what).splitlines() if line.startswith(f"| `{SHARED}` |"))
    assert row.startswith(f"| `{SHARED}` | indexcache | bytes | {outcome} | ") and "512 predicted" in row
    page = "".join(Elements(render_pages(what)).text)
    assert "Predictions" in page and "512 predicted" in page
    assert ("1 refuted, 1 proven" if inert else "2 proven") in terminal(what)


def test_without_neighbours_there_is_no_table_of_predictions() -> None:
    what = shown(world.green())
    assert "Predictions" not in render_pages(what) and "Predictions" not in table.render_markdown(what)


def test_a_feature_that_a_prediction_proves_is_shown_as_proven() -> None:
    fields = [{**f, "outcome": "unproven"} if f.get("feature") == "indexcache" else f for f in world.paired()]
    assert "proven: indexcache" in terminal(shown(fields, PAIR)).replace("unproven", "-")
