"""How many tokens a sequential test may spend: `matrix/token_budgets.yaml`, by depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from matrix.checkout import CHECKOUT
from matrix.yaml.structure import require_record

FILE: Final = CHECKOUT / "matrix" / "token_budgets.yaml"
MOST: Final = 10**12  # tokens: no run asks more


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBudgets:
    """Tokens by depth."""

    first: int
    quick: int
    full: int
    release: int


@cache
def read_token_budgets(path: Path = FILE) -> Mapping[str, int]:
    """Read the default budget of each depth.

    Raises:
        ConfigError: a depth is missing or unknown, or a number is none.
    """
    return asdict(require_record(TokenBudgets, path))


def parse_token_budget(text: str) -> int:
    """Parse `--token-budget`: a whole number of tokens, e.g. 2_000_000.

    Raises:
        ValueError: it is none, or fewer than one.
    """
    digits = text.replace("_", "").lstrip("0")  # so that the first ones say how large it is
    if not digits.isascii() or not digits.isdigit() or not 1 <= int(digits[:14]) <= MOST:
        raise ValueError(f"expected a whole number of tokens from 1 to {MOST:,}, got {text!r:.40}")
    return int(digits)
