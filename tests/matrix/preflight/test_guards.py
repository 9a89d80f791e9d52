"""The book of guards: releases come in any order, spans close and stay open, and the file reads back."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from matrix.errors import ConfigError
from matrix.preflight.guards import Does, GuardBook, format_guards, read_guards, save_guards

FOUND: dict[str, list[tuple[Does, str, str]]] = {
    "1.0": [("stops", "a.py:1", "no a"), ("stops", "a.py:2", "no b")],
    "1.1rc1": [("stops", "a.py:7", "no a"), ("sets", "b.py:3", "b is 2")],
    "1.1": [("sets", "b.py:4", "b is 2"), ("stops", "a.py:9", "no b")],
}


def book_of(*versions: str) -> GuardBook:
    book = GuardBook("sglang")
    for version in versions:
        book = book.with_release(version, FOUND[version])
    return book


def test_spans_and_first_places_do_not_depend_on_the_order_of_reading() -> None:
    texts = {format_guards(book_of(*order)) for order in itertools.permutations(FOUND)}
    (text,) = texts
    assert '["sets", "1.1rc1-", "b.py:3", "b is 2"]' in text
    assert '["stops", "1.0-1.1rc1", "a.py:1", "no a"]' in text
    assert '["stops", "1.0, 1.1-", "a.py:2", "no b"]' in text


def test_a_release_that_is_read_again_replaces_itself() -> None:
    book = book_of("1.0", "1.1").with_release("1.1", [("stops", "a.py:5", "no c")])
    assert {guard.says for guard in book.held_by("1.1") or ()} == {"no c"}
    assert {guard.says for guard in book.held_by("1.0") or ()} == {"no a", "no b"}
    assert "b is 2" not in {guard.says for guard in book.guards}


def test_the_file_reads_back_and_says_what_was_not_read(tmp_path: Path) -> None:
    book = book_of(*FOUND)
    save_guards(book, tmp_path)
    assert read_guards("sglang", tmp_path) == book
    assert book.held_by("2.0") is None
    assert read_guards("vllm", tmp_path).releases == ()
    (guard,) = book.matching("b is")
    assert book.cite(guard) == "b.py:3 of 1.1rc1"


@pytest.mark.parametrize(
    "text", ["[", '{"releases": "1.0"}', '{"releases": "1.0", "guards": [["stops", "2.0", "", ""]]}']
)
def test_a_damaged_file_is_one_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "sglang.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="glm-matrix snapshot writes them"):
        read_guards("sglang", tmp_path)
