"""Which layers of a config select, and which share the selection of the layer above, as a release reads it.

    indexer_types            one word a layer, "full" or "shared"
    index_topk_pattern       one letter a layer, F or S
    index_topk_freq, index_skip_topk_offset   layer i shares unless max(i - offset + 1, 0) is a multiple of freq
GLM-5.2 has freq 4 and offset 3: layers 0, 1, 2 and then 6, 10, ... 74 select (21 of 78). Without any key all select.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from matrix.planning.ranks import list_stages

KEYS: Final = ("indexer_types", "index_topk_pattern", "index_topk_freq", "index_skip_topk_offset")
DEFAULT_OFFSET: Final = 2  # vLLM's, and what SGLang's formula without an offset amounts to
MAX_LAYERS: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """`by`: the key that decides, "" where every layer selects. `problems`: why the release could not use it."""

    layers: int
    shared: frozenset[int]
    by: str = ""
    problems: tuple[str, ...] = ()

    @property
    def full(self) -> int:
        return self.layers - len(self.shared)


def read_sharing(config: Mapping[str, Any], keys: tuple[str, ...] = KEYS) -> Sharing | None:
    """Read the sharing of a config with the keys that a release reads; None where the layer count is not known."""
    layers = config.get("num_hidden_layers")
    if not isinstance(layers, int) or isinstance(layers, bool) or not 0 < layers <= MAX_LAYERS:
        return None
    types, pattern = config.get("indexer_types"), config.get("index_topk_pattern")
    if "indexer_types" in keys and isinstance(types, list):
        # a list may go on behind the last layer, for MTP layers: those are none of the model's own
        shared = frozenset(i for i, kind in enumerate(types[:layers]) if kind == "shared")
        return Sharing(layers=layers, shared=shared, by="indexer_types", problems=tuple(_type_problems(types, layers)))
    if "index_topk_pattern" in keys and isinstance(pattern, str):
        shared = frozenset(i for i, letter in enumerate(pattern[:layers]) if letter == "S")
        return Sharing(layers=layers, shared=shared, by="index_topk_pattern")
    return _by_frequency(config, layers, keys)


def _by_frequency(config: Mapping[str, Any], layers: int, keys: tuple[str, ...]) -> Sharing:
    freq, offset = config.get("index_topk_freq"), config.get("index_skip_topk_offset")
    # a frequency of 1 lets every layer select, like none
    if "index_topk_freq" not in keys or not isinstance(freq, int) or isinstance(freq, bool) or freq == 1:
        return Sharing(layers=layers, shared=frozenset())
    if freq < 1:
        return Sharing(
            layers=layers,
            shared=frozenset(),
            by="index_topk_freq",
            problems=(f"index_topk_freq {freq} must be positive",),
        )
    used = (
        offset
        if "index_skip_topk_offset" in keys and isinstance(offset, int) and not isinstance(offset, bool)
        else DEFAULT_OFFSET
    )
    problems = (
        ()
        if used > 0
        else (f"index_skip_topk_offset {used} must be positive: layer 0 would share, with nothing above it",)
    )
    shared = frozenset(i for i in range(layers) if max(i - used + 1, 0) % freq)
    return Sharing(layers=layers, shared=shared, by="index_topk_freq", problems=problems)


def _type_problems(types: list[Any], layers: int) -> list[str]:
    found = [
        f"only 'full' and 'shared' are types, found {w!r}" for w in sorted({str(t) for t in types} - {"full", "shared"})
    ]
    if len(types) < layers:
        found.append(f"indexer_types has {len(types)} entries for {layers} layers")
    if types[:1] == ["shared"]:
        found.append("the first layer has nothing above it to share, so it must be full")
    return found


def stage_starts(layers: int, stages: int, *, engine: str, partition: str = "") -> tuple[int, ...] | None:
    """Return the first layer of every pipeline stage; None if the partition does not fit.

    SGLang gives what is left over to the last stages, vLLM to those before the last.
    """
    if partition:
        try:
            sizes = [int(part) for part in partition.split(",")]
        except ValueError:
            return None
        if len(sizes) != stages or sum(sizes) != layers:
            return None
    else:
        # without a partition each engine has a rule of its own for the layers that are left over
        sizes = list_stages(layers, stages, engine)
    return tuple(sum(sizes[:i]) for i in range(stages))
