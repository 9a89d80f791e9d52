"""Decides whether an upgrade is safe: YES, NO or UNKNOWN, with every change for each cell. Pure.

NO: something got worse beyond noise. UNKNOWN: nothing is known to be worse, and something was not asked, not
finished, or asked otherwise. YES: everything that the earlier evidence answered was answered again, and nothing got
worse. Whatever was missing before and now is UNKNOWN, never YES.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from matrix.judging.status import Status
from matrix.wording import count_words
from reports.compare.baselines import Baseline
from reports.compare.lost_answers import RunPair, pair_cells, summarise_pairs
from reports.evidence.run_doubts import find_run_doubts
from reports.evidence.summary import CellRow, make_board
from reports.evidence.types import Found, Launch, Lost, Record, Run
from reports.upgrade.cells import CellPair, Pairing, pair_rows, pair_two_cells
from reports.upgrade.doubts import (
    doubt_depths,
    doubt_engines,
    doubt_plans,
    find_depths,
    read_scripts,
    runs_of,
    tell_attached,
    tell_order,
    tell_settings,
)
from reports.upgrade.proofs import WORSE as WORSE_PROOFS
from reports.upgrade.proofs import ProofDifference, compare_proofs
from reports.upgrade.speed import SpeedDifference, read_speed
from reports.upgrade.tests import UNANSWERED, TestChange, compare_tests
from reports.upgrade.tests import WORSE as WORSE_TESTS

Answer = Literal["YES", "NO", "UNKNOWN"]
CellAnswer = Literal["worse", "unknown", "better", "same"]
CELL_ORDER: Final[tuple[CellAnswer, ...]] = ("worse", "unknown", "better", "same")
LAUNCH_RATIO: Final = 3.0  # two launches of one plan took 25 s and 74 s in docs/evidence/sm90-h100 (cold kernels)
SHOWN_CELLS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchDifference:
    """How the engine of a cell started, before and after; times in seconds."""

    before: str  # ok, or the name of the error; "" where none was recorded
    after: str
    before_s: float | None
    after_s: float | None
    message: str = ""

    @property
    def ratio(self) -> float | None:
        return self.after_s / self.before_s if self.before_s and self.after_s else None

    @property
    def much_slower(self) -> bool:
        return self.ratio is not None and self.ratio > LAUNCH_RATIO


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDifference:
    """Everything that changed in one cell. `doubts` make it unknown; `told` changes nothing."""

    pair: CellPair
    tests: tuple[TestChange, ...] = ()
    proofs: tuple[ProofDifference, ...] = ()
    answers: RunPair | None = None  # items asked on both sides
    unasked: int = 0  # items of the old side that passed tests of the new side did not ask
    speed: tuple[SpeedDifference, ...] = ()
    launch: LaunchDifference | None = None
    versions: Mapping[str, tuple[str, str]] | None = None
    doubts: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def worse(self) -> bool:
        return (
            any(t.change in WORSE_TESTS for t in self.tests)
            or any(p.change in WORSE_PROOFS for p in self.proofs)
            or bool(self.answers and self.answers.worse)
            or any(s.change == "slower" for s in self.speed)
        )

    @property
    def unknown(self) -> bool:
        missing = any(p.change == "missing" for p in self.proofs) or any(s.change == "missing" for s in self.speed)
        return bool(self.doubts) or missing or any(t.change in UNANSWERED for t in self.tests) or bool(self.unasked)

    @property
    def better(self) -> bool:
        """Whether something got better, or was not there before."""
        return (
            any(t.change in ("fixed", "added") for t in self.tests)
            or any(p.change == "proven" for p in self.proofs)
            or any(s.change == "faster" for s in self.speed)
        )

    @property
    def answer(self) -> CellAnswer:
        return "worse" if self.worse else "unknown" if self.unknown else "better" if self.better else "same"

    @property
    def identical(self) -> bool:
        """Whether no number, test, proof, version, launch or answer differs."""
        return (
            self.answer == "same"
            and not self.versions
            and not self.told
            and not (self.launch and self.launch.much_slower)
            and not any(t.before is not t.after for t in self.tests)
            and not any(s.ratio != 1.0 for s in self.speed)
            and not (self.answers and (self.answers.lost or self.answers.won))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """The whole answer."""

    cells: tuple[CellDifference, ...]
    pairing: Pairing
    doubts: tuple[str, ...] = ()  # about whole runs
    told: tuple[str, ...] = ()

    @property
    def answer(self) -> Answer:
        if any(cell.worse for cell in self.cells):
            return "NO"
        unknown = not self.cells or bool(self.doubts) or any(cell.unknown for cell in self.cells)
        return "UNKNOWN" if unknown else "YES"

    @property
    def counts(self) -> Mapping[CellAnswer, int]:
        found = Counter(cell.answer for cell in self.cells)
        return {name: found[name] for name in CELL_ORDER}

    @property
    def missing(self) -> int:
        """Cells without any later evidence."""
        return sum(cell.pair.new is None or not _has_answers(cell.pair.new) for cell in self.cells)

    @property
    def versions(self) -> Mapping[tuple[str, str, str], int]:
        """Count the cells with each change of a version: (name, before, after)."""
        changed = ((name, *both) for cell in self.cells for name, both in (cell.versions or {}).items())
        return dict(sorted(Counter(changed).items()))

    @property
    def headline(self) -> str:
        """The first line: the answer with counts."""
        if self.answer == "YES" and all(cell.identical for cell in self.cells):
            tests = count_words(sum(len(cell.tests) for cell in self.cells), "test")
            return f"YES: nothing changed: {count_words(len(self.cells), 'cell')} compared, {tests}"
        words = {"worse": "worse", "unknown": "not known", "better": "better", "same": "the same"}
        parts = [f"{n} {words[name]}" for name, n in self.counts.items() if n]
        if self.missing:
            parts.append(f"{self.missing} without later evidence")
        still = sum(any(t.change == "still failing" for t in cell.tests) for cell in self.cells)
        parts += [f"{still} with tests still failing"] if still else []
        return f"{self.answer}: of {count_words(len(self.cells), 'cell')} {', '.join(parts) or 'nothing can be said'}"


def compare_evidence(
    old: Sequence[Record],
    new: Sequence[Record],
    maps: Mapping[str, str],
    *,
    named: Sequence[str] = (),
    earlier: Baseline | None = None,
) -> RunComparison:
    """Compare the evidence of two runs. `maps` renames facts of the old side; `named` is one cell of each side instead.

    Raises:
        ConfigError: a map or a named cell is not of this evidence.
    """
    before, after = make_board(old), make_board(new)
    pairing = pair_two_cells(before.rows, after.rows, named) if named else pair_rows(before.rows, after.rows, maps)
    comparing = _Comparing(old, new, pairing, named=bool(named), earlier=earlier or Baseline())
    ordered = sorted(comparing.compare(), key=lambda c: (CELL_ORDER.index(c.answer), c.pair.old.cell))
    pairs = list(comparing.items.values())
    told = (
        *tell_order(old, new),
        *_tell_pairing(pairing),
        *([summarise_pairs(pairs)] if any(p.lost or p.won for p in pairs) else []),
    )
    return RunComparison(cells=tuple(ordered), pairing=pairing, doubts=tuple(_doubt_sides(old, new)), told=told)


def _doubt_sides(old: Sequence[Record], new: Sequence[Record]) -> Iterator[str]:
    for side, records in (("OLD", old), ("NEW", new)):
        if not any(r.cell for r in records):
            yield f"{side} holds no cell"
        if lost := sum(isinstance(r, Lost) for r in records):
            yield f"{count_words(lost, 'line')} of {side} cannot be read"


def _tell_pairing(pairing: Pairing) -> Iterator[str]:
    if pairing.left_out:
        yield f"{count_words(len(pairing.left_out), 'cell')} of OLD that no --map renames: not compared"
    if pairing.added:
        names = ", ".join(pairing.added[:SHOWN_CELLS])
        yield f"{count_words(len(pairing.added), 'cell')} of NEW without a counterpart in OLD: {names}"
    if pairing.likely_map:
        yield f"a fact was renamed, as it seems: compare again with --map {pairing.likely_map}"


class _Comparing:
    """Both sides' facts, gathered once for all cells."""

    def __init__(
        self, old: Sequence[Record], new: Sequence[Record], pairing: Pairing, *, named: bool, earlier: Baseline
    ) -> None:
        self.pairing, self.named = pairing, named
        self.speed = read_speed(old, new, earlier)
        self.runs = find_run_doubts(old), find_run_doubts(new)
        self.depths = find_depths(old), find_depths(new)
        self.scripts = read_scripts(old), read_scripts(new)
        self.hosts = tuple({r.run: r for r in records if isinstance(r, Run)} for records in (old, new))
        renamed = {p.old.cell: p.new.cell for p in pairing.pairs if p.new}
        asked = [_rename_cell(r, renamed[r.cell]) for r in old if isinstance(r, Found) and r.cell in renamed]
        wanted = set(renamed.values())
        answered = [r for r in new if isinstance(r, Found) and r.cell in wanted]
        self.items = {pair.cell: pair for pair in pair_cells(asked, answered)}
        self.asked, self.answered = _gather_items(asked), _gather_items(answered)

    def compare(self) -> Iterator[CellDifference]:
        for pair in self.pairing.pairs:
            yield self._compare_cell(pair)

    def _compare_cell(self, pair: CellPair) -> CellDifference:
        old, new = pair.old, pair.new
        if new is None or not _has_answers(new):
            return CellDifference(pair=pair, doubts=("no later evidence", *self._doubt_runs(pair)))
        if not _has_answers(old):
            return CellDifference(pair=pair, doubts=("no earlier evidence", *self._doubt_runs(pair)))
        tests = compare_tests(old, new)
        hardware = self.speed.tell_hardware(old, new)
        settings = tell_settings(pair, self.scripts[0].get(old.cell, ""), self.scripts[1].get(new.cell, ""))
        return CellDifference(
            pair=pair,
            tests=tests,
            proofs=compare_proofs(old, new),
            answers=self.items.get(new.cell),
            unasked=self._count_unasked(new),
            speed=self.speed.compare_cells(old, new),
            launch=_compare_launches(old.launch, new.launch),
            versions=self._compare_versions(old, new),
            doubts=tuple(self._doubt_cell(pair)),
            told=tuple(
                f"{what}: {text}"
                for what, text in (
                    ("hardware", hardware),
                    ("launch script", settings),
                    ("engine", tell_attached(pair)),
                )
                if text
            ),
        )

    def _doubt_cell(self, pair: CellPair) -> Iterator[str]:
        yield from self._doubt_runs(pair)
        yield from doubt_depths(pair, *self.depths)
        yield from doubt_plans(pair, named=self.named)
        yield from doubt_engines(pair)

    def _doubt_runs(self, pair: CellPair) -> Iterator[str]:
        for side, row, doubts in zip(("OLD", "NEW"), (pair.old, pair.new), self.runs, strict=True):
            for run in sorted(runs_of(row) & doubts.keys()) if row else ():
                yield f"{side}, run {run}: {doubts[run]}"

    def _count_unasked(self, new: CellRow) -> int:
        """Count the items that were asked before and not now, of tests that passed now: they were asked otherwise."""
        passed = {t.nodeid for t in new.tests if t.green and t.status is not Status.XFAIL}
        asked, answered = self.asked.get(new.cell, {}), self.answered.get(new.cell, {})
        return sum(item not in answered and bool(tests & passed) for item, tests in asked.items())

    def _compare_versions(self, old: CellRow, new: CellRow) -> Mapping[str, tuple[str, str]]:
        before, after = (_read_versions(row, hosts) for row, hosts in zip((old, new), self.hosts, strict=True))
        names = sorted({*before, *after}) if before and after else ()  # an engine that did not start reports none
        absent = "not recorded"
        both = {name: (before.get(name, absent), after.get(name, absent)) for name in names}
        # An environment of ours is called after its release: that the release was renamed is no version that changed.
        renamed = old.facts.get("release"), new.facts.get("release")
        return {name: (was, now) for name, (was, now) in both.items() if was != now and (was, now) != renamed}


def _rename_cell(found: Found, cell: str) -> Found:
    """Rename the cell of a finding, in its node id too."""
    return replace(found, cell=cell, nodeid=found.nodeid.replace(found.cell, cell))


def _gather_items(records: Sequence[Found]) -> dict[str, dict[tuple[str, str, str], set[str]]]:
    """Map each cell to its items (check, item, prompt) and the node ids that asked them."""
    found: dict[str, dict[tuple[str, str, str], set[str]]] = {}
    for r in records:
        if r.item:
            key = (r.check, r.item, str(r.data.get("prompt_sha256", "")))
            found.setdefault(r.cell, {}).setdefault(key, set()).add(r.nodeid)
    return found


def _read_versions(row: CellRow, runs: Mapping[str, Run]) -> dict[str, str]:
    """Read the versions of the engine and of the host of a cell's last launch."""
    launch = row.launch
    if launch is None or launch.outcome != "ok":
        return {}
    found = {str(name): str(value) for name, value in launch.versions.items() if isinstance(value, str | int | float)}
    host = runs[launch.run].host if launch.run in runs else {}
    return found | {name: str(host[name]) for name in ("driver", "cuda") if host.get(name)}


def _compare_launches(old: Launch | None, new: Launch | None) -> LaunchDifference:
    return LaunchDifference(
        before=old.outcome if old else "",
        after=new.outcome if new else "",
        before_s=old.launch_s if old else None,
        after_s=new.launch_s if new else None,
        message=new.message if new and new.outcome != "ok" else "",
    )


def _has_answers(row: CellRow) -> bool:
    """Return whether any test reported, or an engine was started."""
    return bool(row.launches) or any(t.result for t in row.tests)
