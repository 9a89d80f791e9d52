"""Defines a cell that a gate expects, as today's matrix plans it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matrix.hardware import Rig
from matrix.judging.requested import Requested
from matrix.judging.roofline import SpeedBounds
from matrix.model import Release
from matrix.recorded import KnownFailure


@dataclass(frozen=True, kw_only=True)
class ExpectedCell:
    """A cell that must have evidence. `known_failures` are those about this cell, by id."""

    id: str
    facts: Mapping[str, Any] = field(default_factory=dict)  # shown where the evidence has none
    features: frozenset[str] = frozenset()
    varied: frozenset[str] = frozenset()  # of these, what varies the launch and may change no answer
    fingerprint: str = ""  # "": any
    wanted: Requested | None = None  # what its plan asks for
    rig: Rig | None = None  # None: any
    release: Release | None = None  # None: any, of any version
    revision: str = ""  # the pinned commit of its checkpoint; "": any
    dialect: str = ""  # of its engine
    sibling: str = ""  # the same cell of the earlier release that its speed is held against
    script: str = ""  # that launches it
    owed: tuple[str, ...] = ()  # node ids of all that must have reported, whatever the evidence expects
    base: str = ""  # id of the cell beside which it owes less, and which must be as good; "": it stands alone
    carried: tuple[str, ...] = ()  # functions that the base answers for it
    suites: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    bounds: SpeedBounds = field(default_factory=SpeedBounds)  # of its decode speed
    known_failures: Mapping[str, KnownFailure] = field(default_factory=dict)
