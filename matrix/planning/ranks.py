"""How a launch lays its model over GPUs, and what that asks of the checkpoint.

gpus = pp x tp            a stage holds some of the layers, its tp ranks split their heads
tp = dp x pcp x attention_tp   the heads are split less: requests are spread over dp, the tokens of a prompt over pcp
ep                        ranks over which the experts are spread; else every rank holds a slice of all
dcp                       ranks of one attention group over which a sequence's keys are spread
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal, NamedTuple

from matrix.model import Cell
from matrix.yaml.loaded import Matrix
from matrix.yaml.variants import ALL, DIMENSIONS

__all__ = ["DIMENSIONS", "ONE", "LaunchFault", "Ranks", "find_wrong_ranks", "list_stages", "read_pattern", "read_ranks"]


class LaunchFault(NamedTuple):
    """Why a launch cannot be laid out or lacks a part, in the words of an exclusion."""

    rule: str
    status: Literal["INVALID_HW", "INVALID_COMBO"]
    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Sizes of a launch's groups. All ones: a single GPU."""

    gpus: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    dcp: int = 1
    pcp: int = 1

    @property
    def tp(self) -> int:
        """Ranks of one stage."""
        return max(1, self.gpus // self.pp)

    @property
    def attention_tp(self) -> int:
        """Ranks over which one request's heads are split."""
        return max(1, self.tp // self.dp // self.pcp)


BLIND: Final = "stage_begins_with_a_sharing_layer"
ONE: Final = Ranks()  # a single GPU


def read_ranks(matrix: Matrix, cell: Cell) -> Ranks:
    """Read the sizes off the cell's rig and features."""
    gpus = max(1, cell.rig.gpus)
    asked = {k: v for name in cell.features for k, v in matrix.features[name].ranks.items()}
    return Ranks(gpus=gpus, **{k: gpus if v == ALL else int(v) for k, v in asked.items()})


def list_stages(layers: int, stages: int, dialect: str) -> list[int]:
    """Count the layers of each stage, as the engine's own get_pp_indices deals them out.

    What is left over goes to the last stages in SGLang, and from the last but one backwards in vLLM.
    """
    sizes, left = [layers // stages] * stages, layers % stages
    for i in range(left):
        sizes[-1 - i if dialect == "sglang" else -2 - i] += 1
    return sizes


def read_pattern(cell: Cell) -> str:
    """Return how the cell's layers select (F) or share (S), by IndexCache or by the checkpoint's own config."""
    checkpoint = cell.checkpoint
    shares = "indexcache" in cell.features or checkpoint.index_sharing == "checkpoint"
    return (checkpoint.index_topk_pattern if shares else None) or "F" * checkpoint.layers


def find_wrong_ranks(matrix: Matrix, cell: Cell) -> Iterator[LaunchFault]:
    """Find why the cell's layout cannot be launched: too few GPUs, what does not divide, a stage that cannot select."""
    laid = [f for name in sorted(cell.features) if (f := matrix.features[name]).ranks]
    if not laid:
        return
    source = f"{cell.checkpoint.source}; {laid[0].source}"
    ranks, checkpoint = read_ranks(matrix, cell), cell.checkpoint
    wanted = max(ranks.pp, ranks.dp, ranks.ep, ranks.dcp, ranks.pcp)
    if wanted < 2 or ranks.gpus % wanted:
        need = f"a multiple of {wanted} GPUs" if wanted > 1 else "two GPUs or more"
        reason = f"the layout needs {need}, {cell.rig.id} has {ranks.gpus}"
        yield LaunchFault("ranks_need_gpus", "INVALID_HW", reason, laid[0].source)
        return
    for size, what, many in (
        (ranks.ep, "experts", checkpoint.experts),
        (ranks.attention_tp, "heads", checkpoint.heads),
        (ranks.dcp, "ranks of tensor parallelism", ranks.attention_tp),
    ):
        if many % size:
            yield LaunchFault("ranks_divide", "INVALID_COMBO", f"{size} ranks do not divide {many} {what}", source)
    yield from (LaunchFault(BLIND, "INVALID_COMBO", reason, source) for reason in _find_blind_stages(cell, ranks))


def _find_blind_stages(cell: Cell, ranks: Ranks) -> Iterator[str]:
    """Find each stage that begins with a sharing layer and is handed no selection to share."""
    if ranks.pp == 1 or cell.release.stage_hands_over:
        return
    if cell.checkpoint.index_sharing == "checkpoint" and not cell.checkpoint.index_topk_pattern:
        reason = (
            f"no source states which layers of {cell.checkpoint.id} share, so no stage's first layer is known to select"
        )
        yield reason
        return
    sizes, pattern = list_stages(cell.checkpoint.layers, ranks.pp, cell.engine.dialect), read_pattern(cell)
    # The first stage begins with layer 0, which selects in every pattern.
    for start in list(accumulate(sizes))[:-1]:
        if pattern[start] == "S":
            yield (
                f"a stage of {ranks.pp} begins at layer {start}, which shares the selection of layer"
                f" {pattern.rindex('F', 0, start)}, and {cell.release.id} hands no selection from stage to stage:"
                " that layer would attend to whatever its buffer holds"
            )
