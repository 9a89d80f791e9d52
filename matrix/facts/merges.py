"""Which release got a pull request first, where the releases themselves cannot be read: by their notes, else by dates.

Data in matrix/merges.yaml. A wheel or a checkout that was read decides before any of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.pins import with_prereleases
from matrix.yaml import yamltext
from matrix.yaml.structure import structure_list

MERGES: Final = CHECKOUT / "matrix" / "merges.yaml"


@dataclass(frozen=True, kw_only=True)
class Pull:
    """One pull request: `listed` is the first release whose notes name it; else `merged` is the day of the merge."""

    pull: int
    brought: str
    listed: str = ""
    merged: date | None = None


@dataclass(frozen=True, kw_only=True)
class Merges:
    """The calendar of one engine's main line, and the pull requests that facts ask about."""

    engine: str
    line: str  # the versions cut from main; a branch has single fixes of it
    source: str
    read: date
    published: Mapping[str, date]  # release -> the day it came out
    opened: Mapping[str, date]  # release -> the day main's version became it
    pulls: tuple[Pull, ...] = field(default=())


@cache
def load_merges(path: Path = MERGES) -> Mapping[str, Merges]:
    """Return the calendar of each engine.

    Raises:
        ConfigError: each problem of the file, with its line.
    """
    doc = yamltext.read_document(path, path.name)
    problems = list(doc.problems)
    found: dict[str, Merges] = {}
    for index, one in structure_list(Merges, doc, "merges", problems):
        found[one.engine] = one
        problems += (doc.problem(("merges", index), text) for text in _find_problems(one))
    if problems:
        raise ConfigError(problems)
    return found


def _find_problems(merges: Merges) -> Iterator[str]:
    for version in (*merges.published, *merges.opened, *(p.listed for p in merges.pulls if p.listed)):
        try:
            Version(version)
        except InvalidVersion:
            yield f"{version!r} is no version; expected one like 1.3.0rc9"
    for pull in merges.pulls:
        if bool(pull.listed) == (pull.merged is not None):
            yield f"pull {pull.pull}: expected either listed (a release) or merged (a day)"


def has_pull(engine: str, pull: int, version: str, path: Path = MERGES) -> tuple[bool | None, str]:
    """Return whether a release has a pull request, None where nobody can tell, and what says so."""
    merges = load_merges(path).get(engine)
    found = next((p for p in merges.pulls if p.pull == pull), None) if merges is not None else None
    if merges is None or found is None:
        return None, f"matrix/merges.yaml has no pull request {pull} of {engine}"
    asked = Version(version)
    if asked not in with_prereleases(merges.line):
        return None, f"{version} is of a branch, and pull request {pull} went to the main line"
    if found.listed:
        return asked >= Version(found.listed), f"the notes of {found.listed} list pull request {pull} ({found.brought})"
    assert found.merged is not None, "one of the two, by _find_problems"
    return _judge_by_dates(merges, found.merged, asked, f"pull request {pull} ({found.brought})")


def _judge_by_dates(merges: Merges, merged: date, asked: Version, what: str) -> tuple[bool | None, str]:
    """Compare a merge with the days on which releases were opened and published; equal days tell nothing."""
    before = [Version(v) for v, day in merges.published.items() if day < merged]
    after = [Version(v) for v, day in merges.opened.items() if day > merged]
    if before and asked <= max(before):
        return False, f"{what} was merged on {merged}, after {max(before)} was published"
    if after and asked >= min(after):
        return True, f"{what} was merged on {merged}, before main became {min(after)}"
    return None, f"{what} was merged on {merged}, and whether {asked} was cut later is not known"
