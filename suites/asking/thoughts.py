"""Says of which launches thoughts can be told from answers; of the others nothing is claimed."""

from __future__ import annotations

import pytest

from matrix.model import Cell


def require_separate_thoughts(cell: Cell) -> None:
    """Skip where nothing can be said: the model never thinks, or the launch has no parser that tells thoughts apart."""
    if cell.checkpoint.thinking == "never":
        pytest.skip(f"NOT_EVIDENCE: {cell.checkpoint.family} never thinks")
    if not separates_thoughts(cell):
        pytest.skip(f"NOT_EVIDENCE: {cell.engine.id} is launched without a reasoning parser")


def separates_thoughts(cell: Cell) -> bool:
    """Return whether a launch tells thoughts from answers: llama.cpp by the template, others by the family's parser."""
    parsers = cell.checkpoint.parsers.get(cell.engine.id, {})
    return cell.engine.dialect == "llamacpp" or "reasoning" in parsers
