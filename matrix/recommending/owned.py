"""A checkpoint directory that somebody has, as the layers above recognise it."""

from __future__ import annotations

from dataclasses import dataclass

from matrix.model import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """The checkpoints of the axis that a directory's facts fit, or the one that is made of its facts."""

    same: tuple[str, ...]  # ids
    new: Checkpoint | None = None
    notes: tuple[str, ...] = ()
