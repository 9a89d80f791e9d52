"""Token budgets: deeper runs may spend more, and what is no number of tokens is refused."""

from __future__ import annotations

import pytest

from matrix.planning.token_budgets import MOST, parse_token_budget, read_token_budgets


def test_a_deeper_run_may_spend_more() -> None:
    budgets = read_token_budgets()
    assert list(budgets) == ["first", "quick", "full", "release"]
    assert sorted(budgets.values()) == list(budgets.values()) and min(budgets.values()) > 0


@pytest.mark.parametrize(
    ("text", "tokens"), [("1", 1), ("0" * 20 + "7", 7), ("2_000_000", 2_000_000), (str(MOST), MOST)]
)
def test_a_number_of_tokens_is_read(text: str, tokens: int) -> None:
    assert parse_token_budget(text) == tokens


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "2k", "1e6", "٣", str(MOST + 1), "9" * 5_000, "0" * 13 + "1" + "9" * 20]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number of tokens"):
        parse_token_budget(text)
