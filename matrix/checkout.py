"""Where this checkout lies. The one place that counts folders, so that modules can move."""

from __future__ import annotations

from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[1]
