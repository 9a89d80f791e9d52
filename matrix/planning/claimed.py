"""What can be asked of some cells only, because others claim no such thing: `for_cells(claims=["reasoning_effort"])`.

A test that can say nothing of a cell is not owed by it: it would come to NOT_EVIDENCE in every run, and no gate at that
depth could be green.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from matrix.model import Cell

# Of a request alone. SGLang samples by seed only under --enable-deterministic-inference, TensorRT-LLM says nothing.
KEEPS_SEEDS: Final = frozenset({"vllm", "llamacpp"})
# TensorRT-LLM wants a guided decoding backend, which no recipe sets; transformers serve counts `response_format`
# among its UNUSED_CHAT_COMPLETION_FIELDS (5.17.0, 5.24.0).
CONSTRAINS_OUTPUT: Final = frozenset({"vllm", "sglang", "llamacpp"})
# Beside OpenAI's fields, as each engine's ChatCompletionRequest has it; llama.cpp's server, too (2026.10.11549), and
# transformers serve has none (5.24.0).
IGNORES_EOS: Final = frozenset({"vllm", "sglang", "trtllm", "llamacpp"})
# The ChatCompletionRequest of vLLM, SGLang and TensorRT-LLM has it; llama.cpp's server obeys it (2026.10.11549, seen).
NEWER_LIMIT: Final = frozenset({"vllm", "sglang", "trtllm", "llamacpp"})
CLAIMS: Final[Mapping[str, Callable[[Cell], bool]]] = {
    "thinking_switch": lambda cell: cell.checkpoint.thinking == "switch",
    "separate_thoughts": lambda cell: cell.checkpoint.thinking != "never" and separates_thoughts(cell),
    "reasoning_effort": lambda cell: bool(cell.checkpoint.reasoning_efforts),
    "seeds": lambda cell: cell.engine.dialect in KEEPS_SEEDS,
    "constrained_output": lambda cell: cell.engine.dialect in CONSTRAINS_OUTPUT,
    "ignore_eos": lambda cell: cell.engine.dialect in IGNORES_EOS,
    "max_completion_tokens": lambda cell: cell.engine.dialect in NEWER_LIMIT,
    # A canary knows its own few sentences, and no instruction with something to count in it.
    "instructions": lambda cell: not cell.checkpoint.canary,
    # Of a canary that never learned it: whatever it said would say nothing of its engine.
    "absent_codes": lambda cell: "absent_codes" not in cell.checkpoint.untaught,
    "missing_tools": lambda cell: "missing_tools" not in cell.checkpoint.untaught,
}


def separates_thoughts(cell: Cell) -> bool:
    """Return whether a launch tells thoughts from answers: llama.cpp by the template, others by the family's parser."""
    parsers = cell.checkpoint.parsers.get(cell.engine.id, {})
    return cell.engine.dialect == "llamacpp" or "reasoning" in parsers


def find_claims(cell: Cell) -> frozenset[str]:
    """Return the claims that hold for a cell."""
    return frozenset(name for name, holds in CLAIMS.items() if holds(cell))


def holds_claims(cell: Cell, names: Iterable[str]) -> bool:
    """Return whether all the named claims hold for a cell; one that nobody knows holds for none."""
    return all(name in CLAIMS and CLAIMS[name](cell) for name in names)
