# ruff: noqa: RUF001  Chinese and Russian are what is asked for
"""What can be counted is counted as a person would count it."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.banks.constraint import Constraint
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.checks import constraints
from suites.checks.constraints import check_constraints, explain_broken

WORD = "word "
LONG = "The long walk ended at last. " * 3


@pytest.mark.parametrize(
    ("kind", "text", "count"),
    [
        ("words", "It's a well-known fact.", 4),
        ("words", "河边的小路。", 5),
        ("sentences", "One. Two! Three?", 3),
        ("sentences", 'He said "Go." And left.', 2),
        ("sentences", "It costs 3.50 euros, e.g.here.", 1),
        ("sentences", "No end", 1),
        ("sentences", "One. And no end", 2),
        ("sentences", "一。二。三！", 3),
        ("sentences", "**Bold.** Plain.", 2),
        ("sentences", "", 0),
        ("paragraphs", "a\n\nb\n \n\nc", 3),
        ("paragraphs", "a\nb", 1),
        ("paragraphs", "a\n\n---\n\nb", 2),
        ("bullets", "- a\n* b\n• c\n1. d\n2) e", 5),
        ("bullets", "- a - b - c", 1),
        ("bullets", "-a\n---\nb", 0),
    ],
)
def test_counts(kind: str, text: str, count: int) -> None:
    assert constraints.COUNT[kind](text) == count


@pytest.mark.parametrize(
    ("wanted", "text", "ok"),
    [
        ({"kind": "words", "relation": "at_least", "count": 1500}, WORD * 46, False),
        ({"kind": "words", "relation": "at_least", "count": 100}, WORD * 80, True),
        ({"kind": "words", "relation": "at_least", "count": 100}, WORD * 79, False),
        ({"kind": "words", "relation": "at_least", "count": 100}, WORD * 900, True),
        ({"kind": "words", "relation": "at_most", "count": 50}, WORD * 60, True),
        ({"kind": "words", "relation": "at_most", "count": 50}, WORD * 61, False),
        ({"kind": "sentences", "count": 2}, "One. Two. Three.", False),
        ({"kind": "sentences", "count": 6}, "One. " * 7, False),  # a fifth more is allowed of words alone
        ({"kind": "bullets", "count": 3}, "- a\n- b\n- c", True),
        ({"kind": "bullets", "count": 3}, "- a - b - c", False),
        ({"kind": "text", "text": "copper", "relation": "at_least", "count": 2}, "Copper is **copper**.", True),
        ({"kind": "text", "text": "copper", "relation": "at_least", "count": 2}, "Coppersmiths like copper.", False),
        ({"kind": "text", "text": "with"}, "Without end.", True),
        ({"kind": "text", "text": "with"}, "With end.", False),
        ({"kind": "text", "text": ","}, "One, two.", False),
        ({"kind": "starts", "text": "Long ago"}, '**"Long ago, there was ...', True),
        ({"kind": "starts", "text": "Long ago"}, "Sure! Long ago there was ...", False),
        ({"kind": "ends", "text": "The end."}, "So it was. **The end**.", True),
        ({"kind": "ends", "text": "The end."}, "The end. Shall I go on?", False),
        ({"kind": "case", "text": "upper"}, "SHIPS FLOAT: 3 OF THEM.", True),
        ({"kind": "case", "text": "upper"}, "SHIPS FLOAt.", False),
        ({"kind": "case", "text": "lower"}, "ships float.", True),
        ({"kind": "case", "text": "lower"}, "Ships float.", False),
        ({"kind": "json", "text": "a,b"}, '{"b": 1, "a": 2}', True),
        ({"kind": "json", "text": "a,b"}, '```json\n{"b": 1, "a": 2}\n```', True),
        ({"kind": "json", "text": "a,b"}, 'Here: {"b": 1, "a": 2}', False),
        ({"kind": "json", "text": "a,b"}, '{"a": 2}', False),
        ({"kind": "json", "text": "a,b"}, "[1]", False),
        ({"kind": "json", "text": "a,b"}, "[" * 100_000, False),
        ({"kind": "language", "text": "zh"}, "河边的小路很安静。", True),
        ({"kind": "language", "text": "zh"}, "The path is quiet.", False),
        ({"kind": "language", "text": "zh"}, "", False),
        ({"kind": "language", "text": "ru"}, "Дорога тиха.", True),
    ],
)
def test_a_demand_is_met_or_its_breach_is_explained(wanted: dict[str, Any], text: str, ok: bool) -> None:
    assert (explain_broken(Constraint(**wanted), text) == "") is ok


def ask(*wanted: Constraint) -> Item:
    return Item(id="i", kind="constrained", messages=({"role": "user", "content": "Go."},), constraints=wanted)


def test_every_demand_counts_and_the_reply_must_be_sound() -> None:
    item = ask(Constraint(kind="sentences", count=3), Constraint(kind="text", text="copper"))
    assert check_constraints(item, Reply(content=LONG, finish_reason="stop")).ok
    cut = check_constraints(item, Reply(content=LONG, finish_reason="length"))
    both = check_constraints(item, Reply(content="Copper.\ufffd", finish_reason="stop"))
    assert "length" in cut.detail and (both.check, both.ok) == ("instructions.sentences", False)
    assert all(said in both.detail for said in ("1 sentences", "'copper' 1 times", "mojibake"))


def test_another_script_is_welcome_where_it_is_demanded() -> None:
    text = "Весной дорога у реки тиха. Дети читают там книги."
    assert check_constraints(ask(Constraint(kind="language", text="ru")), Reply(content=text, finish_reason="stop")).ok
    other = check_constraints(ask(Constraint(kind="sentences", count=2)), Reply(content=text, finish_reason="stop"))
    assert "stray" in other.detail
