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
BOUND_BESIDE: Final = re.compile(
    rf"^(?P<name>{FLAG}) must be (?P<positive>positive) when (?P<beside>{FLAG}) is (?:set|enabled|given)\.?$"
)
SPELT: Final = re.compile(rf"^(?P<words>[A-Z][a-z]+(?: [a-z]+){{1,3}}) must (?:be )?>= (?P<least>{NUMBER})$")
VARIABLE: Final = re.compile(
    rf"^(?P<name>[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+) (?:\(\{{\}}\) )?must be >= (?P<least>{NUMBER})$"
)
KEY: Final = r"[a-z]\w*"
# Two numbers of the line, or of one JSON value: `a=1 must be <= b=2`, `X requires a to be smaller than b`.
ORDER: Final = re.compile(
    rf"^(?:(?P<one>{KEY})=\{{\}} must be <= (?P<two>{KEY})=\{{\}}"
    rf"|\w+ requires (?P<less>{KEY}) to be smaller than (?P<more>{KEY}))[.,;]?$"
)
EACH: Final = re.compile(
    rf"^(?:All (?P<all>{KEY}) must be positive|(?P<name>{KEY}) entries must be in"
    rf" \[(?P<low>{NUMBER}), (?P<high>{NUMBER})\])(?:[.,;]|$)"
)
WORDS: Final = re.compile(rf"^(?P<name>{KEY}) must be (?P<values>'[^']+'(?:, '[^']+')*,? or '[^']+')(?:[.,;]|$)")
ENEMIES: Final = re.compile(
    rf"^(?P<one>{KEY}) is (?:not compatible|incompatible) with (?P<two>{KEY}_\w*)(?: because\b|[.,;]|$)"
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

    kind: str  # bound, wants, excludes, object, among, variable, order, each, enemies
    names: tuple[str, ...]
    values: tuple[float | str, ...] = ()  # of which the flag must have one
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
    if (rule := _read_pairs(says)) is not None:
        return rule
    if found := WANTED.match(says):
        wanted, by = found["first"] or found["please"], found["then"] or found["setting"]
        return WordedRule("wants", (by, wanted), words=says)
    return None


def _read_pairs(says: str) -> WordedRule | None:
    """Read forms beside plain bounds: a bound beside a flag, spelt names, variables, orders, lists, words, enemies."""
    if found := BOUND_BESIDE.match(says):
        return WordedRule("bound", (found["name"], found["beside"]), (), 0.0, None, strict=True, words=says)
    if found := SPELT.match(says):
        name = found["words"].lower().replace(" ", "_")
        return WordedRule("bound", (name,), (), float(found["least"]), words=says)
    if found := VARIABLE.match(says):
        return WordedRule("variable", (found["name"],), (), float(found["least"]), words=says)
    if found := ORDER.match(says):
        names = (found["one"] or found["less"], found["two"] or found["more"])
        return WordedRule("order", names, strict=found["less"] is not None, words=says)
    if found := EACH.match(says):
        if found["all"]:
            return WordedRule("each", (found["all"],), (), 0.0, None, strict=True, words=says)
        return WordedRule("each", (found["name"],), (), float(found["low"]), float(found["high"]), words=says)
    if found := WORDS.match(says):
        return WordedRule("among", (found["name"],), tuple(re.findall(r"'([^']+)'", found["values"])), words=says)
    if found := ENEMIES.match(says):
        return WordedRule("enemies", (found["one"], found["two"]), words=says)
    return None


def is_about(rule: WordedRule, snapshot: Snapshot) -> bool:
    """Whether the release has every flag, or for a bound the key of its file, that the rule names."""
    if rule.kind == "variable":
        return rule.names[0] in snapshot.env
    nested = {key for flag in snapshot.flags for key in flag.keys or ()}
    read = {key for keys in snapshot.config_keys.values() for key in keys} if rule.kind == "bound" else set()
    names = {*snapshot.options, *(flag.dest for flag in snapshot.flags), *nested}
    if all(name in read for name in rule.names):
        return True
    keys = {key.rpartition("].")[2] for key in snapshot.keys_of_file} if rule.kind == "bound" else set()
    return all(name in names or any(key == name or key.endswith(f".{name}") for key in keys) for name in rule.names)


@cache  # of a few hundred guards, for each of which a few hundred words are looked for
def _has_check(engine: str, says: str) -> bool:
    """Whether a check of its own tells what this guard says."""
    return any(words in says for check in read_checks(engine) for words in check.guard)


def judge_worded(facts: Mapping[str, Any], settings: Settings, snapshot: Snapshot | None) -> Iterator[CheckFinding]:
    """Yield each number that a guard's words exclude, each flag without the one that it wants, each pair of enemies."""
    if facts["guards"] is UNKNOWN:
        return
    given = {
        name: use
        for use in settings.uses
        if use.flag is not None and not use.written.startswith("--no-")  # switched off is not given
        for name in (*use.flag.options, use.flag.dest)
    }
    for guard in facts["guards"]:
        rule = read_words(guard.says) if guard.does == "stops" else None
        if rule is None or _has_check(facts["engine"], guard.says):
            continue
        if rule.kind == "bound":
            if all(name in given for name in rule.names[1:]):
                yield from _judge_bound(guard, rule, given, facts, settings)
            if rule.names[1:] and rule.names[1] in given and rule.names[0] not in given:
                yield from _judge_default(guard, rule, facts, snapshot)
        elif rule.kind == "variable":
            yield from _judge_variable(guard, rule, facts)
        elif rule.kind in ("order", "each", "enemies") or (rule.kind == "among" and rule.names[0] not in given):
            yield from _judge_nested(guard, rule, facts)
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
        # Beside another flag it does: the default is for those who leave both away.
        own = str(value) == default and not rule.names[1:]
        if number is None or own or _lies_within(rule, float(number)):
            continue
        written = f"{subject} {value}"
        yield make_finding(
            "against_the_words_of_a_guard", facts, written, line=line, says=_fill_words(guard), place=place
        )


def _judge_default(
    guard: Guard, rule: WordedRule, facts: Mapping[str, Any], snapshot: Snapshot | None
) -> Iterator[CheckFinding]:
    """Judge the value that a flag has by default, where another flag is given that does not take it."""
    flag = snapshot.options.get(rule.names[0]) if snapshot is not None else None
    number = read_number(flag.default) if flag is not None else None
    if number is not None and not _lies_within(rule, number):
        place = read_guards(facts["engine"]).cite(guard)
        yield make_finding("against_the_words_of_a_guard", facts, rule.names[1], says=_fill_words(guard), place=place)


def _judge_variable(guard: Guard, rule: WordedRule, facts: Mapping[str, Any]) -> Iterator[CheckFinding]:
    value = facts["env"].get(rule.names[0])
    number = read_number(value) if isinstance(value, str) else None
    if number is not None and not _lies_within(rule, number):
        place = read_guards(facts["engine"]).cite(guard)
        subject = f"{rule.names[0]}={value}"
        yield make_finding("against_the_words_of_a_guard", facts, subject, says=_fill_words(guard), place=place)


def _judge_nested(guard: Guard, rule: WordedRule, facts: Mapping[str, Any]) -> Iterator[CheckFinding]:
    """Judge a rule over entries of the line's JSON values; entries of one rule stand in one of them."""
    nested = facts["nested"]
    for key in [key for key in nested if key.rpartition(".")[2] == rule.names[0]]:
        beside = [nested.get(f"{key.rpartition('.')[0]}.{name}") for name in rule.names[1:]]
        if not _offends(rule, nested.get(key), beside):
            continue
        place = read_guards(facts["engine"]).cite(guard)
        subject = f"{key} {json.dumps(nested[key])}"
        yield make_finding("against_the_words_of_a_guard", facts, subject, says=_fill_words(guard), place=place)


def _offends(rule: WordedRule, value: Any, beside: list[Any]) -> bool:
    match rule.kind:
        case "among":
            return isinstance(value, str) and value not in rule.values
        case "enemies":
            return value is True and beside == [True]
        case "each":
            numbers = value if isinstance(value, list) else []
            return any(_is_number(n) and not _lies_within(rule, float(n)) for n in numbers)
    if not _is_number(value) or not _is_number(beside[0]):
        return False
    return bool(value >= beside[0] if rule.strict else value > beside[0])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list_values(
    name: str, given: Mapping[str, Any], facts: Mapping[str, Any], settings: Settings
) -> Iterator[tuple[str, Any, str, int]]:
    """Yield name, value, default and line of a flag of the line, and of keys of the engine's own file."""
    use = given.get(name)
    if use is not None and use.values and use.written not in settings.holes:
        yield use.written, use.values[-1], use.flag.default, settings.lines.get(use.written, 0)
    overrides = facts.get("overrides")
    if isinstance(overrides, Mapping) and name in overrides and "-" not in name:
        yield f"override {name}", overrides[name], "", 0
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
