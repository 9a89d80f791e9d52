"""Whatever a model says, what is shown of it moves no cursor, turns nothing around, wakes nobody and links nowhere."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from reports.board import terminal as table
from reports.evidence import junit
from reports.evidence.bounds import MOST_ITEMS
from reports.evidence.defuse import (
    MOST_CHARS,
    defuse_for_code,
    defuse_for_markdown,
    defuse_for_terminal,
    defuse_line,
    make_visible,
)
from reports.evidence.finding import Finding
from reports.evidence.outbox import Evidence, Outbox
from reports.evidence.types import Found
from reports.gate import gate
from tests.reports import world
from tests.reports.rendered import render_pages
from tests.reports.test_pages import failing, shown

ANY = st.text(st.characters(exclude_categories=()), max_size=60)
EVIL = "\x1b[2J\x1b]0;GREEN\x07 \x9b1m \u202eneerg \u200b\u2066\x00 \ud83d \U000e0041 \u3164 \r\b\x7f"
OBEYED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def obeyed(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in OBEYED and c != "\n"}


@given(ANY | st.text(st.sampled_from(EVIL + "a\n:#[")))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert not obeyed(defuse_for_terminal(text)) - {"\t"}
    assert not obeyed(defuse_line(text))
    assert "\n" not in defuse_line(text) + defuse_for_markdown(text) + defuse_for_code(text)
    defuse_for_terminal(text).encode()


@given(st.text(st.characters(categories=("L", "N", "P", "S", "M")), max_size=40))
def test_words_of_any_language_stay_what_they_are(text: str) -> None:
    plain = "".join(c for c in text if c not in "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
    if not plain.startswith(("::", "##[")):
        assert defuse_for_terminal(plain) == plain


def test_what_is_obeyed_is_shown_as_its_escape() -> None:
    assert defuse_for_terminal("\x1b[2J\u202e\ud83d\U000e0041") == "\\x1b[2J\\u202e\\ud83d\\U000e0041"


@pytest.mark.parametrize("text", ["::error::green", "a\n  ::add-mask::b", "##[group]x"])
def test_no_line_is_a_command_to_the_runner(text: str) -> None:
    for line in defuse_for_terminal(text).splitlines():
        assert not line.strip().startswith(("::", "##["))


@pytest.mark.parametrize(
    "text",
    [
        "@everyone",
        "me@here.org",
        "#123",
        "a/b#4",
        "GH-5",
        "http://evil.example",
        "www.evil.example",
        "<b>",
        "[a](b)",
        "![a](b)",
        "`x`",
        "| a |",
        "**a**",
        "$x$",
        "~~a~~",
        "&lt;",
        "mailto:a",
    ],
)
def test_markdown_is_left_without_markup_mention_issue_or_link(text: str) -> None:
    told = defuse_for_markdown(text)
    assert not re.search(r"@\w|#\d|(?i:gh-)\d|://|www\.|mailto:\w|[<>]|(?<!\\)[*_`|$~\[\]]|&(?!amp;|lt;|gt;)", told)


@given(ANY)
def test_a_code_span_cannot_be_ended(text: str) -> None:
    told = defuse_for_code(text)
    assert told.count("`") == 2
    assert not re.search(r"(?<!\\)\|", told)


def test_a_long_text_is_cut_and_its_length_is_said() -> None:
    assert defuse_for_terminal("x" * 10_000_000).endswith("... (10,000,000 characters)")


def test_a_record_is_made_visible_and_its_data_left_alone() -> None:
    told = {"kind": "finding", "check": "x", "ok": False, "expected": "e", "got": EVIL, "data": {"a": EVIL}}
    (found,) = world.typed([told])
    assert isinstance(made := make_visible(found), Found)
    assert not obeyed(made.got)
    assert made.data == {"a": EVIL}
    (plain,) = world.typed([{"kind": "result", "nodeid": "n", "status": "PASS", "message": "grün, 好"}])
    assert make_visible(plain) is plain


def test_no_report_obeys_or_holds_all_of_a_reply() -> None:
    fields = failing(f"{EVIL} @everyone #123 http://evil.example {'x' * 300_000}")
    what = shown(fields)
    out = io.StringIO()
    table.print_table(what, Console(file=out, width=200))
    reasons = "\n".join(map(str, what.verdict.reasons if what.verdict else ()))
    text = {
        "terminal": out.getvalue(),
        "markdown": table.render_markdown(what),
        "html": render_pages(what),
        "gate": reasons,
    }
    for where, told in text.items():
        assert obeyed(told) <= {"\u200b"} if where == "markdown" else not obeyed(told), where
        told.encode()
        assert len(told) < 600_000, where
    outside = re.sub(r"`[^`\n]*`", "", text["markdown"])
    assert not re.search(r"@everyone|#123|http://", outside)


def test_evidence_keeps_a_bounded_amount_of_a_reply() -> None:
    box = Outbox("run")
    kept = Evidence(box, {"cell": "c"})
    data = {"a": ["z" * 10**6], "b": [0] * 10**5}
    kept.finding(Finding(check="x", ok=False, expected="", got="y" * 10**6, data=data))
    (record,) = box.drain()
    assert len(record["got"]) < MOST_CHARS + 100
    assert len(record["data"]["a"][0]) < MOST_CHARS + 100
    assert len(record["data"]["b"]) == MOST_ITEMS
    assert "entries" in record["data"]["cut"]
    kept.finding(Finding(check="x", ok=True, expected="", got="y", data={"a": [0] * 10}))
    assert "cut" not in box.drain()[0]["data"]


def test_a_finding_is_explained_without_what_a_terminal_obeys() -> None:
    told = Finding(check="x", ok=False, expected=EVIL, got=EVIL, detail=EVIL * 999).explain()
    assert not obeyed(told)
    assert len(told) < 4_000


def test_gate_reasons_are_one_line() -> None:
    assert str(gate.Reason(cell="", rule="r", text="a\n- GREEN\x1b[2J")) == "a - GREEN\\x1b[2J"


def test_junit_is_shown_as_anything_else() -> None:
    assert junit._clean_text("\x9b" + "x" * 10**6).startswith("\\x9bx")
