"""What can be asked of some cells only, because others claim no such thing: `for_cells(claims=["reasoning_effort"])`.

A test that can say nothing of a cell is not owed by it: it would come to NOT_EVIDENCE in every run, and no gate at that
depth could be green.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from matrix.model import Cell

# Of a request alone. SGLang samples by seed only under --enable-deterministic-inference, TensorRT-LLM says nothing.
KEEPS_SEEDS: Final = frozenset({"vllm", "llamacpp"})
CLAIMS: Final[Mapping[str, Callable[[Cell], bool]]] = {
    "thinking_switch": lambda cell: cell.checkpoint.thinking == "switch",
    "reasoning_effort": lambda cell: bool(cell.checkpoint.reasoning_efforts),
    "seeds": lambda cell: cell.engine.dialect in KEEPS_SEEDS,
    # A canary knows its own few sentences, and no instruction with something to count in it.
    "instructions": lambda cell: not cell.checkpoint.canary,
}


def find_claims(cell: Cell) -> frozenset[str]:
    """Return the claims that hold for a cell."""
    return frozenset(name for name, holds in CLAIMS.items() if holds(cell))
