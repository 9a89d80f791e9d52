"""The small parts of a page: what somebody else wrote stays text in each."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from matrix.judging.status import Status
from reports.page.chips import render_block, render_chip, render_copied
from reports.page.environment import make_environment

TAG = re.compile(r"<[^>]*>")


@given(text=st.text())
def test_a_text_adds_no_tag_and_no_control_character(text: str) -> None:
    for render in (render_copied, render_block):
        made = render(text)
        assert TAG.findall(made) == TAG.findall(render("x"))
        assert not any(ord(c) < 32 and c != "\n" for c in made)


def test_markup_of_ours_passes_as_it_is() -> None:
    assert "<b>x</b>" in render_copied(Markup("<b>x</b>"))


@pytest.mark.parametrize("status", Status)
def test_a_chip_says_its_status_in_words_and_by_a_sign_that_is_not_read_out(status: Status) -> None:
    made = render_chip(status, "3 cells")
    assert f"</span>{status} <span" in made and "3 cells" in made and 'aria-hidden="true"' in made


def test_what_stands_beside_a_status_is_escaped() -> None:
    assert "&lt;i&gt;" in render_chip(Status.PASS, "<i>")


def test_templates_use_these_parts() -> None:
    shown = make_environment().from_string("{{ copied(text) }}{{ block(text) }}").render(text="<a>\x1b[2J")
    assert shown.count("&lt;a&gt;\\x1b[2J") == 2
