"""What is known of pairs: checks.yaml as data, read once, and the entries that apply to a command's facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from matrix.checking.conditions import decide_condition, unknown_facts
from matrix.checking.settings import UNKNOWN
from matrix.yaml.structure import require_entries

CHECKS: Final = Path(__file__).parent / "checks.yaml"
GUARDED: Final = Path(__file__).parent / "guarded"  # ENGINE.yaml: what the release's own guards say of a line
LEVELS: Final = ("wrong", "risky", "note")
BASES: Final = ("wheel", "run", "report", "arithmetic")
EFFECTS: Final = ("stops", "wrong", "other")
_TOLD: Final = ("id", "level", "kind", "cause", "consequence", "remedy", "sources")
_DECIDED: Final = ("decided_by.kind", "decided_by.fact", "decided_by.read")
NEEDED: Final = {
    "derived": ("when", "source", "set"),
    "computed": (*_TOLD, *_DECIDED),
    "checks": (*_TOLD, *_DECIDED, "when", "subject"),
    "config_keys": ("engine", "version", "reads"),
}
NEEDED_GUARDED: Final = ("id", "guard", "when", "subject", "cause", "remedy")
_HOLE: Final = re.compile(r"\{(\w+)\}")

Level = Literal["wrong", "risky", "unknown", "note"]
Basis = Literal["wheel", "run", "report", "arithmetic"]
Effect = Literal["stops", "wrong", "other"]
EFFECT_OF: Final[Mapping[Level, Effect]] = {"wrong": "stops", "unknown": "wrong", "risky": "wrong", "note": "other"}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a rule rests on. `fact`: the symbol, default or pin that decides it; `read`: the day somebody looked."""

    kind: Basis
    fact: str
    read: str
    run: str = "not run"  # what was run, or that nobody did
    undecided: str = ""  # of a report with a range of releases: why no fact of a wheel decides where it begins and ends


@dataclass(frozen=True, kw_only=True)
class Check:
    """One entry of checks.yaml. `report_kind` is the kind of public reports that it answers."""

    id: str
    level: Level
    report_kind: str
    when: Mapping[str, Any]
    unless: tuple[Mapping[str, Any], ...]
    subject: tuple[str, ...]
    cause: str
    consequence: str
    remedy: str
    decided_by: Decision
    sources: tuple[str, ...]
    conflict: tuple[Mapping[str, str], ...] = ()
    effect: Effect = "wrong"  # what it does to the line that it applies to
    guard: tuple[str, ...] = ()  # words of a guard, of any of these: the check is about the releases that have it
    becomes: Mapping[str, Any] = field(default_factory=dict)  # values that the release puts in place of the line's
    clients: bool = False  # whoever sends requests must know it: told with every form of a launch


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A value that an engine sets by itself: `name` becomes `value` where `when` holds."""

    name: str
    value: Any
    when: Mapping[str, Any]
    source: str


@dataclass(frozen=True)
class Book:
    """All of checks.yaml."""

    derived: tuple[Derived, ...]
    checks: tuple[Check, ...]
    config_keys: tuple[Mapping[str, Any], ...]
    computed: Mapping[str, Check]  # found by code, told in these words


@cache
def read_book() -> Book:
    """Parse checks.yaml; `tests/matrix/checking/test_rules.py` holds its form."""
    raw = require_entries(CHECKS, NEEDED)
    derived = tuple(
        Derived(name=name, value=value, when=entry["when"], source=entry["source"])
        for entry in raw["derived"]
        for name, value in entry["set"].items()
    )
    computed = {entry["id"]: _parse_check({"when": {}, "subject": [], **entry}) for entry in raw["computed"]}
    return Book(derived, tuple(_parse_check(entry) for entry in raw["checks"]), tuple(raw["config_keys"]), computed)


@cache
def read_checks(engine: str = "") -> tuple[Check, ...]:
    """Return the checks of checks.yaml and the guarded ones of one engine; of every engine where none is named."""
    names = [engine] if engine else sorted(path.stem for path in GUARDED.glob("*.yaml"))
    return (*read_book().checks, *(check for name in names for check in read_guarded(name)))


@cache
def read_guarded(engine: str) -> tuple[Check, ...]:
    """Read guarded/ENGINE.yaml: checks whose releases are those that have a guard with these words."""
    path = GUARDED / f"{engine}.yaml"
    if not path.is_file():
        return ()
    raw = require_entries(path, {"guarded": NEEDED_GUARDED})
    return tuple(_guarded(engine, str(raw["read"]), entry) for entry in raw["guarded"])


def _guarded(engine: str, read: str, entry: Mapping[str, Any]) -> Check:
    """Fill in what all guarded checks have in common. The guard is asked last: it is the only slow condition."""
    becomes = entry.get("becomes", {})
    level: Level = entry.get("level", "note" if becomes else "wrong")
    words = entry["guard"] if isinstance(entry["guard"], list) else [entry["guard"]]
    says = "The release changes the value and says so in its log only" if becomes else "The start ends with this error"
    return Check(
        id=entry["id"],
        level=level,
        report_kind=entry.get("kind", "flag-pair"),
        # dicts keep their order, and a condition stops at the first no
        when={"engine": engine, **entry["when"], "guard": words},
        unless=tuple(entry.get("unless", ())),
        subject=tuple(entry["subject"]),
        cause=entry["cause"],
        consequence=entry.get("consequence", f'{says}: "{{guard_says}}".'),
        remedy=entry["remedy"],
        decided_by=Decision(kind="wheel", fact="{guard_at}", read=read, run=entry.get("run", "expected, not run")),
        sources=(f"wheels of {engine}",),
        effect=entry.get("effect", EFFECT_OF[level]),
        guard=tuple(words),
        becomes=becomes,
    )


def settle_values(facts: dict[str, Any], checks: Sequence[Check]) -> None:
    """Put the values in place that the release itself puts there, in file order.

    `facts["settled"]` gets each such check with the facts as they were before it.
    """
    settled: list[tuple[Check, Mapping[str, Any]]] = []
    for check in checks:
        if (
            check.becomes
            and decide_condition(check.when, facts)
            and all(decide_condition(exit_, facts) is False for exit_ in check.unless)
        ):
            # no exit might hold: a value that is replaced by a guess would spoil every check after it
            settled.append((check, dict(facts)))
            for name, value in check.becomes.items():
                # `{fact}` alone stands for the fact itself, with its type; inside a text it would be words
                whole = _HOLE.fullmatch(value) if isinstance(value, str) else None
                facts[name] = facts.get(whole[1]) if whole else value
                facts["why"][name] = f"{facts['title']} sets it: {check.guard[0]}"
    facts["settled"] = tuple(settled)


def _parse_check(entry: Mapping[str, Any]) -> Check:
    decided = entry["decided_by"]
    return Check(
        id=entry["id"],
        level=entry["level"],
        report_kind=entry["kind"],
        when=entry["when"],
        unless=tuple(entry.get("unless", ())),
        subject=tuple(entry["subject"]),
        cause=entry["cause"],
        consequence=entry["consequence"],
        remedy=entry["remedy"],
        decided_by=Decision(
            kind=decided["kind"],
            fact=decided["fact"],
            read=str(decided["read"]),
            run=decided.get("run", "not run"),
            undecided=decided.get("undecided", ""),
        ),
        sources=tuple(entry["sources"]),
        conflict=tuple(entry.get("conflict", ())),
        effect=entry.get("effect", EFFECT_OF[entry["level"]]),
        clients=entry.get("clients", False),
    )


def derive_facts(facts: dict[str, Any], derived: Sequence[Derived]) -> None:
    """Fill in what the engine chooses by itself; the first entry of a name that holds decides, in file order.

    An entry that cannot be decided leaves its fact unknown: a later one would only be a guess.
    """
    for entry in derived:
        if facts.get(entry.name) is None and (answer := decide_condition(entry.when, facts)) is not False:
            value = fill_holes(entry.value, facts) if isinstance(entry.value, str) else entry.value
            facts[entry.name] = UNKNOWN if answer is None else value
            facts.setdefault("why", {})[entry.name] = entry.source


def find_applying(facts: Mapping[str, Any], checks: Sequence[Check]) -> Iterator[Check]:
    """Yield the checks whose condition holds and none of whose exits does or might; `settle_values` tells the rest."""
    for check in checks:
        if (
            not check.becomes
            and decide_condition(check.when, facts)
            and all(decide_condition(exit_, facts) is False for exit_ in check.unless)
        ):
            yield check


def find_undecided(facts: Mapping[str, Any], checks: Sequence[Check]) -> dict[str, tuple[str, ...]]:
    """Return the checks that might apply, with the facts they wait for."""
    waiting: dict[str, tuple[str, ...]] = {}
    for check in checks:
        if decide_condition(check.when, facts) is None and all(
            # only a certain exit rules a check out: one that might hold is something to wait for, too
            decide_condition(exit_, facts) is not True
            for exit_ in check.unless
        ):
            waiting[check.id] = unknown_facts(check.when, facts)
    return waiting


def fill_holes(text: str, facts: Mapping[str, Any]) -> str:
    """`{fact}` -> its value. Nothing but names of facts is looked up."""
    return _HOLE.sub(lambda m: show_value(facts.get(m[1])), text)


def show_value(value: Any) -> str:
    if value is UNKNOWN:
        return "unknown"
    if isinstance(value, (frozenset, set)):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000 else str(value)
