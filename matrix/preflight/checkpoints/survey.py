"""A checkpoint looked over once: its merged config, its counts, and its tensors by layer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from matrix.preflight.checkpoints.architectures import ARCHITECTURES, Architecture
from matrix.preflight.checkpoints.files import CheckpointFiles, Tensor
from matrix.preflight.checkpoints.geometry import Geometry, merge_nested, read_geometry

LAYER = re.compile(r"(?:^|\.)layers\.(\d{1,6})\.(.+)$")
MTP = re.compile(r"(?:^|\.)mtp(?:\.layers)?\.(\d{1,6})\.(.+)$")  # a draft kept apart from the trunk's numbers
OTHER_TOWER = re.compile(r"(?:^|\.)(?:visual|vision\w*|image\w*|audio\w*|multi_modal\w*|mm_\w+)\.")
PACKED = re.compile(r"\.(?:weight|weight_packed|qweight)$")  # one linear layer in one format or another
SCALES = (
    *("weight_scale", "weight_scale_2", "weight_scale_inv", "weight_global_scale", "weight_block_scale", "scale_inv"),
    *("input_scale", "input_global_scale", "activation_scale", "output_scale", "k_scale", "v_scale", "scale", "scales"),
    *("qzeros", "g_idx", "weight_g_idx", "weight_zero_point", "weight_shape", "weight_packed_shape", "pre_quant_scale"),
)
SCALE = re.compile(rf"\.(?:{'|'.join(SCALES)})$")
LINEAR_ATTENTION = re.compile(r"\.(?:A_log|dt_bias|(?:[qkv]_)?conv1d|linear_attn|f_a_proj|b_proj)(?:\.|$)")
MOST_DIGITS = 6
MOST_EXPERTS = 65_536  # a header is a stranger's: it may say a trillion


def split_expert(name: str) -> tuple[str, int | None]:
    """Split the expert's number from a name, replaced by N. A checkpoint has 200,000 of them: no regex.

    >>> split_expert("mlp.experts.17.up_proj.weight")
    ('mlp.experts.N.up_proj.weight', 17)
    """
    head, found, tail = name.partition("experts.")
    number, dot, rest = tail.partition(".")
    plain = found and dot and number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS
    if not plain or (head and not head.endswith(".")):
        return name, None
    return f"{head}experts.N.{rest}", int(number)


def is_scale(name: str) -> bool:
    return SCALE.search(f".{name}") is not None


@lru_cache(maxsize=1024)
def _of_another_tower(prefix: str) -> bool:
    return OTHER_TOWER.search(prefix) is not None


@dataclass(frozen=True)
class Survey:
    """What every check asks. `config` is merged with its nested language model."""

    files: CheckpointFiles

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return merge_nested(self.files.config or {})

    @cached_property
    def geometry(self) -> Geometry:
        return read_geometry(self.config)

    @property
    def architecture_name(self) -> str:
        named = (self.files.config or {}).get("architectures")
        first = named[0] if isinstance(named, list) and named else ""
        return first if isinstance(first, str) else ""

    @property
    def architecture(self) -> Architecture | None:
        return ARCHITECTURES.get(self.architecture_name)

    @property
    def known_whole(self) -> bool:
        """Whether all of the class is known: only then is what a class decides an error."""
        return self.architecture is not None and not self.architecture.partly

    @property
    def uses_indexers(self) -> bool:
        known = self.architecture
        return known.dsa if known else bool(self.indexer_parts)

    @cached_property
    def by_layer(self) -> dict[int, dict[str, Tensor]]:
        """Layer -> the rest of the name (`self_attn.o_proj.weight`) -> tensor; drafts follow the trunk."""
        found: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self.files.tensors.items():
            if (place := self.locate(name)) is not None:
                found.setdefault(place[0], {})[place[1]] = tensor
        return found

    def locate(self, name: str) -> tuple[int, str] | None:
        """Split a name into its layer and the rest; None outside the language model's layers."""
        # the cheap test first: a checkpoint has 200,000 names, and few of them are drafts
        if "mtp" in name and (match := MTP.search(name)):
            # behind the trunk, where engines number drafts, so that both ways of storing one meet the same checks
            return (self.geometry.layers or 0) + int(match[1]), match[2]
        match = LAYER.search(name)
        if match is None or _of_another_tower(name[: match.start() + 1]):
            return None
        return int(match[1]), match[2]

    @cached_property
    def kinds(self) -> dict[int, Counter[str]]:
        """Layer -> how often each name occurs, experts without their numbers."""
        return {layer: Counter(split_expert(rest)[0] for rest in held) for layer, held in self.by_layer.items()}

    @cached_property
    def modules(self) -> dict[str, dict[str, Tensor]]:
        """Module -> what it holds: `weight`, `weight_scale`, ..."""
        found: dict[str, dict[str, Tensor]] = {}
        for name, tensor in self.files.tensors.items():
            module, _, last = name.rpartition(".")
            found.setdefault(module, {})[last] = tensor
        return found

    @cached_property
    def trunk(self) -> list[int]:
        """Layers of the trunk that the config announces and the shards hold."""
        return sorted(layer for layer in self.by_layer if layer < (self.geometry.layers or 0))

    @cached_property
    def drafts(self) -> list[int]:
        """Layers behind the trunk: MTP."""
        layers = self.geometry.layers
        # without a count of layers nobody can tell a draft from the trunk
        return [] if layers is None else sorted(layer for layer in self.by_layer if layer >= layers)

    @cached_property
    def experts(self) -> dict[int, set[int]]:
        """Layer -> the numbers of its routed experts."""
        found: dict[int, set[int]] = {}
        for layer, tensors in self.by_layer.items():
            numbers = {number for rest in tensors if (number := split_expert(rest)[1]) is not None}
            # all experts of a layer in one tensor: its first dimension counts them
            fused = [t.shape[0] for rest, t in tensors.items() if "mlp.experts." in rest and len(t.shape) == 3]
            if numbers or fused:
                found[layer] = numbers or set(range(min(*fused, MOST_EXPERTS)))
        return found

    @cached_property
    def indexer_parts(self) -> dict[int, set[str]]:
        """Layer -> the parts of its indexer, as `wk.weight`."""
        found: dict[int, set[str]] = {}
        for layer, names in self.kinds.items():
            held = (PACKED.sub(".weight", name) for name in names if ".indexer." in f".{name}" and not is_scale(name))
            parts = {name.split("indexer.", 1)[1] for name in held}
            if parts:
                found[layer] = parts
        return found

    @cached_property
    def linear_attention(self) -> set[int]:
        """Layers whose attention is linear and has nothing to select."""
        types = self.config.get("layer_types")
        # by name or by tensors: converters keep layer_types, and quantised forks lose it
        named = types if isinstance(types, list) else []
        stated = {i for i, each in enumerate(named[: self.geometry.layers or 0]) if "linear" in str(each)[:40]}
        return stated | {
            layer for layer, names in self.kinds.items() if any(LINEAR_ATTENTION.search(f".{n}") for n in names)
        }
