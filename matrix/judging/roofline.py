"""Bounds of a cell's decode speed: the roofline above, and a published number below. Pure.

    ceiling  bandwidth over the bytes that one token must read (`matrix.judging.published`): faster is no measurement
    floor    a published speed on the same GPU, scaled down to the cell's rig and weights, over `FAR`: slower is far
             below what somebody had, and a reason to look at kernels, power and settings

The roofline only ever lowers a published speed: eight GPUs are not asked for twice the speed of four, nor four-bit
weights for twice that of eight bits, since small steps are bound by latency. Where a GPU has no published number, the
smallest share of the roofline that any source reached stands in, and such a floor is expected: nobody has measured it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from matrix.hardware import Rig
from matrix.judging.extremes import find_smallest
from matrix.judging.published import compute_decode_limit
from matrix.model import Cell, Checkpoint
from matrix.recorded import Claim, Measurement

# What sources call sound on one rig differs by 1.5 (KV splits 8 and 64 at 16k tokens), and the broken setting that one
# of them names by 4.3 (the same at 150k, 5.2 against 22.4 tok/s: docs/sources/004.md). A third lies between.
FAR: Final = 3.0
INPUT: Final = ("input_tokens", "prompt_tokens", "context_tokens")
# Of a prompt: up to here lengths count as one, since they cost a tenth (46.5 tok/s after 256 tokens, 41.8 after 4,096:
# docs/sources/004.md). Behind longer ones the cache weighs.
SHORT_TOKENS: Final = 4096
MTP: Final = "mtp"
SLOW_BY_DESIGN: Final = frozenset({"eager"})  # shows what each launch of a kernel costs, which no roofline knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A decode speed of one stream, in tok/s, for prompts up to `context` tokens among up to `concurrency` streams."""

    tps: float
    context: int
    concurrency: int
    source: str
    published: bool  # of this GPU; else expected

    def __str__(self) -> str:
        kind = (
            "a third of what is published" if self.published else "expected, from another GPU's share of its roofline"
        )
        return f"{self.tps:.3g} tok/s ({kind}: {self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedBounds:
    """The bounds of one cell. `ceiling` is None where bandwidth or size is not known."""

    ceiling: float | None = None
    floors: tuple[Floor, ...] = ()

    def find_floor(self, context: float, concurrency: float) -> Floor | None:
        """Find the highest floor that was measured under conditions no easier than these, published ones first."""
        harder = [f for f in self.floors if f.context >= context and f.concurrency >= concurrency]
        return max(harder, key=lambda f: (f.published, f.tps), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """One published decode speed, with the rig and the weights it is of."""

    rig: Rig
    checkpoint: Checkpoint
    tps: float
    context: int
    concurrency: int
    drafts: bool
    source: str


def find_bounds(
    cell: Cell, claims: Iterable[Claim], rigs: Mapping[str, Rig], checkpoints: Mapping[str, Checkpoint]
) -> SpeedBounds:
    """Find the bounds of a cell. A canary has no floor: its step is the launch of kernels, whatever it reads."""
    drafts = MTP in cell.features
    ceiling = compute_decode_limit(cell.rig, cell.checkpoint, drafts=drafts)
    if ceiling is None or cell.checkpoint.canary or cell.features & SLOW_BY_DESIGN:
        return SpeedBounds(ceiling=ceiling)
    points = [p for claim in claims for p in _list_points(claim, rigs, checkpoints)]
    # A cell without drafts is not asked for a speed that was reached with them.
    own = [p for p in points if p.rig.gpu.id == cell.rig.gpu.id and (drafts or not p.drafts)]
    floors = [f for p in own if (f := _scale_down(p, cell.rig, cell.checkpoint))]
    return SpeedBounds(ceiling=ceiling, floors=(*floors, *_expect_floor(cell, points)))


def _list_points(claim: Claim, rigs: Mapping[str, Rig], checkpoints: Mapping[str, Checkpoint]) -> Iterator[_Point]:
    rig, checkpoint = rigs.get(str(claim.when.get("rig"))), checkpoints.get(str(claim.when.get("checkpoint")))
    for measured in claim.measurements if rig and checkpoint else ():
        tps, drafts = _read_speed(measured), measured.conditions.get(MTP, _asks_for(claim, MTP))
        context = next((measured.conditions[name] for name in INPUT if name in measured.conditions), None)
        streams = measured.conditions.get("concurrency")
        if tps and isinstance(context, int) and isinstance(streams, int):
            assert rig and checkpoint
            yield _Point(
                rig=rig,
                checkpoint=checkpoint,
                tps=tps,
                context=max(context, SHORT_TOKENS),
                concurrency=streams,
                drafts=bool(drafts),
                source=claim.source,
            )


def _asks_for(claim: Claim, feature: str) -> bool:
    named: Any = claim.when.get("features", ())
    return feature in ((named,) if isinstance(named, str) else named)


def _read_speed(measured: Measurement) -> float | None:
    """Read the decode speed of one stream, in tok/s; None for any other number."""
    match measured.metric:
        case "decode_throughput":
            return measured.value
        case "mean_tpot" | "median_tpot" if measured.value:
            return 1000 / measured.value
        case _:
            return None


def _scale_down(point: _Point, rig: Rig, checkpoint: Checkpoint, *, published: bool = True) -> Floor | None:
    """Scale by the roofline, never up."""
    theirs, ours = _find_limit(point.rig, point.checkpoint), _find_limit(rig, checkpoint)
    if not theirs or not ours:
        return None
    return Floor(
        tps=point.tps * find_smallest([1.0, ours / theirs]) / FAR,
        context=point.context,
        concurrency=point.concurrency,
        source=point.source,
        published=published,
    )


def _expect_floor(cell: Cell, points: Iterable[_Point]) -> Iterator[Floor]:
    """Expect what one stream without drafts that reached the smallest share of its roofline leads to."""
    plain = [p for p in points if (p.concurrency, p.context, p.drafts) == (1, SHORT_TOKENS, False)]
    reached = {p.tps / limit: p for p in plain if (limit := _find_limit(p.rig, p.checkpoint))}
    least = reached.get(find_smallest(reached))
    if least and (floor := _scale_down(least, cell.rig, cell.checkpoint, published=False)):
        yield floor


def _find_limit(rig: Rig, checkpoint: Checkpoint) -> float | None:
    return compute_decode_limit(rig, checkpoint, drafts=False)
