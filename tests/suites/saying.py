"""`python -m tests.suites.saying` writes matrix/known/said.json: what each check says of the failures in its tests.

`glm-matrix lint` holds the signatures of known failures against it: one that fits two failures of a check excuses what
nobody has looked at. Each kind of failure is kept once, by one example; `;` separates what a check says at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from types import FrameType

import pytest

from matrix.checkout import CHECKOUT
from matrix.known.said import FILE, name_kind
from reports.evidence.finding import Finding

ROOM = "tests/suites/checks"
WRITING = pytest.StashKey[bool]()  # of a run that writes the table, which may have what the table has not


class Sayings:
    """A pytest plugin that collects what failed findings say of themselves."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, str]] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[WRITING] = True

    def pytest_sessionstart(self) -> None:
        made, kept = Finding.__init__, self

        def make(self: Finding, **fields: object) -> None:
            made(self, **fields)  # type: ignore[arg-type]
            if is_made_by_a_check(sys._getframe(1)):
                kept.note(self)

        Finding.__init__ = make  # type: ignore[method-assign]

    def note(self, found: Finding) -> None:
        if found.ok:
            return
        for part in filter(None, found.detail.split("; ")):
            kinds = self.kept.setdefault(found.check, {})
            kind = name_kind(part)
            kinds[kind] = min(kinds.get(kind, part), part)  # whatever the order of the tests


def is_made_by_a_check(frame: FrameType | None) -> bool:
    """Return whether a check made this finding, and no test of one: directly, or by way of the room's conftest."""
    callers = (frame, frame.f_back if frame else None)
    return any(f.f_globals["__name__"].startswith("suites.checks.") for f in callers if f)


def as_text(kept: dict[str, dict[str, str]]) -> str:
    """JSON, one saying a line."""
    return json.dumps({check: sorted(kinds.values()) for check, kinds in sorted(kept.items())}, indent=1) + "\n"


def collect_sayings(paths: Iterable[str] = (ROOM,)) -> dict[str, dict[str, str]]:
    """Run the tests of the checks in this process and collect what they say.

    Raises:
        RuntimeError: a test failed, so that something may be missing.
    """
    sayings = Sayings()
    code = pytest.main(["-q", "--no-header", "-p", "no:xdist", *(str(CHECKOUT / p) for p in paths)], plugins=[sayings])
    if code:
        raise RuntimeError(f"pytest {ROOM} ended with {code}: make its tests pass first")
    return sayings.kept


def main(argv: Sequence[str]) -> int:
    FILE.write_text(as_text(collect_sayings()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    from tests.suites import saying  # noqa: PLW0406  under its own name, by which the room's conftest knows the key above

    sys.exit(saying.main(sys.argv[1:]))
