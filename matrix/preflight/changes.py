"""What is different between two releases, by their snapshots: the first thing to read about a new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from matrix.preflight.snapshot import Flag, Snapshot

Way = Literal["gone", "new", "changed", "unknown"]


@dataclass(frozen=True)
class Change:
    """One difference. `part`: flag, default, choices, env, pin, architecture, module, chosen, config_key or parser."""

    part: str
    way: Way
    name: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        detail = {
            "gone": "",
            "new": f": {self.after}" if self.after else "",
            "changed": f": {self.before} -> {self.after}",
        }
        return f"{self.part} {self.way}: {self.name}{detail.get(self.way, f': {self.after}')}"


def list_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Differences in order of danger: what is gone first. A part that either release hides is one unknown."""
    for part in sorted(before.unread.keys() | after.unread.keys()):
        yield Change(part, "unknown", part, after=after.unread.get(part) or before.unread[part])
    if "flags" not in before.unread.keys() | after.unread.keys():
        yield from _compare_flags(before, after)
    yield from _compare_names("env", before.env, after.env, before, after)
    yield from _compare_names("architecture", before.architectures, after.architectures, before, after)
    yield from _compare_values("pin", before.pins, after.pins)
    yield from _compare_values("module", before.registered, after.registered)
    yield from _compare_values("chosen", before.chosen, after.chosen)
    # kinds that one side lacks were not read there: all of their names would be called new
    for kind in sorted(before.parsers.keys() & after.parsers.keys()):
        yield from _compare_sets(f"{kind} parser", frozenset(before.parsers[kind]), frozenset(after.parsers[kind]))
    for scope in sorted(before.config_keys.keys() & after.config_keys.keys() - {"*"}):
        # with what everything reads: a key that moved from a class into shared code is read as before
        old, new = (s.config_keys[scope] | s.config_keys.get("*", frozenset()) for s in (before, after))
        yield from _compare_sets(f"config_key of {scope}", old, new)


def _compare_flags(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    for option in sorted(before.options.keys() - after.options.keys()):
        yield Change("flag", "gone", option)
    for option in sorted(before.options.keys() & after.options.keys()):
        yield from _compare_flag(option, before.options[option], after.options[option])
    for option in sorted(after.options.keys() - before.options.keys()):
        yield Change("flag", "new", option)


def _compare_flag(option: str, old: Flag, new: Flag) -> Iterator[Change]:
    if old.default != new.default:
        yield Change("default", "changed", option, old.default, new.default)
    for name in ("choices", "values"):
        a, b = (frozenset(map(str, getattr(flag, name) or ())) for flag in (old, new))
        # an empty list is one that could not be resolved, not one without words
        if a and b:
            yield from _compare_sets(f"{name} of {option}", a, b)
    if new.deprecated and not old.deprecated:
        yield Change("flag", "changed", option, "", new.deprecated)


def _compare_names(
    part: str, old: frozenset[str], new: frozenset[str], before: Snapshot, after: Snapshot
) -> Iterator[Change]:
    key = "architectures" if part == "architecture" else part
    if key not in before.unread.keys() | after.unread.keys():
        yield from _compare_sets(part, old, new)


def _compare_sets(part: str, old: frozenset[str], new: frozenset[str]) -> Iterator[Change]:
    yield from (Change(part, "gone", name) for name in sorted(old - new))
    yield from (Change(part, "new", name) for name in sorted(new - old))


def _compare_values(part: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield Change(part, "gone", name, old[name])
        elif name not in old:
            yield Change(part, "new", name, after=new[name])
        elif old[name] != new[name]:
            yield Change(part, "changed", name, old[name], new[name])
