"""One grammar for every option that takes a duration."""

from __future__ import annotations

import pytest

from matrix.durations import DAY_S, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("90s", 90), ("10m", 600), ("10min", 600), ("1.5h", 5400), ("24h", 86_400), ("1.5 d", 129_600)],
)
def test_a_duration_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "8", "m", "0s", "0", "-1m", "1e3s", "nan", "inf", "1week", "9" * 400 + "h", "²s"])
def test_anything_else_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a duration such as 90s, 10m or 8h \(units: ms, s, m, min, h, d\)"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0s", "0.0h"])
def test_nothing_is_a_duration_where_it_may_be(text: str) -> None:
    assert parse_duration(text, zero=True) == 0.0


def test_nothing_needs_a_known_unit() -> None:
    with pytest.raises(ValueError, match="such as"):
        parse_duration("0weeks", zero=True)


def test_a_day_may_be_the_most() -> None:
    assert parse_duration("1d", most_s=DAY_S) == DAY_S
    with pytest.raises(ValueError, match="at most 24h, got '25h'"):
        parse_duration("25h", most_s=DAY_S)
