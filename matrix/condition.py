"""`when:` blocks: which cells something applies to, and how specific it is.

    when: {engine: sglang, version: "<0.5.12", sm: [100, 120], features: [mtp], form: recommended}

Keys are the cell's facts (`Cell.facts`) plus eight that compare: `version` (PEP 440 specifier),
`features` (all of these), `any_of` (at least one of these), `without` (none of these), `any_feature` (whether there is
one), `feature_count` (how many at once), `form` (published or recommended), `pins` (libraries that the release pins,
each with a specifier that all versions it allows must satisfy: matrix/pins.py).
A list means any of its values. Specificity counts keys, and every feature named counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from matrix.errors import suggest_nearest
from matrix.hardware import Json
from matrix.model import Form
from matrix.pins import Pins, find_pin_problems

Facts = Mapping[str, Json]
Test = Callable[[Facts, str], bool]

OF_RELEASE = ("engine", "release", "fork", "version", "pins")
OF_CHECKPOINT = (
    "checkpoint",
    "family",
    "architecture",
    "format",
    "experts",
    "mtp_layer",
    "thinking",
    "index_sharing",
    "quantisation",
    "quantised_attention",
    "canary",
)
EQUAL_KEYS = ("rig", "gpu", "sm", "gpus", "interconnect", "engine", "release", "fork", *OF_CHECKPOINT)
KEYS = (*EQUAL_KEYS, "version", "features", "any_of", "without", "any_feature", "feature_count", "form", "pins")
RELEASE_KEYS = frozenset(OF_RELEASE)  # known of a release alone
OFFERED_KEYS = frozenset({*OF_RELEASE, *OF_CHECKPOINT})  # known of a release and a checkpoint alone, whatever the rig
FEATURE_LISTS = ("features", "any_of", "without")
HOW_TO_ADD = {  # a value that no axis has may be a new one, not a misspelling
    "sm": "a GPU of that capability is one file under axes/hardware: docs/how-to/add-a-gpu.md",
    "gpu": "a new GPU is one file under axes/hardware: docs/how-to/add-a-gpu.md",
    "family": "a new family is one file under axes/families: docs/how-to/add-a-family.md",
}
FORMS: tuple[Form, ...] = ("recommended", "published")
NO_PINS = Pins()  # for conditions that never name a library


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled `when:`. `keys` lets a caller evaluate it once the facts it needs are known."""

    tests: tuple[Test, ...]
    weight: int
    keys: frozenset[str]
    named: tuple[str, ...] = ()  # the key of each test

    def holds_so_far(self, facts: Facts, known: frozenset[str]) -> bool:
        """Whether no test of the keys `known` fails: what fails now fails whatever the other facts will be."""
        return all(test(facts, "") for key, test in zip(self.named, self.tests, strict=True) if key in known)

    def __call__(self, facts: Facts, form: str = "recommended") -> bool:
        for test in self.tests:  # noqa: SIM110 - a plain loop: this runs 100,000 times when everything is planned
            if not test(facts, form):
                return False
        return True


def compile_condition(when: Mapping[str, Json], pins: Pins = NO_PINS) -> Condition:
    """Turn a checked `when:` into a predicate. Call `find_condition_problems` first: this trusts its input."""
    weight = sum(len(_as_tuple(v)) if k in ("features", "without", "pins") else 1 for k, v in when.items())
    in_order = sorted(when.items(), key=lambda pair: pair[0] == "pins")  # last: it may read the release's snapshot
    tests = tuple(_compile_test(k, v, pins) for k, v in in_order)
    return Condition(tests, weight, frozenset(when), tuple(k for k, _ in in_order))


def find_condition_problems(
    when: Mapping[str, Json], valid: Mapping[str, Iterable[Any]], pins: Pins = NO_PINS
) -> list[tuple[str, str]]:
    """(key, message) for every key and value that no cell can have; `valid` maps keys to their values."""
    found: list[tuple[str, str]] = []
    for key, value in when.items():
        if (
            key in KEYS
            and key not in ("pins", "version")
            and not all(isinstance(v, str | int | None) for v in _as_tuple(value))
        ):
            found.append((key, f"expected a word, a number or a list of them, got {value!r}"))
        elif key not in KEYS:
            found.append((key, f"unknown condition {key!r}{suggest_nearest(key, KEYS)}"))
        elif key == "version":
            found += _find_version_problems(value)
        elif key == "feature_count":
            bad = [n for n in _as_tuple(value) if type(n) is not int or n < 1]
            found += [(key, f"expected a number of features from 1 on, got {n!r}") for n in bad]
        elif key == "pins":
            found += [(key, message) for message in find_pin_problems(value, pins)]
        elif key == "any_feature":
            found += [] if isinstance(value, bool) else [(key, f"expected true or false, got {value!r}")]
        else:
            known = set(valid.get("features" if key in FEATURE_LISTS else key, ()))
            bad = [v for v in _as_tuple(value) if known and v not in known]
            found += [(key, f"no {key} is {v!r}{suggest_value(key, v, known)}") for v in bad]
    return found


def list_names(when: Mapping[str, Json]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every key of a condition whose values are names of the axes, with those values."""
    named = (*EQUAL_KEYS, *FEATURE_LISTS, "form")
    yield from ((key, _as_tuple(value)) for key, value in when.items() if key in named)


def suggest_value(key: str, value: Json, known: Iterable[Any]) -> str:
    """Continue `no sm is 89`: the nearest word, and how a new value of this axis is added.

    A capability or a family has no nearest one: SM121 is no misspelt SM120.
    """
    words = sorted(map(str, known))
    near = f"; there are {', '.join(words)}" if key in ("sm", "family") else suggest_nearest(str(value), words)
    return f"{near}; {HOW_TO_ADD[key]}" if key in HOW_TO_ADD else near


def _find_version_problems(value: Json) -> list[tuple[str, str]]:
    try:
        SpecifierSet(value if isinstance(value, str) else "")
    except InvalidSpecifier as error:
        return [("version", f"not a PEP 440 specifier: {error}")]
    return [] if isinstance(value, str) else [("version", f"expected a string like '<0.5.12', got {value!r}")]


def _as_tuple(value: Json) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)


def _compile_test(key: str, value: Json, pins: Pins) -> Test:
    values = frozenset(_as_tuple(value)) if key not in ("version", "pins") else frozenset()
    match key:
        case "version":
            matches = cache(SpecifierSet(value, prereleases=True).contains)  # few releases, thousands of cells
            return lambda facts, _: matches(facts["version"])
        case "features":
            return lambda facts, _: values <= facts["features"]
        case "any_of":
            return lambda facts, _: not values.isdisjoint(facts["features"])
        case "without":
            return lambda facts, _: not values & facts["features"]
        case "any_feature":
            return lambda facts, _: bool(facts["features"]) == value
        case "feature_count":
            return lambda facts, _: len(facts["features"]) in values
        case "pins":
            within = cache(lambda release: all(pins.allows_only(release, name, text) for name, text in value.items()))
            return lambda facts, _: within(facts["release"])
        case "form":
            return lambda _, form: form in values
        case _:
            return lambda facts, _: facts[key] in values
