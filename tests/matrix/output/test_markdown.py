"""A cell of a Markdown table stays one cell."""

from __future__ import annotations

import pytest

from matrix.output.markdown import escape_cell, format_markdown_table


def test_a_table_has_a_rule_below_its_header_and_numbers_on_the_right() -> None:
    assert format_markdown_table(("what", "count"), [("a", 1)], numbers=("count",)) == (
        "| what | count |\n| --- | ---: |\n| a | 1 |\n"
    )


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="what, count"):
        format_markdown_table(("what", "count"), [("a",)])


@pytest.mark.parametrize(("given", "made"), [("a|b", r"a\|b"), (r"a\|b", r"a\\\|b"), ("a\nb", "a b"), (3, "3")])
def test_plain_text_cannot_end_its_cell(given: object, made: str) -> None:
    assert escape_cell(given) == made
