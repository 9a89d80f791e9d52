"""Names that entries use of each other, held against what loaded: one missing entry is one problem, whoever names it.

An entry that did not load is told by its own file. Whoever names it, or a value that only it would have brought, is
counted there and is no problem of its own: what follows from a fault goes away with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from matrix.condition import suggest_value
from matrix.errors import Problem
from matrix.hardware import Gpu
from matrix.model import Checkpoint, Engine, Family, Feature, Release

FILES: Final = {  # where an entry of that name would stand
    "gpu": "axes/hardware/{}.yaml",
    "engine": "axes/engines/{}/engine.yaml",
    "release": "axes/engines/*/{}.yaml",
    "family": "axes/families/{}.yaml",
    "checkpoint": "axes/checkpoints/{}.yaml",
    "features": "axes/features/{}.yaml",
}
KEYS: Final[Mapping[type, str]] = {
    Gpu: "gpu",
    Engine: "engine",
    Release: "release",
    Family: "family",
    Checkpoint: "checkpoint",
    Feature: "features",
}
BRINGS: Final[Mapping[type, Mapping[str, str]]] = {  # condition key -> key of the entry that brings its values
    Gpu: {"rig": "rigs", "gpus": "rigs", "sm": "sm", "interconnect": "interconnect"},
    Checkpoint: {"format": "format", "experts": "experts", "quantisation": "quantisation"},
}


@dataclass(frozen=True, kw_only=True)
class LostEntry:
    """An entry of an axis that did not load. `names`: key -> values it brings; `unknown`: keys whose values it may."""

    file: str
    names: Mapping[str, frozenset[Any]]
    unknown: frozenset[str] = frozenset()


def describe_lost(kind: type, file: str, name: str, data: Any) -> LostEntry:
    """Gather what an entry would have brought, from the raw data of its file as far as that could be read."""
    raw = data if isinstance(data, dict) else {}
    names = {KEYS[kind]: frozenset(n for n in (name, raw.get("id")) if isinstance(n, str))} if kind in KEYS else {}
    values = {key: _list_values(key, raw.get(part)) for key, part in BRINGS.get(kind, {}).items()}
    names |= {key: value for key, value in values.items() if value}
    return LostEntry(file=file, names=names, unknown=frozenset(key for key, value in values.items() if not value))


def describe_empty(kind: type, pattern: str) -> LostEntry:
    """Describe an axis of which no file is there: nobody can tell what its values would be."""
    return LostEntry(file=pattern, names={}, unknown=frozenset([KEYS[kind], *BRINGS.get(kind, ())]))


def _list_values(key: str, value: Any) -> frozenset[Any]:
    if isinstance(value, dict):
        return frozenset(v for v in (value.values() if key == "gpus" else value) if isinstance(v, (str, int)))
    return frozenset([value]) if isinstance(value, (str, int)) else frozenset()


@dataclass(kw_only=True)
class References:
    """`valid`: key -> values that loaded. `check` takes what is used; `problems` and `hidden` say what came of it."""

    valid: Mapping[str, set[Any]]
    lost: Sequence[LostEntry] = ()
    hidden: Counter[str] = field(
        default_factory=Counter
    )  # file that did not load -> uses of what it would have brought
    _unknown: dict[tuple[str, Any], list[Problem]] = field(default_factory=dict)

    def check(self, key: str, values: Iterable[Any], place: Problem) -> None:
        """Note every value that no entry has; `place` is where it is used, its message still to be written."""
        for value in values:
            if value in self.valid[key]:
                continue
            roots = [e.file for e in self.lost if value in e.names.get(key, ())]
            # a file that could not be read at all may have brought any value: it is the likelier cause than a slip
            roots = roots or [e.file for e in self.lost if key in e.unknown]
            if roots:
                self.hidden[roots[0]] += 1
            else:
                self._unknown.setdefault((key, value), []).append(place)

    def problems(self) -> Iterator[Problem]:
        """One problem for each name that is not there, at its first use, with the number of the others."""
        for (key, value), (first, *others) in self._unknown.items():
            message = f"no {key} is {value!r}{suggest_value(key, value, self.valid[key])}"
            where = f"there is no {FILES[key].format(value)}; " if key in FILES else ""
            more = f" ({where}{len(others)} more entries name it)" if others else ""
            yield replace(first, message=message + more, follows=True)


def count_hidden(problems: Sequence[Problem], hidden: Mapping[str, int]) -> list[Problem]:
    """Return the same problems; the first of a file that did not load says how many entries wait for it."""
    told: set[str] = set()
    made: list[Problem] = []
    for problem in problems:
        count = hidden.get(problem.file, 0) if problem.file not in told else 0
        # once a file, at its first problem: that one has to be mended before anything else can be judged
        told.add(problem.file)
        more = f" ({count} entries that refer to it are judged once it loads)" if count else ""
        made.append(replace(problem, message=problem.message + more))
    return made
