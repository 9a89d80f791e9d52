"""Quantities as people write them: `8h`, `90m`, `1.5TB`, `5GB/s`, `2.50`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Final

from matrix import durations

# Spelled as people write them. GB and GiB apart: weights are listed in the one, memory is counted in the other.
BYTES: Final[Mapping[str, float]] = {
    "GB": 1e9,
    "TB": 1e12,
    "GiB": 2**30,
    "TiB": 2**40,
}
RATES: Final[Mapping[str, float]] = {f"{unit}/s": size for unit, size in (*BYTES.items(), ("MB", 1e6))}
# Of bounded length, and without a sign or an exponent: no size or price of a machine needs more.
NUMBER: Final = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*([A-Za-z/]*)", re.ASCII)


def parse_duration(text: str) -> float:
    """Parse a duration into seconds, as an option's `type`.

    Raises:
        argparse.ArgumentTypeError: with the sentence of `matrix.durations`.
    """
    try:
        return durations.parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_size(text: str) -> int:
    """Parse a size into bytes."""
    return int(_parse_quantity(text, BYTES, "a size like 512GB or 1.5TB"))


def parse_rate(text: str) -> float:
    """Parse a read speed into bytes per second."""
    return _parse_quantity(text, RATES, "a speed like 5GB/s")


def parse_count(text: str) -> int:
    """Parse a positive whole number."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def parse_price(text: str) -> float:
    """Parse a price; it has no currency here."""
    found = NUMBER.fullmatch(text)
    if found is None or found[2]:
        raise argparse.ArgumentTypeError(f"expected a number like 2.50 without its currency, got {text!r}")
    return float(found[1])


def _parse_quantity(text: str, units: Mapping[str, float], wanted: str) -> float:
    found = NUMBER.fullmatch(text.strip())
    value = float(found[1]) * units[found[2]] if found and found[2] in units else 0.0
    if not value:
        raise argparse.ArgumentTypeError(f"expected {wanted} (units: {', '.join(units)}), got {text!r}")
    return value
