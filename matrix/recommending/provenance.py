"""Who has run a launch: ran here > published > derived > expected.

ran        this project or this checkout ran the cell, and no test was red
published  somebody published this launch; with numbers it ranks first
derived    exactly one axis away from a launch that ran or was published: a feature, a checkpoint of the same family
           and format, or another count or model of GPU of the same compute capability
expected   nobody has run it; the release's own text allows it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from matrix.model import Cell, Checkpoint
from matrix.recommending.ran import LastRun
from matrix.recorded import Claim
from matrix.yaml.loaded import Loaded, Matrix

Level = Literal["ran", "published", "derived", "expected"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A launch that ran or was published. `sm` and `rig` "": the source does not say on what."""

    level: Level
    release: str
    checkpoint: str
    features: frozenset[str]
    source: str
    rig: str = ""
    sm: int = 0
    numbers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The best that is known of a launch. `order`: smaller is better."""

    level: Level
    why: str
    source: str
    order: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What ran, by cell, and every launch that ran or was published, by release: nothing derives from another one."""

    ran: Mapping[str, LastRun]
    anchors: Mapping[str, tuple[Anchor, ...]]


def gather_history(matrix: Matrix, ran: Mapping[str, LastRun]) -> History:
    """Gather what ran and what was published, once for all cells."""
    by_release: dict[str, list[Anchor]] = {}
    for anchor in (*_list_claimed(matrix), *_list_printed(matrix), *_list_ran(matrix, ran.values())):
        by_release.setdefault(anchor.release, []).append(anchor)
    return History(ran=ran, anchors={release: tuple(found) for release, found in by_release.items()})


def judge_provenance(matrix: Matrix, cell: Cell, history: History) -> Provenance:
    """Judge one cell by what ran and what was published."""
    mine = history.ran.get(cell.id)
    if mine is not None and mine.worked:
        return Provenance(level="ran", why=mine.describe(), source=mine.file, order=0)
    anchors = history.anchors.get(cell.release.id, ())
    # not those that ran: a run is of a cell, and this cell's own was asked above
    known = [a for a in anchors if a.level == "published" and not _describe_differences(matrix, cell, a)]
    if known:
        best = max(known, key=lambda a: a.numbers)
        why = "published with numbers" if best.numbers else "published, without numbers"
        return Provenance(level="published", why=why, source=best.source, order=1 if best.numbers else 2)
    # exactly one: two changes at once may undo or break each other, and nobody has tried
    near = [(a, d) for a in anchors if len(d := _describe_differences(matrix, cell, a)) == 1]
    for anchor, (difference,) in near:
        if difference:
            why = f"{difference}; otherwise as {'published' if anchor.level == 'published' else 'run here'}"
            return Provenance(level="derived", why=why, source=anchor.source, order=3)
    why = "nobody is known to have run it; the release's own text and the arithmetic allow it"
    return Provenance(level="expected", why=why, source=cell.release.source, order=4)


def _list_claimed(matrix: Matrix) -> Iterator[Anchor]:
    for claim in matrix.claims:
        when = claim.value.when
        for features in _features_of(matrix, claim):
            for rig in _list_words(when.get("rig", "")):
                yield Anchor(
                    level="published",
                    release=str(when.get("release", "")),
                    checkpoint=str(when.get("checkpoint", "")),
                    features=features,
                    rig=rig,
                    sm=_sm_of(matrix, rig),
                    source=claim.value.source,
                    numbers=True,
                )


def _features_of(matrix: Matrix, claim: Loaded[Claim]) -> set[frozenset[str]]:
    """Return the feature sets that the table's rows are about: `conditions: {mtp: true}` is one."""
    named = frozenset(_list_words(claim.value.when.get("features", ())))
    rows = [m.conditions for m in claim.value.measurements]
    # is True: `mtp: false` in a row is a launch without it
    return {named | {f for f in matrix.features if row.get(f) is True} for row in rows}


def _list_printed(matrix: Matrix) -> Iterator[Anchor]:
    for entry in matrix.published:
        when = entry.value.when
        yield Anchor(
            level="published",
            release=str(when["release"]),
            checkpoint=str(when["checkpoint"]),
            features=entry.value.features,
            rig=str(when["rig"]),
            sm=_sm_of(matrix, str(when["rig"])),
            source=entry.value.source,
        )


def _sm_of(matrix: Matrix, rig: str) -> int:
    return matrix.rigs[rig].sm if rig in matrix.rigs else 0


def _list_ran(matrix: Matrix, ran: Iterable[LastRun]) -> Iterator[Anchor]:
    for one in ran:
        if one.worked and one.rig in matrix.rigs:
            yield Anchor(
                level="ran",
                release=one.release,
                checkpoint=one.checkpoint,
                features=frozenset(one.features),
                rig=one.rig,
                sm=matrix.rigs[one.rig].sm,
                source=one.file,
            )


def _describe_differences(matrix: Matrix, cell: Cell, anchor: Anchor) -> list[str]:
    """Describe what differs, in words; an empty word is a difference over which no number can be derived."""
    found = [f"with {f}" for f in sorted(cell.features - anchor.features)]
    found += [f"without {f}" for f in sorted(anchor.features - cell.features)]
    if cell.checkpoint.id != anchor.checkpoint:
        other = matrix.checkpoints.get(anchor.checkpoint)
        found.append(f"{cell.checkpoint.id} in place of {anchor.checkpoint}" if _alike(cell.checkpoint, other) else "")
    # other kernels: nothing carries over from one generation of GPUs to another
    if anchor.sm and cell.rig.sm != anchor.sm:
        found.append("")
    elif anchor.rig and cell.rig.id != anchor.rig:
        found.append(f"on {cell.rig.gpus} x {cell.rig.gpu.name} in place of {anchor.rig}")
    return found


def _alike(one: Checkpoint, other: Checkpoint | None) -> bool:
    return other is not None and (one.family, one.format) == (other.family, other.format)


def _list_words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),) if value else ()
