"""What changed for a cell from each release to the next: read in the snapshots, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from matrix.bisecting.releases import place_cell
from matrix.checking.releases import AskedRelease
from matrix.checking.rules import Level
from matrix.model import Cell
from matrix.preflight.patch import takes_sparse_out
from matrix.upgrading.compare import compare_sides
from matrix.upgrading.news import Danger, News, ReleaseComparison, write_headline
from matrix.upgrading.of_cells import CellLine, gather_extra, make_line
from matrix.upgrading.patching import keep_fitting
from matrix.upgrading.sides import Side, look_at_release
from matrix.yaml.loaded import Matrix

# How much likelier a piece of news makes its step than one without news. Chosen, not measured: a wrong choice costs
# boots and never the answer (matrix.bisecting.posterior).
DANGER_WEIGHTS: Final[Mapping[Danger, float]] = {"stops": 8.0, "wrong": 6.0, "other": 2.0, "new": 0.5, "fixed": 0.5}
LEVEL_WEIGHTS: Final[Mapping[Level, float]] = {"wrong": 1.0, "risky": 0.5, "unknown": 0.5, "note": 0.1}
MOST: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStep:
    """From one release to the next. `news`: what applies to the cell, the worst first; `unread`: why there is none."""

    before: str
    after: str
    weight: float
    headline: str
    news: tuple[News, ...] = ()
    unread: str = ""


def compare_steps(matrix: Matrix, cell: Cell, versions: Sequence[str]) -> tuple[ReleaseStep, ...]:
    """Compare each release with the next for one cell, in the order of `versions`."""
    line = make_line(matrix, cell)
    sides = {version: _look(matrix, cell, line, version) for version in versions}
    return tuple(_compare_releases(before, after, sides[before], sides[after]) for before, after in pairwise(versions))


def _look(matrix: Matrix, cell: Cell, line: CellLine, version: str) -> Side | None:
    moved = place_cell(matrix, cell, version)
    known = AskedRelease(engine=cell.engine.id, version=version, by="--good, --bad")
    if known.snapshot is None:
        return None
    kept = keep_fitting(line.patches, known.snapshot, cell.rig.sm)
    asked = replace(line.asked, dense=takes_sparse_out(kept))
    return look_at_release(line.command, asked, known, gather_extra(matrix, moved, kept))


def _compare_releases(before: str, after: str, old: Side | None, new: Side | None) -> ReleaseStep:
    if old is None or new is None:
        unread = f"{before if old is None else after} has no snapshot: nothing is known of this step"
        # as likely as a step without news: an unread release must not draw the search, nor keep it away
        return ReleaseStep(before=before, after=after, weight=1.0, headline=unread, unread=unread)
    found = compare_sides(old, new)
    news = tuple(n for n in found.news if n.applies)
    return ReleaseStep(
        before=before,
        after=after,
        weight=weigh_news(news),
        headline=_summarise_step(found),
        news=news,
        unread="; ".join(found.unread),
    )


def weigh_news(news: Sequence[News]) -> float:
    """Return how likely a step is before anything was asked; 1 is a step without news."""
    # bounded, so that a step with a hundred notes is not thought certain before the first boot
    return min(MOST, 1.0 + sum(DANGER_WEIGHTS[n.danger] * LEVEL_WEIGHTS[n.level] for n in news if n.applies))


def _summarise_step(found: ReleaseComparison) -> str:
    return write_headline(found) if found.news else "nothing known changes for this cell"


def say_news(step: ReleaseStep, most: int = 3) -> Iterator[str]:
    """Yield a line for each of the worst news of a step."""
    for item in step.news[:most]:
        yield f"{item.title}: {item.cause}"
    if len(step.news) > most:
        yield f"and {len(step.news) - most} more: glm-matrix upgrade"
