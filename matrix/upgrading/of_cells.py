"""A cell of the matrix as a line: its launch, and what only a cell has (known failures, exclusions)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from matrix.checking.judge import CheckRequest
from matrix.checking.known_failures import read_entries, tell_entry
from matrix.checking.launchers import Command
from matrix.checking.of_plan import make_command, make_request
from matrix.checking.releases import AskedRelease
from matrix.checking.rules import Basis, Decision
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.known.failures import select_of_cell
from matrix.model import Cell, Release
from matrix.planning.expand import list_exclusions
from matrix.planning.plan import make_plan
from matrix.preflight.snapshot import snapshot_for
from matrix.upgrading.news import News
from matrix.upgrading.sides import Extra, NotRunReason, Side
from matrix.yaml.loaded import Matrix

BASES: Final[Mapping[str, Basis]] = {"run": "run", "wheel": "wheel", "report": "report"}


@dataclass(frozen=True, kw_only=True)
class CellLine:
    """A cell's launch as a command, and what is asked about it."""

    cell: Cell
    command: Command
    asked: CheckRequest
    patches: tuple[str, ...]


def _hint_line(part: str) -> str:
    """Say how a release is asked about that was read and has no cells: most releases between those of the axes."""
    if (known := snapshot_for(part)) is None:
        return ""
    name = f"{known.engine}=={known.version}"
    return f"; {name} was read and has no cells: ask for your own line, --from {name} --to RELEASE -- COMMAND"


def find_cell(matrix: Matrix, text: str) -> Cell:
    """Find the cell of an id without planning the others.

    Raises:
        ConfigError: a part of the id is on no axis; names the part and the nearest word.
    """
    parts = text.split(".")
    kinds: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("rig", matrix.rigs),
        ("engine release", matrix.releases),
        ("checkpoint", matrix.checkpoints),
    )
    problems = [
        Problem("CELL", 0, repr(text), f"no {kind} is called {part!r}{suggest_nearest(part, known)}{_hint_line(part)}")
        for part, (kind, known) in zip(parts, kinds, strict=False)
        if part not in known
    ]
    # instead of the problems above: with parts missing, each would be held against the wrong axis
    if len(parts) != 4:
        problems = [
            Problem("CELL", 0, repr(text), "expected RIG.RELEASE.CHECKPOINT.FEATURES, as glm-matrix list shows them")
        ]
    features = _features(matrix, parts[3]) if len(parts) == 4 else frozenset()
    if not problems and features is None:
        words = ("baseline", *matrix.features)
        problems = [Problem("CELL", 0, repr(text), f"no features are {parts[3]!r}{suggest_nearest(parts[3], words)}")]
    if problems or features is None:
        raise ConfigError(problems)
    release = matrix.releases[parts[1]]
    return Cell(
        rig=matrix.rigs[parts[0]],
        engine=matrix.engines[release.engine],
        release=release,
        checkpoint=matrix.checkpoints[parts[2]],
        features=features,
    )


def _features(matrix: Matrix, text: str) -> frozenset[str] | None:
    """`indexcache_mtp` -> its features, by the names on the axis; None where no set of them is spelt so."""
    if text == "baseline":
        return frozenset()
    # Names hold underscores, and one may begin with another (decode_context_parallel_4): every split is tried.
    splits = _split_names(text, list(matrix.features))
    return next((frozenset(names) for names in splits if "_".join(sorted(set(names))) == text), None)


def _split_names(text: str, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every way to read a text as names that are joined by `_`."""
    if not text:
        yield ()
    for name in names:
        if f"{text}_".startswith(f"{name}_"):
            yield from ((name, *rest) for rest in _split_names(text[len(name) + 1 :], names))


def make_line(matrix: Matrix, cell: Cell) -> CellLine:
    """Make the launch line of a cell as its recipes plan it, with the checkpoint's published name for a path."""
    plan = make_plan(matrix, cell)
    return CellLine(cell=cell, command=make_command(plan), asked=make_request(plan), patches=plan.patch_names)


def move_cell(matrix: Matrix, cell: Cell, release: AskedRelease) -> Cell:
    """Return the cell on another release of its engine, which need not be on the axes."""
    name = release.id or release.snapshot.release if release.snapshot else release.id
    known = matrix.releases.get(name)
    if known is None:
        known = Release(
            id=name,
            engine=cell.engine.id,
            version=release.version,
            source=release.by,
            fork=release.fork,
            # of a release off the axes the traits of the one it is compared with, which is what the question assumes
            architectures=cell.release.architectures,
            features=cell.release.features,
            formats=cell.release.formats,
        )
    return replace(cell, release=known)


def gather_extra(matrix: Matrix, cell: Cell, applied: tuple[str, ...]) -> Extra:
    """Known failures of the cell, and why the matrix would not run it; computed reasons need a release of the axes."""
    ids = {k.value.id for k in select_of_cell(matrix, cell)}
    known = tuple(tell_entry(entry) for entry in read_entries() if entry["id"] in ids)
    return Extra(known=known, exclusions=_find_reasons(matrix, cell), patches=frozenset(applied))


def _find_reasons(matrix: Matrix, cell: Cell) -> dict[str, NotRunReason]:
    """Why the matrix does not run a cell: of a release off the axes only the rules of rules.yaml say anything."""
    rules = {r.value.id: r.value for r in matrix.rules}
    # computed exclusions ask for kernels and formats of a release, which only its entry states
    if cell.release.id not in matrix.releases:
        met = (r.value for r in matrix.rules if r.condition(cell.facts))
        return {r.id: NotRunReason(r.status, r.reason, r.source.cite(), r.source.kind) for r in met}
    found = list_exclusions(matrix, cell)
    kinds = {e.rule: rules[e.rule].source.kind if e.rule in rules else "arithmetic" for e in found}
    return {e.rule: NotRunReason(e.status, e.reason, e.source, kinds[e.rule]) for e in found}


def compare_exclusions(before: Side, after: Side) -> Iterator[News]:
    """Rules that exclude the cell on one side only."""
    old, new = before.extra.exclusions, after.extra.exclusions
    # a rule that holds on both sides is no news, whatever its reason says of each
    for rule in sorted(old.keys() ^ new.keys()):
        yield _exclusion(rule, new.get(rule) or old[rule], begins=rule in new)


def _exclusion(rule: str, reason: NotRunReason, *, begins: bool) -> News:
    then = f"The matrix does not run this cell there ({reason.status})."
    return News(
        part="rule",
        key=rule,
        way="begins" if begins else "ends",
        danger=("wrong" if reason.status == "INVALID_COMBO" else "stops") if begins else "fixed",
        level="risky" if begins else "note",
        title=f"rule {rule}",
        cause=reason.text,
        consequence=then if begins else f"It excluded this cell ({reason.status}), and does not any more.",
        decided_by=Decision(kind=BASES.get(reason.kind, "arithmetic"), fact=f"matrix/rules.yaml {rule}", read=""),
        sources=(reason.source,),
    )
