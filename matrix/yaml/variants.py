"""Checks of features that vary a launch: partners, sizes of groups, kinds of drafts, the engines that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from matrix.errors import Problem, suggest_nearest
from matrix.model import Family, Feature
from matrix.yaml.loaded import Loaded

DIMENSIONS: Final = ("pp", "dp", "ep", "dcp", "pcp")
ALL: Final = "all"


def find_wrong_variants(features: Sequence[Loaded[Feature]], engines: Sequence[str]) -> Iterator[Problem]:
    """Find names and sizes that no launch can have."""
    known = {f.value.id: f.value for f in features}
    for item in features:
        feature = item.value
        for name in feature.partners:
            if name not in known or name == feature.id:
                yield _place_problem(
                    item, "partners", f"there is no other feature {name!r}{suggest_nearest(name, known)}"
                )
        # partners limit what a variation meets; features that only combine meet all others anyway
        if feature.partners and not feature.varies:
            yield _place_problem(
                item, "partners", "only a feature that says what it varies has partners; the others combine"
            )
        for key, size in feature.ranks.items():
            if key not in DIMENSIONS:
                yield _place_problem(item, "ranks", f"no dimension is {key!r}{suggest_nearest(key, DIMENSIONS)}")
            elif size != ALL and (type(size) is not int or size < 2):
                yield _place_problem(item, "ranks", f"expected a number of ranks from 2 on, or {ALL}, got {size!r}")
        for engine in feature.flags:
            if engine not in engines:
                yield _place_problem(item, "flags", f"no engine is {engine!r}{suggest_nearest(engine, engines)}")


def find_wrong_drafts(
    families: Sequence[Loaded[Family]], features: Sequence[Loaded[Feature]], engines: Sequence[str]
) -> Iterator[Problem]:
    """Find drafts of a family that no feature asks for, and engines that are none."""
    kinds = [f.value.draft for f in features if f.value.draft]
    for item in families:
        for kind, draft in item.value.drafts.items():
            wrong = [(kind, kinds, "feature's draft")] if kind not in kinds else []
            wrong += [(name, list(engines), "engine") for name in draft.engines if name not in engines]
            for word, known, what in wrong:
                line = item.lines.get(("drafts", kind), item.line)
                message = f"no {what} is {word!r}{suggest_nearest(word, known)}"
                yield Problem(item.file, line, f"{item.value.id}.drafts.{kind}", message)


def _place_problem(item: Loaded[Feature], key: str, message: str) -> Problem:
    return Problem(item.file, item.lines.get((key,), item.line), f"{item.value.id}.{key}", message)
