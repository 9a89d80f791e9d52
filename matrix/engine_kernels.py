"""Which kernels an engine has: those in the wheels that it pins, and those that the host compiles when it needs them.

Both stand in axes/engines/<engine>/engine.yaml, as `compiled:` and `compiles:`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from matrix.hardware import Json


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A library in which backends are compiled; preflight compares its fat binaries with the rig's GPU."""

    library: str  # glob over paths in the wheels, e.g. "vllm/_flashmla_C*"
    backends: tuple[str, ...]  # as flags name them; empty: the engine chooses it itself
    what: str
    source: str
    needed: bool = False  # nothing runs without it, whatever the flags name


@dataclass(frozen=True, kw_only=True)
class HostCompile:
    """Kernels that are no part of the wheels: the host compiles them when they are first needed, and keeps them.

    What is kept is right for one release, GPU, compiler and set of headers; anything else is compiled anew.
    """

    id: str
    what: str  # the kernels, and how many compiler calls follow one another
    when: Mapping[str, Json]  # cells that need them
    at: Literal["load", "first_request", "requests"]  # when they are first needed
    keeps: str  # folder of the cache, where the variable is not set
    variable: str  # environment variable that moves it
    source: str  # file and symbol of the wheel that decides both
    seen: str = ""  # how long it took, and where that was measured
    warm: tuple[str, ...] = ()  # Python statements for the engine's interpreter that compile them ahead
