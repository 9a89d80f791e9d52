"""Finds the first bad run of a test, and what changed between the last good run and that one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from matrix.judging.status import ANSWERED_BAD, ANSWERED_GOOD

GOOD: Final = ANSWERED_GOOD
BAD: Final = ANSWERED_BAD
# Under which name a launch records an engine's own version.
ENGINES: Final = frozenset({"sglang", "vllm", "version", "xllamacpp", "transformers", "tensorrt-llm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One answer to a test, and what was running."""

    run: str
    t: str
    status: str
    message: str
    what: Mapping[str, str]  # commit, plan, versions, driver


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstBad:
    """A test that fails today. `good` is None where no earlier run passed."""

    cell: str
    nodeid: str
    good: Tried | None
    bad: Tried
    failures: int  # since and including `bad`
    mixed: int  # failures before `good`

    @property
    def changed(self) -> Mapping[str, tuple[str, str]]:
        """What differs between the last good run and the first bad one."""
        if self.good is None:
            return {}
        before, after = self.good.what, self.bad.what
        names = sorted({*before, *after})
        return {n: (before.get(n, ""), after.get(n, "")) for n in names if before.get(n) != after.get(n)}

    @property
    def next_step(self) -> str:
        """The command to go on with."""
        if self.good is None:
            return "no run of this history passed it: add older evidence"
        commit = self.changed.get("commit")
        if commit and all(commit):
            return f"git bisect start {commit[1]} {commit[0]}"
        versions = [n for n in self.changed if n.startswith("version.")]
        own = [n for n in versions if n.removeprefix("version.") in ENGINES and all(self.changed[n])]
        if own:
            good, bad = self.changed[own[0]]
            test = self.nodeid.partition("[")[0].rpartition("::")[2]
            return f"glm-matrix bisect {self.cell} --good {good} --bad {bad} --test {test}"
        if versions:
            both = ", ".join(f"{n.removeprefix('version.')} {'..'.join(self.changed[n])}" for n in versions)
            return f"bisect the engine's own history: {both}"
        return "nothing recorded differs: run it again, and see `glm-matrix history flakes`"


def find_first_bad(connection: sqlite3.Connection, *, word: str = "") -> list[FirstBad]:
    """Find the first bad run of every test whose name holds `word` and whose last answer is bad."""
    ever_bad = ", ".join(f"'{status}'" for status in sorted(BAD))  # few tests ever failed, and half a year has millions
    # The word is asked for before the rows: without it, every failure of half a year would be read and thrown away.
    failed = f"SELECT DISTINCT cell, nodeid FROM results WHERE status IN ({ever_bad}) AND instr(nodeid, ?)"  # noqa: S608
    joined = f"results r JOIN ({failed}) f ON r.cell = f.cell AND r.nodeid = f.nodeid"
    rows = connection.execute(
        f"SELECT r.cell, r.nodeid, run, t, status, message, fingerprint FROM {joined} ORDER BY r.cell, r.nodeid, t",  # noqa: S608
        (word,),
    )
    about = _Runs(connection)
    found: list[FirstBad] = []
    for (cell, nodeid), own in _group_rows(rows):
        if bad := _find(cell, nodeid, own, about):
            found.append(bad)
    return found


Row = tuple[str, str, str, str, str]  # run, t, status, message, fingerprint


def _group_rows(rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[tuple[str, str], list[Row]]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for cell, nodeid, *rest in rows:
        run, t, status, message, fingerprint = rest
        if status in GOOD or status in BAD:
            groups.setdefault((cell, nodeid), []).append((run, t, status, message, fingerprint))
    yield from groups.items()


def _find(cell: str, nodeid: str, own: Sequence[Row], about: _Runs) -> FirstBad | None:
    if own[-1][2] not in BAD:
        return None
    since = len(own) - 1
    while since and own[since - 1][2] in BAD:
        since -= 1
    before = own[:since]
    # Failures before the last good run are told: with many of them the test is a flake, and no run broke it.
    mixed = sum(status in BAD for _, _, status, _, _ in before)
    return FirstBad(
        cell=cell,
        nodeid=nodeid,
        good=about.tell(cell, own[since - 1]) if since else None,
        bad=about.tell(cell, own[since]),
        failures=len(own) - since,
        mixed=mixed,
    )


class _Runs:
    """What each run ran, read once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT run, source, host FROM runs")
        self.runs = {run: {**json.loads(source), **json.loads(host)} for run, source, host in rows}
        launches = connection.execute("SELECT run, cell, fingerprint, versions FROM launches ORDER BY t")
        self.versions: dict[tuple[str, str], Mapping[str, str]] = {}
        read = lru_cache(json.loads)  # half a year has 30,000 launches and a handful of versions
        for run, cell, fingerprint, versions in launches:
            self.versions[run, cell] = self.versions[run, fingerprint] = read(versions)

    def tell(self, cell: str, row: Row) -> Tried:
        run, t, status, message, fingerprint = row
        # A cell that shared the launch of another has it under the plan's fingerprint.
        versions = self.versions.get((run, cell)) or self.versions.get((run, fingerprint)) or {}
        own = {name: str(value) for name, value in self.runs.get(run, {}).items() if value}
        what = {**own, "plan": fingerprint, **{f"version.{name}": str(value) for name, value in versions.items()}}
        return Tried(run=run, t=t, status=status, message=message, what=what)
