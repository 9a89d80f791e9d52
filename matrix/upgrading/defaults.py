"""Defaults that a line leaves to the release, told where the line can meet them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from matrix.checking.conditions import decide_condition
from matrix.preflight.snapshot import Flag
from matrix.upgrading.news import News
from matrix.upgrading.sides import Side
from matrix.yaml.structure import require_entries

REACH: Final = Path(__file__).parent / "reach.yaml"
# Spellings of the same value in the releases' own sources.
SAME: Final[Mapping[str, str]] = {"list()": "[]", "dict()": "{}", "tuple()": "()", "set()": "set()"}
UNREADABLE: Final = re.compile(r"[A-Za-z_.]\w*\(|\w\.\w|\]\[|^[a-z_]+$|[*+]|\[['\"]")
WORDS: Final = frozenset({"auto", "none"})


@dataclass(frozen=True, kw_only=True)
class DefaultReach:
    """Options of a kind, and when a line can meet them. `never`: why no line of this family does."""

    flags: str
    what: str
    when: Mapping[str, Any]
    never: bool = False


def compare_defaults(before: Side, after: Side) -> Iterator[News]:
    """Defaults of options that both releases have and the line does not set."""
    given = before.facts["option"]
    # by the first name: an option that was renamed is a finding, not a default
    new = {flag.name: flag for flag in after.snapshot.flags if flag.options}
    for flag in before.snapshot.flags:
        other = new.get(flag.name)
        if other is None or not flag.options or (flag.default, flag.action) == (other.default, other.action):
            continue
        # also by the other release's names: a line may use the spelling that only one of them documents
        if any(option in given for option in (*flag.options, *other.options)):
            continue
        old_value, new_value = read_default(flag), read_default(other)
        if old_value is not None and new_value is not None and old_value != new_value:
            yield _compare_defaults(flag, other, before, after)


def read_default(flag: Flag) -> str | None:
    """Return an option's default in one spelling; None if the source computes it, so that nobody can compare it."""
    text = flag.default.strip()
    # dataclass fields write a list's default as a factory
    text = re.sub(r"^lambda: *", "", text)
    text = SAME.get(text, text)
    if flag.action in ("store_true", "store_false", "bool_optional") and text in ("", "None"):
        return "True" if flag.action == "store_false" else "False"
    if text in ("", "None", "argparse.SUPPRESS"):
        return "None"
    bare = text.strip("'\"")
    if text[:1] in "'\"":
        return bare
    if re.fullmatch(r"-?\d[\d_.e-]*|True|False|\[\]|\{\}|\(\)", text) or bare in WORDS:
        # 8_192 and 8192 are one number in two releases' sources
        return bare.replace("_", "")
    # an expression has a value only where it runs: two texts that differ may mean the same number
    return None if UNREADABLE.search(text) else bare


def _compare_defaults(flag: Flag, other: Flag, before: Side, after: Side) -> News:
    old, new = read_default(flag) or "", read_default(other) or ""
    reach = find_reach(flag.name, before.facts, after.facts)
    # a name kept for old lines reads as "None" so that the new one decides: no default has changed
    if other.deprecated and not flag.deprecated and new == "None":
        reach = "an old name, whose default is left to the new one"
    change = f"its default is {_show_default(new)}, and was {_show_default(old)}; the line does not set it"
    return News(
        part="default",
        key=flag.name,
        way="changes",
        danger="other",
        level="note",
        title=flag.name,
        cause=f"{change}{f' ({reach}: not met by this line)' if reach else ''}.",
        remedy=f"To keep what you had, add {flag.name} {old}." if _takes_value(other, old) else "",
        decided_by=after.read(f"default of {flag.name}"),
        sources=(after.snapshot.source,),
        applies=not reach,
    )


def _takes_value(flag: Flag, value: str) -> bool:
    """Whether an option can be written with a value that was a default before."""
    closed = flag.choices or flag.values
    return flag.takes_value and not flag.deprecated and value != "None" and (not closed or value in map(str, closed))


def _show_default(value: str) -> str:
    return "left to the release" if value == "None" else value


def find_reach(option: str, *sides: Mapping[str, Any]) -> str:
    """Name what an option is about if no side of the line can meet it; "" if the option may matter."""
    for reach in read_reach():
        if re.search(reach.flags, option):
            # what is not known may be met: only a certain no hides a change from the reader
            met = any(decide_condition(reach.when, facts) is not False for facts in sides)
            return "" if met and not reach.never else reach.what
    return ""


@cache
def read_reach() -> Sequence[DefaultReach]:
    """reach.yaml, in file order: the first entry whose pattern fits decides."""
    entries = require_entries(REACH, {"reach": ("flags", "what")})["reach"]
    return tuple(DefaultReach(**{"when": {}, **entry}) for entry in entries)
