"""Checks what a test says of the cells it wants: a misspelt feature made no item, and a run was green without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pytest

from matrix.errors import suggest_nearest
from matrix.planning.claimed import CLAIMS
from matrix.planning.owed import ASKED_KEYS
from matrix.planning.select import find_wrong_facts


def find_wrong_marks(marks: Iterable[pytest.Mark], values: Mapping[str, Iterable[object]]) -> Iterator[str]:
    """Yield a sentence for each wrong key or value of a test's `for_cells` and `cell` marks, with the nearest word.

    `values` are those of `matrix.planning.select.list_values`.
    """
    for mark in marks:
        if mark.name not in ("for_cells", "cell"):
            continue
        # `cell("mtp")` would match every cell, since only keywords are compared.
        if mark.args:
            yield f"{mark.name}() takes keywords, got {mark.args[0]!r}"
        found = find_wrong_facts(mark.kwargs.items(), values) if mark.name == "cell" else _judge_filter(mark, values)
        yield from found


def _judge_filter(mark: pytest.Mark, values: Mapping[str, Iterable[object]]) -> Iterator[str]:
    for key, value in mark.kwargs.items():
        if key not in ASKED_KEYS:
            yield f"for_cells() has no {key!r}{suggest_nearest(key, ASKED_KEYS)}; other facts: pytest.mark.cell(...)"
        elif key == "canary" and not isinstance(value, bool):
            yield f"for_cells() takes canary=True or canary=False, not {value!r}"
        # A text is iterable as well: "mtp" would be three features of one letter.
        elif key != "canary" and (isinstance(value, str) or not isinstance(value, Iterable)):
            yield f"for_cells() takes a list of {key}, e.g. {key}=[{value!r}], not {value!r}"
        elif key == "claims":
            unknown = [claim for claim in value if claim not in CLAIMS]
            yield from (f"for_cells() knows no claim {c!r}{suggest_nearest(str(c), CLAIMS)}" for c in unknown)
        elif key == "features":
            facts = (("feature", feature) for feature in value)
            yield from find_wrong_facts(facts, values)
