"""Keeps a share of mutmut's changes to be tried, and takes out of its files what was tried.

mutmut keeps a `.meta` beside each changed file, with an exit code for each change, None where it was not tried. It
counts all of them between two trials, so the changes of other shares are removed from these files and not skipped.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

# mutmut.stats.status_by_exit_code of mutmut 3.8.1; the timeouts are SIGXCPU in several forms.
TIMEOUTS: Final = (36, 24, -24, 152, 255)
STATUSES: Final[Mapping[int, str]] = {
    **{0: "survived", 1: "killed", 3: "killed", 5: "without_a_test", 33: "without_a_test"},
    **dict.fromkeys(TIMEOUTS, "timeout"),
}
INTERRUPTED: Final = 2  # by the user: not tried


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which changes to try: the `index`-th of `count` shares, of the functions that any of `globs` names, of modules
    that are not in `whole`."""

    index: int = 1
    count: int = 1
    globs: tuple[str, ...] = ("*",)
    whole: Collection[str] = ()

    def holds(self, change: str) -> bool:
        # The digest of the name, so that every machine cuts alike, and a module's changes are spread over all shares.
        mine = zlib.crc32(change.encode()) % self.count == self.index - 1
        return mine and name_module(change) not in self.whole and any(fnmatchcase(change, g) for g in self.globs)


@dataclass(kw_only=True)
class Results:
    """What was found at one commit: the exit code of each change that was tried, and how many changes a module has."""

    commit: str
    changes: dict[str, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)


def name_module(change: str) -> str:
    """Name a change's module.

    >>> name_module("matrix.known.failures.xǁFleetǁjoin__mutmut_2"), name_module("matrix.pins.x_parse__mutmut_10")
    ('matrix.known.failures', 'matrix.pins')
    """
    return change.rpartition(".")[0]


def take_share(mutants: Path, share: Share, commit: str) -> tuple[Results, int]:
    """Move what was tried from mutmut's files to `results.json`; keep in them what is left of a share.

    Returns:
        All results so far, and the number of changes that are left.

    Raises:
        ValueError: `results.json` is of another commit.
    """
    kept = mutants / "results.json"
    results = read_results(kept) if kept.exists() else Results(commit=commit)
    if results.commit != commit:
        raise ValueError(f"{kept} is of {results.commit}, the checkout of {commit}: move it away and begin again")
    left = 0
    for file in sorted(mutants.rglob("*.meta")):
        meta = json.loads(file.read_text(encoding="utf-8"))
        codes: dict[str, int | None] = meta["exit_code_by_key"]
        for module, count in Counter(map(name_module, codes)).items():
            results.changes.setdefault(module, count)
        results.codes |= {name: code for name, code in codes.items() if code not in (None, INTERRUPTED)}
        waiting = [name for name in codes if name not in results.codes and share.holds(name)]
        left += len(waiting)
        meta |= {"exit_code_by_key": dict.fromkeys(waiting), "durations_by_key": {}, "type_check_error_by_key": {}}
        file.write_text(json.dumps(meta), encoding="utf-8")
    kept.write_text(json.dumps(vars(results), indent=0) + "\n", encoding="utf-8")
    return results, left


def read_results(file: Path) -> Results:
    return Results(**json.loads(file.read_text(encoding="utf-8")))


def merge_results(several: Iterable[Results]) -> Results:
    """Merge the results of several machines.

    Raises:
        ValueError: there are none, or they are of different commits.
    """
    made = list(several)
    if len(commits := sorted({one.commit for one in made})) != 1:
        raise ValueError(f"results of one commit can be added up, got those of {', '.join(commits) or 'none'}")
    merged = Results(commit=commits[0])
    for one in made:
        merged.changes |= one.changes
        merged.codes |= one.codes
    return merged


def count_results(results: Results) -> dict[str, dict[str, int]]:
    """Count by module how many changes had each end, in the columns of `docs/evidence/mutants/score.json`."""
    table: dict[str, Counter[str]] = {module: Counter() for module in results.changes}
    for change, code in results.codes.items():
        table[name_module(change)][STATUSES.get(code, "other")] += 1
    named = ("killed", "timeout", "survived", "without_a_test", "other")
    return {
        module: {**{name: ends[name] for name in named}, "not_run": results.changes[module] - ends.total()}
        for module, ends in sorted(table.items())
    }


def list_whole_modules(score: Mapping[str, Any]) -> list[str]:
    """List the modules of which a score has every change tried."""
    return [module for module, ends in score["modules"].items() if not ends["not_run"]]
