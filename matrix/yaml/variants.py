"""Checks of features that vary a launch: partners, sizes of groups, the engines whose flags they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from matrix.errors import Problem, suggest_nearest
from matrix.model import Feature
from matrix.yaml.loaded import Loaded

DIMENSIONS: Final = ("pp", "dp", "ep", "dcp")
ALL: Final = "all"


def find_wrong_variants(features: Sequence[Loaded[Feature]], engines: Sequence[str]) -> Iterator[Problem]:
    """Find names and sizes that no launch can have."""
    known = {f.value.id: f.value for f in features}
    for item in features:
        feature = item.value
        for name in feature.partners:
            if name not in known or name == feature.id:
                yield _place(item, "partners", f"there is no other feature {name!r}{suggest_nearest(name, known)}")
        if feature.partners and not feature.varies:
            yield _place(item, "partners", "only a feature that says what it varies has partners; the others combine")
        for key, size in feature.ranks.items():
            if key not in DIMENSIONS:
                yield _place(item, "ranks", f"no dimension is {key!r}{suggest_nearest(key, DIMENSIONS)}")
            elif size != ALL and (type(size) is not int or size < 2):
                yield _place(item, "ranks", f"expected a number of ranks from 2 on, or {ALL}, got {size!r}")
        for engine in feature.flags:
            if engine not in engines:
                yield _place(item, "flags", f"no engine is {engine!r}{suggest_nearest(engine, engines)}")


def _place(item: Loaded[Feature], key: str, message: str) -> Problem:
    return Problem(item.file, item.lines.get((key,), item.line), f"{item.value.id}.{key}", message)
