"""Where this checkout lies. The one place that counts folders, so that modules can move."""

from __future__ import annotations

from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[1]


def name_in_checkout(path: Path) -> str:
    """Return a file's path below the checkout as people are shown it; its bare name where it lies elsewhere."""
    return path.relative_to(CHECKOUT).as_posix() if path.is_relative_to(CHECKOUT) else path.name
