"""Quantities as people write them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from reports.planning.quantities import parse_count, parse_duration, parse_price, parse_rate, parse_size


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_duration, "8h", 28800),
        (parse_duration, "90m", 5400),
        (parse_duration, "1.5 d", 129600),
        (parse_size, "1.5TB", 1_500_000_000_000),
        (parse_size, "2GiB", 2**31),
        (parse_rate, "5GB/s", 5e9),
        (parse_rate, "700MB/s", 7e8),
        (parse_count, "4", 4),
        (parse_price, "2.50", 2.5),
        (parse_price, "0", 0),
    ],
)
def test_a_quantity_is_read_with_its_unit(parse: Callable[[str], float], text: str, value: float) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_duration, "8", "a duration such as 90s, 10m or 8h"),
        (parse_duration, "8x", "a duration"),
        (parse_duration, "0h", "a duration"),
        (parse_duration, "-1h", "a duration"),
        (parse_size, "512", "a size like"),
        (parse_size, "9" * 400 + "TB", "a size like"),
        (parse_rate, "5GB", "a speed like 5GB/s"),
        (parse_count, "0", "at least 1"),
        (parse_count, "1e3", "at least 1"),
        (parse_count, "²", "at least 1"),
        (parse_price, "2.50EUR", "without its currency"),
        (parse_price, "nan", "without its currency"),
    ],
)
def test_anything_else_says_what_was_expected(parse: Callable[[str], float], text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        parse(text)
