"""The linear layers of a checkpoint as they are stored, which both the map and the axis are held against."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from matrix.preflight.checkpoints.files import Tensor
from matrix.preflight.checkpoints.survey import OTHER_TOWER, SCALES, Survey, split_expert

WIDE = ("BF16", "F16", "F32", "F64")
LINEAR = ("weight", "weight_packed", "qweight")  # the last is GPTQ's and AWQ's
SCALE_NAMES = frozenset(SCALES)
# Every engine builds these wide, whatever the map says: embeddings, heads, routers, norms, the indexer's head weights,
# the MTP layer's eh_proj. A wide lm_head is no fault (vllm#57532).
NEVER_NARROW = re.compile(
    r"(?:^|\.)(?:embed_tokens|embed_\w+|lm_head|output|head|shared_head|mlp\.gate|gate|router|shared_expert_gate|weights_proj|"
    r"eh_proj|\w*norm|conv1d|\w+_conv1d|patch_embed\w*)$|(?:^|\.)shared_head\.|router\."
)


@dataclass(frozen=True)
class Linear:
    """One linear layer's weight as stored."""

    name: str
    module: str
    tensor: Tensor
    layer: int | None
    alike: str  # the module with its expert's number written N: 60,000 experts have one answer
    kind: str  # the same without its layer
    beside: frozenset[str]  # scales of the module

    @property
    def narrow(self) -> bool:
        return self.tensor.dtype not in WIDE

    @property
    def may_be_wide(self) -> bool:
        return _is_never_narrow(self.alike)


@lru_cache(maxsize=16_384)
def _is_never_narrow(module: str) -> bool:
    return NEVER_NARROW.search(module) is not None or OTHER_TOWER.search(f"{module}.") is not None


@lru_cache(maxsize=16_384)
def _kind_of(module: str) -> str:
    return re.sub(r"^.*?layers\.\d+\.", "", module)


def iterate_linears(survey: Survey) -> Iterator[Linear]:
    """Yield every weight with two dimensions: fused experts have three, and norms one."""
    for module, held in survey.modules.items():
        for last in LINEAR:
            tensor = held.get(last)
            if tensor is not None and len(tensor.shape) == 2:
                place, alike = survey.locate(f"{module}.{last}"), split_expert(f"{module}.")[0].removesuffix(".")
                yield Linear(
                    name=f"{module}.{last}",
                    module=module,
                    tensor=tensor,
                    layer=place[0] if place else None,
                    alike=alike,
                    kind=_kind_of(alike),
                    beside=SCALE_NAMES.intersection(held),
                )
