"""The files of a checkpoint as data. No weights: of a shard its size and its header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

Json = Any
# safetensors dtypes -> bits. F4 packs two values into the byte that U8 tensors show in ModelOpt's NVFP4.
DTYPE_BITS = {
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "F32": 32,
    "I32": 32,
    "U32": 32,
    "F16": 16,
    "BF16": 16,
    "I16": 16,
    "U16": 16,
    "I8": 8,
    "U8": 8,
    "BOOL": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}


@dataclass(frozen=True)
class Tensor:
    """One entry of a safetensors header; offsets are bytes into the data part."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def expected_bytes(self) -> int | None:
        bits = DTYPE_BITS.get(self.dtype)
        # a dtype that is newer than this table proves nothing
        return None if bits is None else prod(self.shape) * bits // 8


@dataclass(frozen=True)
class Shard:
    """One weights file: its size on disk and its header. `problem` when the header cannot be read."""

    size_bytes: int
    header_bytes: int = 0
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    problem: str = ""

    @property
    def data_bytes(self) -> int:
        return max((t.end for t in self.tensors.values()), default=0)


@dataclass(frozen=True)
class Tokenizer:
    """What tokenizer.json says: one more than its highest id, and the added tokens by their text."""

    size: int
    added: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class CheckpointFiles:
    """Everything preflight may look at. None = the file is not there; `broken` = there, and not readable."""

    config: Mapping[str, Json] | None = None
    index: Mapping[str, Json] | None = None
    quant_config: Mapping[str, Json] | None = None  # hf_quant_config.json (ModelOpt)
    tokenizer_config: Mapping[str, Json] | None = None
    generation_config: Mapping[str, Json] | None = None
    has_tokenizer: bool = False  # tokenizer.json
    tokenizer: Tokenizer | None = None  # None: not there, or not read
    chat_template: str | None = None
    card: str | None = None  # README.md, the model card
    shards: Mapping[str, Shard] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)  # file -> what is wrong with it
    missing_code: tuple[str, ...] = ()  # files of Python that config.json's auto_map names and that are not there
    whole: bool = False  # a directory was read: a file that is None was looked for and is not there

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        return {name: tensor for shard in self.shards.values() for name, tensor in shard.tensors.items()}

    @property
    def weights_bytes(self) -> int:
        return sum(shard.size_bytes for shard in self.shards.values())
