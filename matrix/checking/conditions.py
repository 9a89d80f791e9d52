"""Conditions over facts, three-valued: yes, no, or not to be decided because a fact is not known.

    when: {engine: sglang, version: ">=0.5.17,<0.5.22", sm: {min: 120}, kv: [fp8_e4m3], pins: {sgl-deep-gemm: "<0.1.5"}}

A scalar or a list means any of its values, against a set of facts any member. Further forms of a value:
`{min: N, max: N}`, `{not: [...]}`, `{given: true}`, `{all: [...]}`, and against another fact `{above: FACT}`,
`{at_least: FACT}`, `{no_divisor_of: FACT}`, `{not_fact: FACT}`, `{same_as: FACT}`; `{matches: REGEX}` of a text. Of
what a JSON value is made of: `{is: list}` (object, text, number, switch), `{some: X}` (an entry of a list, a key of an
object), `{values: X}` (a value of an object), `{twice: X}` (two entries), `{opposed: true}` (`+a` beside `-a`) and
`{empty: true}`.
`env`, `config`, `option`, `nested` (entries of JSON values: `spec.method`) and `file` (TensorRT-LLM's YAML) take a
mapping of names to such values;
`pins` one of packages to specifiers; `guard` words that one of the release's own guards must hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from matrix.checking.settings import UNKNOWN

STRUCTURE: Final = frozenset({"is", "some", "values", "twice", "opposed", "empty"})
FORMS: Final = STRUCTURE | frozenset(
    {"min", "max", "not", "given", "all", "above", "at_least", "no_divisor_of", "not_fact", "same_as", "matches"}
)
KINDS: Final = {"list": list, "object": Mapping, "text": str, "switch": bool}
GROUPS: Final = ("env", "config", "option", "nested", "file")

Answer = bool | None  # None: not decided


def decide_condition(when: Mapping[str, Any], facts: Mapping[str, Any]) -> Answer:
    """Whether every condition holds. False as soon as one does not, None where one could not be decided."""
    undecided = False
    for key, wanted in when.items():
        answer = _answer_one(key, wanted, facts)
        # one certain no outweighs every unknown, so a check is ruled out although half of its facts are missing
        if answer is False:
            return False
        undecided = undecided or answer is None
    return None if undecided else True


def unknown_facts(when: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the facts that keep a condition from being decided."""
    return tuple(key for key, wanted in when.items() if _answer_one(key, wanted, facts) is None)


def _answer_one(key: str, wanted: Any, facts: Mapping[str, Any]) -> Answer:
    if key == "version":
        return _answer_range(wanted, facts.get("version"))
    if key == "pins":
        return _pinned(wanted, facts.get("pins", {}))
    if key == "guard":
        return _guarded_by(wanted, facts.get("guards", UNKNOWN))
    if key in GROUPS:
        group = facts.get(key, {})
        answers = [
            _answer_condition(value, group.get(name) if group is not UNKNOWN else UNKNOWN, facts)
            for name, value in wanted.items()
        ]
        return False if False in answers else None if None in answers else True
    return _answer_condition(wanted, facts.get(key), facts)


def _guarded_by(wanted: list[str], guards: Any) -> Answer:
    """Whether the argument code of the release has a guard with any of these words; None where it was not read."""
    return None if guards is UNKNOWN else any(words in guard.says for words in wanted for guard in guards)


def _answer_condition(wanted: Any, value: Any, facts: Mapping[str, Any]) -> Answer:
    if value is UNKNOWN:
        return None
    if isinstance(wanted, Mapping):
        return _answer_terms(wanted, value, facts)
    many = wanted if isinstance(wanted, list) else [wanted]
    if isinstance(value, (frozenset, set, tuple)):
        return any(entry in value for entry in many)
    return any(_equal(entry, value) for entry in many)


def _equal(wanted: Any, value: Any) -> bool:
    # to Python True is 1: `--tp 1` would fulfil a condition that asks for a switch
    return wanted == value and isinstance(wanted, bool) == isinstance(value, bool)


def _answer_terms(wanted: Mapping[str, Any], value: Any, facts: Mapping[str, Any]) -> Answer:
    answers = [
        (_answer_structure if name in STRUCTURE else _term)(name, bound, value, facts) for name, bound in wanted.items()
    ]
    return False if False in answers else None if None in answers else True


def _term(name: str, bound: Any, value: Any, facts: Mapping[str, Any]) -> Answer:
    match name:
        case "given":
            # a switch that is off counts as not given, as it does for the engine
            return (value is not None and value is not False) is bound
        case "not":
            return not _answer_condition(bound, value, facts)
        case "all":
            return isinstance(value, (frozenset, set, tuple)) and all(entry in value for entry in bound)
    if name in ("above", "at_least", "no_divisor_of", "not_fact", "same_as"):
        bound = facts.get(bound)
        if bound is UNKNOWN:
            return None
    if name in ("not_fact", "same_as"):
        # two settings that nobody gave are no pair
        return bool(value != bound if name == "not_fact" else value is not None and value == bound)
    if name == "matches":
        return isinstance(value, str) and re.search(bound, value) is not None
    # nothing was given, so no bound of it is broken: not the same as a value that is not known
    if not _is_number(value) or not _is_number(bound):
        return False
    match name:
        case "min" | "at_least":
            return bool(value >= bound)
        case "max":
            return bool(value <= bound)
        case "above":
            return bool(value > bound)
        case "no_divisor_of":
            # 0 divides nothing, and would end the check in a ZeroDivisionError
            return value == 0 or bool(bound % value)
    raise ValueError(f"{name!r} is no form of a condition")  # lint_checks refuses it before


def _answer_structure(name: str, bound: Any, value: Any, facts: Mapping[str, Any]) -> Answer:
    """Whether the parts of a list or of an object are so; what is neither has none."""
    if name == "is":
        return _is_number(value) if bound == "number" else isinstance(value, KINDS[bound])
    if not isinstance(value, (list, tuple, Mapping)):
        return False
    parts = list(value.values()) if name == "values" and isinstance(value, Mapping) else list(value)
    match name:
        case "empty":
            return (not parts) is bound
        case "opposed":
            texts = {part for part in parts if isinstance(part, str)}
            return any(text.startswith("+") and f"-{text[1:]}" in texts for text in texts) is bound
        case "values" if not isinstance(value, Mapping):
            return False
    met = sum(_answer_condition(bound, part, facts) is True for part in parts)
    return met >= (2 if name == "twice" else 1)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _answer_range(specifier: str, version: Any) -> Answer:
    if version is UNKNOWN or version in (None, ""):
        return None
    return _contains(specifier, str(version))


@cache
def _contains(specifier: str, version: str) -> bool | None:
    try:
        # a local part (0.5.20+cu130) says how a wheel was built; a release candidate is inside a range like its release
        return SpecifierSet(specifier).contains(Version(version.partition("+")[0]), prereleases=True)
    except (InvalidVersion, InvalidSpecifier):
        return None


def _pinned(wanted: Mapping[str, str], pins: Any) -> Answer:
    """Whether the exact version of every package lies within its specifier; a range decides nothing."""
    answers: list[Answer] = []
    for package, specifier in wanted.items():
        version = pins.get(package) if isinstance(pins, Mapping) else None
        answers.append(None if version is None else _contains(specifier, str(version)))
    return False if False in answers else None if None in answers else True
