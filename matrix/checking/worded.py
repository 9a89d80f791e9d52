"""What a guard's own words say of flags: bounds of a number, a flag that wants another, two that exclude each other.

Read by their form, so that a release that is read tomorrow is told about without a check for each guard. Only whole
sentences about named flags count: words with a condition ("when ...") or a hole (`{}`) right behind a flag are no rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.rules import read_checks
from matrix.checking.settings import UNKNOWN, Settings, read_number
from matrix.preflight.guards import Guard, read_guards
from matrix.preflight.snapshot import Snapshot

FLAG: Final = r"--[a-z][\w-]*[a-z0-9]"
NUMBER: Final = r"-?\d+(?:\.\d+)?"
UNSET: Final = frozenset({"", "None", "False", "0", "''"})  # defaults that a guard takes for nothing
# What may follow a rule: nothing, or what the release fills in.
END: Final = r"(?: or None\b[^.]*)?(?: \(0 disables\))?(?:[.,;(]| \(got|: \{\}|$)(?!.*\b(?:when|if|unless)\b)"
BOUND: Final = re.compile(
    rf"^(?P<name>{FLAG}|[a-z]\w*(?:\.\w+)*) (?:must be|should be) (?:an? )?(?:power of (?:2|two) )?(?:"
    r"(?P<positive>(?:strictly )?positive)(?: integer| number)?|(?P<natural>non-negative)(?: integer)?"
    rf"|(?:>=|at least|greater (?:than )?or equal to) (?P<least>{NUMBER})|(?:>|greater than) (?P<above>{NUMBER})"
    rf"|(?:smaller|less) than (?P<below>{NUMBER})"
    rf"|(?:between|in(?: range)? \[)\s?(?P<low>{NUMBER})(?: and|,) (?P<high>{NUMBER})\]?"
    rf"){END}"
)
WANTS: Final = re.compile(
    rf"^(?:Error: )?(?P<one>{FLAG}) (?:requires|needs|has no effect without|can only be used with) (?P<other>{FLAG})"
    rf"(?: and (?P<third>{FLAG}))?(?: to be (?:set|enabled))?(?:[.,;:]|$)(?!.*\bor {FLAG})"
)
OBJECT: Final = re.compile(rf"^(?:Error: )?(?P<name>{FLAG}) must (?:decode to|be) a JSON object\b")
AMONG: Final = re.compile(rf"^(?P<name>{FLAG}) must be (?P<values>{NUMBER}(?:, {NUMBER})* or {NUMBER})(?:[.,;]|$)")
WANTED: Final = re.compile(
    rf"^(?:(?P<first>{FLAG}) is required (?:when|if|with) (?P<then>{FLAG})(?: is (?:enabled|set|given))?"
    rf"|Please set (?P<please>{FLAG}) when setting (?P<setting>{FLAG}))[.:]?$"
)
EXCLUDES: Final = re.compile(
    rf"^(?P<one>{FLAG}) (?:does not support|is (?:not supported|incompatible|not compatible) with"
    rf"|cannot be (?:used|combined) with) (?P<other>{FLAG})(?:[.,;:]|$)"
)


@dataclass(frozen=True)
class WordedRule:
    """A guard whose words are a rule about flags: a bound of one, or two of which the line must have both or one."""

    kind: str  # bound, wants, excludes, object, among
    names: tuple[str, ...]
    values: tuple[float, ...] = ()  # of which the flag must have one
    low: float | None = None
    high: float | None = None
    strict: bool = False  # the bounds themselves are outside
    words: str = ""


@cache
def read_words(says: str) -> WordedRule | None:
    """Return the rule that a guard's words are, None where they are none."""
    if found := BOUND.match(says):
        strict = any(found[name] for name in ("positive", "above", "below"))
        low = (
            0.0 if found["positive"] or found["natural"] else _number(found["least"] or found["above"] or found["low"])
        )
        high = _number(found["below"] or found["high"])
        return WordedRule("bound", (found["name"],), (), low, high, strict, says.partition("{}")[0])
    for kind, pattern in (("wants", WANTS), ("excludes", EXCLUDES)):
        if found := pattern.match(says):
            return WordedRule(kind, tuple(name for name in found.groups() if name), words=says)
    if found := OBJECT.match(says):
        return WordedRule("object", (found["name"],), words=says)
    if found := AMONG.match(says):
        values = tuple(float(number) for number in re.findall(NUMBER, found["values"]))
        return WordedRule("among", (found["name"],), values, words=says)
    if found := WANTED.match(says):
        wanted, by = found["first"] or found["please"], found["then"] or found["setting"]
        return WordedRule("wants", (by, wanted), words=says)
    return None


def is_about(rule: WordedRule, snapshot: Snapshot) -> bool:
    """Whether the release has every flag, or for a bound the key of its file, that the rule names."""
    names = {*snapshot.options, *(flag.dest for flag in snapshot.flags)}
    keys = {key.rpartition("].")[2] for key in snapshot.keys_of_file} if rule.kind == "bound" else set()
    return all(name in names or any(key == name or key.endswith(f".{name}") for key in keys) for name in rule.names)


def judge_worded(facts: Mapping[str, Any], settings: Settings, snapshot: Snapshot | None) -> Iterator[CheckFinding]:
    """Yield each number that a guard's words exclude, each flag without the one that it wants, each pair of enemies."""
    if facts["guards"] is UNKNOWN:
        return
    told = {words for check in read_checks(facts["engine"]) for words in check.guard}
    given = {
        name: use
        for use in settings.uses
        if use.flag is not None and not use.written.startswith("--no-")  # switched off is not given
        for name in (*use.flag.options, use.flag.dest)
    }
    for guard in facts["guards"]:
        rule = read_words(guard.says) if guard.does == "stops" else None
        if rule is None or any(words in guard.says for words in told):
            continue
        if rule.kind == "bound":
            yield from _judge_bound(guard, rule, given, facts, settings)
        elif rule.names[0] in given and _breaks(rule, given, settings, snapshot):
            use, place = given[rule.names[0]], read_guards(facts["engine"]).cite(guard)
            line = settings.lines.get(use.written, 0)
            yield make_finding(
                "against_the_words_of_a_guard", facts, use.written, line=line, says=_fill_words(guard), place=place
            )


def _judge_bound(
    guard: Guard, rule: WordedRule, given: Mapping[str, Any], facts: Mapping[str, Any], settings: Settings
) -> Iterator[CheckFinding]:
    place = read_guards(facts["engine"]).cite(guard)
    for subject, value, default, line in _list_values(rule.names[0], given, facts, settings):
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else read_number(str(value))
        # A value like -1 may stand for "none": a release does not refuse its own default.
        if number is None or str(value) == default or _lies_within(rule, float(number)):
            continue
        written = f"{subject} {value}"
        yield make_finding(
            "against_the_words_of_a_guard", facts, written, line=line, says=_fill_words(guard), place=place
        )


def _list_values(
    name: str, given: Mapping[str, Any], facts: Mapping[str, Any], settings: Settings
) -> Iterator[tuple[str, Any, str, int]]:
    """Yield name, value, default and line of a flag of the line, and of keys of the engine's own file."""
    use = given.get(name)
    if use is not None and use.values and use.written not in settings.holes:
        yield use.written, use.values[-1], use.flag.default, settings.lines.get(use.written, 0)
    file = facts.get("file")
    for key, value in file.items() if isinstance(file, Mapping) else ():
        if key == name or key.endswith(f".{name}"):
            yield key, value, "", 0


def _breaks(rule: WordedRule, given: Mapping[str, Any], settings: Settings, snapshot: Snapshot | None) -> bool:
    if rule.kind in ("object", "among"):
        use = given[rule.names[0]]
        known = bool(use.values) and use.written not in settings.holes
        return known and (_is_no_object if rule.kind == "object" else _is_none_of)(use.values[-1], rule)
    if rule.kind == "excludes":
        return all(name in given for name in rule.names)
    options = snapshot.options if snapshot is not None else {}
    # a flag that has a value by default is there without being written
    there = {name for name in rule.names[1:] if name in options and options[name].default not in UNSET}
    return any(name not in given and name not in there for name in rule.names[1:])


def _is_no_object(text: str, rule: WordedRule) -> bool:
    """Whether the text is JSON of another kind; what is no JSON at all is the parser's to say."""
    try:
        return not isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_none_of(text: str, rule: WordedRule) -> bool:
    number = read_number(text)
    return number is not None and number not in rule.values


def _lies_within(rule: WordedRule, number: float) -> bool:
    low, high = rule.low, rule.high
    if rule.strict:
        return (low is None or number > low) and (high is None or number < high)
    return (low is None or number >= low) and (high is None or number <= high)


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _fill_words(guard: Guard) -> str:
    return guard.says.replace("{}", "...")
