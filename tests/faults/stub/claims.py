"""What a stub says of itself. It may name a cell's engine and model, so that whoever compares them can be tested.

Its Server header cannot be told to say anything else than `stub`: who attaches to it labels what it answered, and the
gate refuses that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fixtures.launch.attached.engine import STUB


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Owner and name in its model list, the name in its replies, and the version on its dialect's page."""

    owner: str = STUB
    model: str = STUB
    version: str = STUB


HONEST: Final = Claims()
