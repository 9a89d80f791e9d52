"""Says in a certificate that its cell's speed was not asked, and who says so: as narrow as a policy's `speed_unasked`.

Only tests of throughput of which the evidence holds nothing at all are left out. Where one of them began, or any other
test is missing, the clause says nothing, and the cell is FAILED as before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matrix.errors import ConfigError, Problem
from matrix.yaml.known_shape import names_nobody, says_nothing
from reports.evidence.summary import CellRow
from reports.evidence.types import Expected, Record

FIELD: Final = "speedUnasked"  # of a statement's own part
SUITE: Final = "throughput"
OPTION: Final = "--speed-unasked"
NOT_ASKED: Final = "speed not asked"
Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaskedSpeed:
    """Who answers for a speed that was not asked, and why. It ends when the certificate does."""

    owner: str
    why: str

    def __str__(self) -> str:
        return f"{NOT_ASKED}, says {self.owner}: {self.why}"


def make_unasked_speed(owner: Json, why: Json) -> UnaskedSpeed | None:
    """Make the clause; None where it names nobody, or no reason."""
    if not (isinstance(owner, str) and isinstance(why, str)) or names_nobody(owner) or says_nothing(why):
        return None
    return UnaskedSpeed(owner=owner, why=why)


def parse_unasked_speed(text: str) -> UnaskedSpeed | None:
    """Parse the option, `OWNER: WHY`; None where it was not given.

    Raises:
        ConfigError: it names nobody, or no reason.
    """
    if not text:
        return None
    owner, _, why = text.partition(":")
    found = make_unasked_speed(owner.strip(), why.strip())
    if found is None:
        message = f"who answers for that, and why? expected 'OWNER: WHY', got {text!r:.80}"
        raise ConfigError([Problem(OPTION, 0, "", message)])
    return found


def read_unasked_speed(own: Mapping[str, Json]) -> UnaskedSpeed | None:
    """Read the clause of a certificate (its `glmMatrix`); None where it has none of that form."""
    found = own.get(FIELD)
    return make_unasked_speed(found.get("owner"), found.get("why")) if isinstance(found, Mapping) else None


def list_left_out(own: Mapping[str, Json]) -> tuple[str, ...]:
    """List the tests that a certificate (its `glmMatrix`) says were not asked."""
    found = own.get(FIELD)
    tests = found.get("tests") if isinstance(found, Mapping) else None
    return tuple(map(str, tests)) if isinstance(tests, list | tuple) else ()


def list_unasked_tests(row: CellRow, own: Sequence[Record]) -> tuple[str, ...]:
    """List the owed tests of throughput, where the evidence of a cell holds nothing of any of them."""
    # A bare name of a function, as early evidence has it, is of no suite that could be told.
    tests = {t.nodeid for t in row.suite(SUITE) if "::" in t.nodeid}
    # A number, a finding or a reply without a result is of a run that was cut while it measured: that speed was asked.
    began = any(r.nodeid in tests for r in own if not isinstance(r, Expected))
    return () if began else tuple(sorted(tests))
