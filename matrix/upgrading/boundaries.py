"""Where between two releases something goes away, and what took the place of an option."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Final

from packaging.version import Version

from matrix.checking.finding import CheckFinding
from matrix.checking.releases import list_versions
from matrix.preflight.snapshot import Snapshot, release_id, snapshot_for
from matrix.upgrading.sides import Side

OPTION: Final = re.compile(r"--[a-z][\w-]*")


def _has_choice(snapshot: Snapshot, option: str, value: str) -> bool:
    flag = snapshot.options.get(option)
    return flag is not None and value in map(str, flag.choices or flag.values or ())


# Finding -> whether a release has what it misses, by its subject and the value that the line gives.
HAS: Final[Mapping[str, Callable[[Snapshot, str, str], bool]]] = {
    "env_unread": lambda snapshot, name, _: name in snapshot.env,
    "architecture": lambda snapshot, name, _: name in snapshot.architectures,
    "invalid_choice": _has_choice,
    "refused_later": _has_choice,
}


def tell_since(finding: CheckFinding, before: Side, after: Side) -> str:
    """Tell where what a finding misses (a variable, choice or architecture) goes away; empty where it never was."""
    has, subject = HAS.get(finding.id), finding.subject[0]
    # as text: choices are compared as they are written, whatever type the parser makes of them
    value = str(before.facts["option"].get(subject))
    if has is None or not has(before.snapshot, subject, value) or has(after.snapshot, subject, value):
        return ""
    have, lack = find_boundary(lambda s: has(s, subject, value), before.snapshot, after.snapshot)
    return f"It {_say_boundary(have, lack)}."


def explain_absence(option: str, before: Side, after: Side) -> tuple[str, str]:
    """Return what happened to an option that `after` lacks, and what to write instead; both empty if nothing tells."""
    if option not in before.snapshot.options or option in after.snapshot.options:
        return "", ""
    have, lack = find_boundary(lambda s: option in s.options, before.snapshot, after.snapshot)
    deprecated = have.options[option].deprecated.rstrip(".")
    said = f", and says of it: {deprecated}" if deprecated else ""
    told = f"{option} {_say_boundary(have, lack)}{said}."
    instead = find_successor(option, have, after.snapshot)
    if instead:
        return told, f"Write {instead} instead."
    new = sorted(after.snapshot.options.keys() - before.snapshot.options.keys())
    # only among what is new: a word that was there before meant something else then, and still does
    close = difflib.get_close_matches(option, new, n=1, cutoff=0.75)
    return told, f"The nearest word that is new is {close[0]}; look whether it means the same." if close else "Drop it."


def _say_boundary(have: Snapshot, lack: Snapshot) -> str:
    if Version(have.version) < Version(lack.version):
        return f"is gone from {lack.version} on; {have.version} is the last release that has it"
    return f"is not there yet in {lack.version}; {have.version} is the first release that has it"


def find_successor(option: str, have: Snapshot, after: Snapshot, depth: int = 3) -> str:
    """Another name of an option that `after` knows: of the same destination, or named where it was deprecated."""
    flag = have.options[option]
    # first what the release itself names in its deprecation, then other names of the same destination
    same = [o for f in have.flags if f.dest == flag.dest for o in f.options]
    known: list[str] = [o for o in (*OPTION.findall(flag.deprecated), *same) if o != option]
    for name in known:
        if name in after.options:
            return name
    # a name may have been renamed twice between two releases; bounded, since deprecations can point at each other
    for name in known if depth else ():
        if name in have.options and (found := find_successor(name, have, after, depth - 1)):
            return found
    same_place = [f for f in after.flags if f.dest == flag.dest and f.options]
    return same_place[0].name if same_place else ""


def find_boundary(has: Callable[[Snapshot], bool], before: Snapshot, after: Snapshot) -> tuple[Snapshot, Snapshot]:
    """Two neighbouring releases from `before`, which has something, to `after`, which has not: (has, has not).

    Halving opens a few of them. Where it comes and goes, this is one of its ends.
    """
    ids = [name for _, name in list_versions(before.engine)]
    ends = [release_id(s.engine, s.version) for s in (before, after)]  # a fork stands where its upstream does
    if not set(ends) <= set(ids):
        return before, after
    have, lack = map(ids.index, ends)
    found = {have: before, lack: after}
    while abs(have - lack) > 1:
        middle = (have + lack) // 2
        found[middle] = snapshot_for(ids[middle]) or after
        if has(found[middle]):
            have = middle
        else:
            lack = middle
    return found[have], found[lack]
