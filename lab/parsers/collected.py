"""What a client gathers from the deltas of one reply. Runs inside the release's environment."""

from __future__ import annotations

from typing import Any


class Collected:
    """What a client has gathered from the deltas: texts joined, calls by their index."""

    def __init__(self) -> None:
        self.think, self.say = "", ""
        self.calls: dict[int, list[str]] = {}

    def add_call(self, index: int, name: str | None, arguments: str | None) -> None:
        """Join a delta of a call as the published clients do."""
        call = self.calls.setdefault(index, ["", ""])
        call[0] += name or ""
        call[1] += arguments or ""

    def outcome(self) -> dict[str, Any]:
        """Return the outcome, calls in the order of their index."""
        return {"think": self.think, "say": self.say, "calls": [self.calls[i] for i in sorted(self.calls)]}
