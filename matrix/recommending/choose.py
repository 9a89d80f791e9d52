"""Cells of one rig -> at most five launches, best first, and what blocks the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Literal

from matrix.errors import ConfigError, Problem
from matrix.hardware import Rig
from matrix.model import Cell, Checkpoint, Excluded
from matrix.parsers.faults import ParserFaults, find_faults_of_plan
from matrix.planning.expand import ATTACH_ONLY, expand_matrix, list_attachable
from matrix.planning.fit import fit_of_plan
from matrix.planning.plan import Plan, make_plan
from matrix.preflight.plans import judge_plan
from matrix.recommending.named import find_checkpoints, suggest_checkpoint
from matrix.recommending.numbers import Number, list_numbers
from matrix.recommending.provenance import History, Provenance, gather_history, judge_provenance
from matrix.recommending.ran import LastRun
from matrix.recorded import KnownFailure
from matrix.yaml.loaded import Matrix

Want = Literal["long-context", "speed", "tools"]
MOST: Final = 5  # launches
ALIKE: Final = 2  # launches of one engine of equal provenance, before another engine gets its turn
GLM: Final = re.compile(r"GLM-(?P<major>\d+)(?:\.(?P<minor>\d+))?")  # of a checkpoint's title
MAKER: Final = "zai-org/"
FACTORS: Final[Mapping[Want, str]] = {
    "long-context": "by the largest context that is set and fits",
    "speed": "by the published or measured speed of one user, then by MTP",
    "tools": "by known failures that speak of tools and by parsers that lose calls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedLaunch:
    """One launch to try. `cells` share it; the first is the one that the next command names."""

    plan: Plan
    cells: tuple[Cell, ...]
    provenance: Provenance
    numbers: tuple[Number, ...]
    ran: LastRun | None
    known: tuple[KnownFailure, ...]
    faults: tuple[ParserFaults, ...] = ()  # of the parsers that it names
    preflight: str = ""  # verdict of the release's own parser
    remarks: tuple[str, ...] = ()
    clients: tuple[Mapping[str, str], ...] = ()  # what whoever sends requests must know

    @property
    def cell(self) -> Cell:
        return self.cells[0]

    @property
    def loses_calls(self) -> bool:
        """Whether its parsers lose calls or arguments on the way to the client."""
        return any(found.loses_calls(draft="mtp" in self.cell.features) for found in self.faults)

    @property
    def context(self) -> int:
        """Tokens of the window, or of the largest one that fits, if that is smaller."""
        return int(min((n.value for n in self.numbers if n.about == "context"), default=0))

    @property
    def speed(self) -> float:
        """Highest known tok/s of one user; 0: not known."""
        known = (n for n in self.numbers if n.about == "speed" and n.conditions.get("concurrency", 1) == 1)
        return max((n.value for n in known), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A reason for which combinations are not offered."""

    reason: str
    count: int
    what: str  # combinations (of the axes) or launches
    example: str  # a cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The answer for one rig. `total` counts the launches that could be offered."""

    rig: Rig
    want: Want | None
    launches: tuple[OfferedLaunch, ...]
    total: int
    blocked: tuple[Blocked, ...]
    canaries: bool  # nothing but canaries can run

    @property
    def attached(self) -> bool:
        """Whether these are launches that a person starts, and that this project attaches to."""
        return bool(self.rig.attach_only)


def narrow_matrix(matrix: Matrix, rig: Rig, globs: Sequence[str] = ()) -> Matrix:
    """Narrow the matrix to one rig and the checkpoints that are meant: 1,000 combinations are judged, not all.

    Raises:
        ConfigError: one of the globs, repositories or names means no checkpoint.
    """
    known = matrix.checkpoints.values()
    meant = {each: find_checkpoints(each, known) for each in globs}
    bad = [each for each, ids in meant.items() if not ids]
    if bad:
        raise ConfigError(
            [Problem("--checkpoint", 0, repr(g), f"no such one{suggest_checkpoint(g, known)}") for g in bad]
        )
    wanted = frozenset[str]().union(*meant.values())
    kept = {name: c for name, c in matrix.checkpoints.items() if not globs or name in wanted}
    # what depends on no rig is remembered under the origin, and shared instead of made again
    return replace(matrix, rigs={rig.id: rig}, checkpoints=kept, whole=matrix.origin)


def recommend_launches(
    matrix: Matrix, rig: Rig, ran: Mapping[str, LastRun], *, globs: Sequence[str] = (), want: Want | None = None
) -> Recommendation:
    """Choose launches for a rig, ranked by provenance and then by what is wanted.

    Raises:
        ConfigError: a glob matches no checkpoint.
    """
    narrow = narrow_matrix(matrix, rig, globs)
    world = expand_matrix(narrow)
    cells = [*list_attachable(narrow)] if rig.attach_only else [*world.runnable]
    big = [c for c in cells if not c.checkpoint.canary]
    canaries = not big
    # by the whole matrix: a launch on another rig is what this one may be derived from
    ranked = rank_launches(matrix, big or cells, ran, want)
    blocked = Counter[str]()
    examples: dict[str, str] = {}
    # before five are chosen: a launch that failed here must not take the place of one that may work
    offered = [one for one in ranked if not _note_block(one, ran, blocked, examples)]
    gone = (group for group in world.excluded.iterate_groups() if not group[0].checkpoint.canary)
    excluded = (group for group in gone if not (rig.attach_only and group[1].rule == ATTACH_ONLY))
    return Recommendation(
        rig=rig,
        want=want,
        launches=tuple(_judge_chosen(_spread_engines(offered), blocked, examples)),
        total=len(offered),
        blocked=(*_block_launches(blocked, examples), *_block_combinations(excluded)),
        canaries=canaries,
    )


def rank_launches(
    matrix: Matrix, cells: Iterable[Cell], ran: Mapping[str, LastRun], want: Want | None = None
) -> list[OfferedLaunch]:
    """Group cells by launch, and order the launches, best first."""
    groups: dict[str, list[tuple[Cell, Plan]]] = {}
    for cell in cells:
        plan = make_plan(matrix, cell)
        groups.setdefault(plan.fingerprint, []).append((cell, plan))
    history = gather_history(matrix, ran)
    return sorted(
        (_make_launch(matrix, group, history) for group in groups.values()), key=lambda one: _order_launch(one, want)
    )


def _make_launch(matrix: Matrix, group: Sequence[tuple[Cell, Plan]], history: History) -> OfferedLaunch:
    judged = [(judge_provenance(matrix, cell, history), cell, plan) for cell, plan in group]
    # of cells with one launch the best known names it; of equals the plainest
    judged.sort(key=lambda one: (one[0].order, len(one[1].features), one[1].id))
    provenance, cell, plan = judged[0]
    mine = history.ran.get(cell.id)
    # What ran was another launch of this cell: its flags, environment or merged config have changed since.
    if provenance.level == "ran" and mine is not None and mine.fingerprint != plan.fingerprint:
        provenance = replace(provenance, why=f"{provenance.why}, with another plan than today's")
    return OfferedLaunch(
        plan=plan,
        cells=tuple(cell for _, cell, _ in judged),
        provenance=provenance,
        numbers=list_numbers(matrix, plan, mine if mine and mine.worked else None),
        # by the cell's own id: a run of another cell of this launch asked other tests
        ran=mine,
        known=tuple(k.value for k in matrix.known_failures if k.condition(cell.facts)),
        faults=tuple(find_faults_of_plan(plan)),
    )


def _order_launch(one: OfferedLaunch, want: Want | None) -> tuple[object, ...]:
    wanted: Mapping[Want | None, tuple[float, ...]] = {
        None: (),
        "long-context": (-one.context,),
        "speed": (-one.speed, "mtp" not in one.cell.features),
        "tools": (sum(_speaks_of_tools(k) for k in one.known) + one.loses_calls,),
    }
    version = one.cell.release.parsed_version
    # negative, since all of the key sorts upwards
    newest = (-version.major, -version.minor, -version.micro)
    tie = (len(one.known), one.cell.release.fork, len(one.cell.features), one.cell.engine.id, newest)
    return (one.provenance.order, *wanted[want], *tie, *_order_of_model(one.cell.checkpoint), one.cell.id)


def _order_of_model(checkpoint: Checkpoint) -> tuple[object, ...]:
    """Order equals: GLM before its likenesses, the newest first, its maker's own weights first, a trained canary before
    those that are derived from it."""
    found = GLM.match(checkpoint.title)
    version = (-int(found["major"]), -int(found["minor"] or 0)) if found else (0, 0)
    derived = checkpoint.made_by is not None
    return (found is None, *version, not (checkpoint.repository or "").startswith(MAKER), derived)


def _speaks_of_tools(known: KnownFailure) -> bool:
    return "tool" in f"{known.fails.test} {known.symptom}".lower()


def _note_block(
    one: OfferedLaunch, ran: Mapping[str, LastRun], blocked: Counter[str], examples: dict[str, str]
) -> bool:
    """Whether a launch is not offered, and note why."""
    reason = next(_iterate_blocks(one, ran), None)
    if reason is None:
        return False
    blocked[reason] += 1
    examples.setdefault(reason, one.cell.id)
    return True


def _iterate_blocks(one: OfferedLaunch, ran: Mapping[str, LastRun]) -> Iterator[str]:
    mine = ran.get(one.cell.id)
    if mine is not None and mine.failed:
        yield f"ran here and failed ({mine.file})"
    for known in one.known:
        # a failure in a test still serves: it is shown with the launch instead
        if known.expect == "always" and known.fails.at != "test":
            yield f"known failure at launch: {known.id}"
    fit = fit_of_plan(one.plan)
    # arithmetic has margins; somebody who has run it knows better
    if fit is not None and not fit.ok and one.provenance.level not in ("ran", "published"):
        yield "does not fit: weights, KV cache at the window and headroom exceed a GPU (glm-matrix preflight CELL)"


def _spread_engines(offered: Sequence[OfferedLaunch]) -> list[OfferedLaunch]:
    """Keep the order of provenance; within a step, no engine gets more than ALIKE places before the others get one."""
    spread: list[OfferedLaunch] = []
    # never across steps: an engine's turn is worth less than a launch that has run
    for _, step in groupby(offered, key=lambda one: one.provenance.order):
        seen = Counter[str]()
        first: list[OfferedLaunch] = []
        later: list[OfferedLaunch] = []
        for one in step:
            seen[one.cell.engine.id] += 1
            (first if seen[one.cell.engine.id] <= ALIKE else later).append(one)
        spread += [*first, *later]
    return spread


def _judge_chosen(
    ranked: Iterable[OfferedLaunch], blocked: Counter[str], examples: dict[str, str]
) -> Iterator[OfferedLaunch]:
    """Ask the release's own parser about the best until MOST are accepted; a rejected one is counted as blocked."""
    count = 0
    for one in ranked:
        if count == MOST:
            return
        # late, and of few: each verdict reads a whole line with the release's parser
        report = judge_plan(one.plan)
        if report.verdict == "reject":
            said = next(r.message for r in report.remarks if r.level == "error")
            blocked[f"preflight rejects it: {said}"] += 1
            examples.setdefault(f"preflight rejects it: {said}", one.cell.id)
            continue
        count += 1
        remarks = tuple(r.message for r in report.remarks if r.level in ("unknown", "warning"))
        yield replace(one, preflight=report.verdict, remarks=remarks)


def _block_launches(blocked: Counter[str], examples: Mapping[str, str]) -> Iterator[Blocked]:
    for reason, count in blocked.most_common():
        yield Blocked(reason=reason, count=count, what="launches", example=examples[reason])


def _block_combinations(excluded: Iterable[tuple[Cell, Excluded, int]]) -> Iterator[Blocked]:
    """Group the excluded combinations by rule; the rule's words are those of its first combination."""
    counts = Counter[str]()
    first: dict[str, tuple[Cell, Excluded]] = {}
    for cell, why, count in excluded:
        counts[why.rule] += count
        first.setdefault(why.rule, (cell, why))
    for rule, count in counts.most_common():
        cell, why = first[rule]
        yield Blocked(
            reason=f"{rule}: e.g. {why.reason}" if count > 1 else f"{rule}: {why.reason}",
            count=count,
            what="combinations",
            example=cell.id,
        )
