"""A checkpoint directory as data: its JSON files and the headers of its shards, and what they say when held together.

No weights are read (`fixtures.snapshot.checkpoint` reads 8 bytes and a JSON header per shard), so a truncated
download, a missing expert or a quantisation map that names other modules is found before a 300 GB load.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from matrix.preflight import quantisation
from matrix.preflight.pattern import lint
from matrix.preflight.verdict import Level, Remark

Json = Any
LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")
EXPERT = re.compile(r"(?:^|\.)layers\.(\d+)\..*?experts\.(\d+)\.")
# safetensors dtypes -> bits. F4 packs two values into the byte that U8 tensors show in ModelOpt's NVFP4.
DTYPE_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


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


@dataclass(frozen=True, kw_only=True)
class CheckpointFiles:
    """Everything preflight may look at. None = the file is not there; `broken` = there, and not JSON."""

    config: Mapping[str, Json] | None = None
    index: Mapping[str, Json] | None = None
    quant_config: Mapping[str, Json] | None = None  # hf_quant_config.json (ModelOpt)
    tokenizer_config: Mapping[str, Json] | None = None
    has_tokenizer: bool = False  # tokenizer.json
    chat_template: str | None = None
    shards: Mapping[str, Shard] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)  # file -> what is wrong with it

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        return {name: tensor for shard in self.shards.values() for name, tensor in shard.tensors.items()}

    @property
    def weights_bytes(self) -> int:
        return sum(shard.size_bytes for shard in self.shards.values())


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the files say the checkpoint is."""

    architecture: str
    layers: int
    mtp_layers: int
    experts: int
    quantised: Mapping[str, int]  # dtype -> bytes
    weights_bytes: int
    shared_experts_bf16: bool  # beside quantised routed experts: fusing them fails to load (sglang#29562)


def facts(files: CheckpointFiles) -> Facts:
    """The checkpoint as found, not as configured, wherever the headers can tell."""
    config = files.config or {}
    layers = int(config.get("num_hidden_layers", 0))
    present = {int(m.group(1)) for name in files.tensors if (m := LAYER.search(name))}
    sizes: Counter[str] = Counter()
    for tensor in files.tensors.values():
        sizes[tensor.dtype] += tensor.end - tensor.begin
    return Facts(
        architecture=next(iter(config.get("architectures") or [""])),
        layers=layers,
        mtp_layers=len([layer for layer in present if layer >= layers > 0]),
        experts=max((len(found) for found in _experts(files).values()), default=0),
        quantised=dict(sizes),
        weights_bytes=files.weights_bytes,
        shared_experts_bf16=quantisation.shared_experts_bf16(files.tensors),
    )


def judge(files: CheckpointFiles) -> tuple[Remark, ...]:
    """Everything that is wrong or worth knowing, in the order a loader would meet it."""
    return tuple(
        remark
        for part in (_json_files, _shards, _index, _layers, _moe, _quantised, _tokenizer, _pattern)
        for remark in part(files)
    )


def _json_files(files: CheckpointFiles) -> Iterator[Remark]:
    for name, problem in sorted(files.broken.items()):
        yield _remark("error", "broken_file", name, problem)
    if files.config is None and "config.json" not in files.broken:
        yield _remark("error", "missing_file", "config.json", "config.json is missing: no engine knows what this is")
    elif files.config is not None and not files.config.get("architectures"):
        yield _remark("error", "config", "architectures", "config.json names no architecture")
    if not files.shards:
        yield _remark("error", "missing_file", "*.safetensors", "there is no safetensors file")


def _shards(files: CheckpointFiles) -> Iterator[Remark]:
    for name, shard in sorted(files.shards.items()):
        if shard.problem:
            yield _remark("error", "shard_header", name, f"{name}: {shard.problem}")
            continue
        expected = 8 + shard.header_bytes + shard.data_bytes
        if shard.size_bytes != expected:
            word = "truncated" if shard.size_bytes < expected else "too long"
            message = f"{name} is {word}: {shard.size_bytes:,} bytes, its header describes {expected:,}"
            yield _remark("error", "shard_size", name, message)
        for tensor_name, tensor in shard.tensors.items():
            if tensor.expected_bytes not in (None, tensor.end - tensor.begin):
                message = f"{tensor_name} in {name}: {tensor.dtype} {list(tensor.shape)} does not fill its bytes"
                yield _remark("error", "tensor_size", tensor_name, message)


def _index(files: CheckpointFiles) -> Iterator[Remark]:
    if files.index is None:
        if len(files.shards) > 1:
            yield _remark("error", "missing_file", "index", f"{len(files.shards)} shards and no index file")
        return
    listed: Mapping[str, str] = files.index.get("weight_map") or {}
    for name in sorted(set(listed.values()) - set(files.shards)):
        lost = sum(shard == name for shard in listed.values())
        yield _remark("error", "missing_shard", name, f"{name} is missing: the index puts {lost} tensors there")
    for name in sorted(set(files.shards) - set(listed.values())):
        yield _remark("warning", "extra_shard", name, f"{name} is not in the index: no engine will load it")
    where = {tensor: shard for shard, found in files.shards.items() for tensor in found.tensors}
    wrong = [t for t, shard in listed.items() if shard in files.shards and where.get(t) != shard]
    if wrong:
        message = f"{len(wrong)} tensors are not where the index says, first {wrong[0]}"
        yield _remark("error", "index", wrong[0], message)
    total = (files.index.get("metadata") or {}).get("total_size")
    found_bytes = sum(shard.data_bytes for shard in files.shards.values())
    if total is not None and total != found_bytes and set(listed.values()) == set(files.shards):
        message = f"the index states {total:,} bytes of weights, the headers {found_bytes:,}"
        yield _remark("warning", "total_size", "metadata.total_size", message)


def _layers(files: CheckpointFiles) -> Iterator[Remark]:
    if files.config is None or not files.tensors:
        return
    layers = int(files.config.get("num_hidden_layers", 0))
    present = {int(m.group(1)) for name in files.tensors if (m := LAYER.search(name))}
    absent = sorted(set(range(layers)) - present)
    if absent:
        yield _remark("error", "missing_layer", f"layers.{absent[0]}", f"no weights for layers {absent}")
    mtp = len([layer for layer in present if layer >= layers])
    asked = int(files.config.get("num_nextn_predict_layers") or 0)
    if mtp != asked:
        level: Level = "error" if mtp < asked else "note"
        message = f"config.json announces {asked} MTP layers, the shards hold {mtp}"
        yield _remark(level, "mtp_layer", "num_nextn_predict_layers", message)


def _experts(files: CheckpointFiles) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for name in files.tensors:
        if match := EXPERT.search(name):
            found.setdefault(int(match.group(1)), set()).add(int(match.group(2)))
    return found


def _moe(files: CheckpointFiles) -> Iterator[Remark]:
    found, config = _experts(files), files.config or {}
    stated = config.get("n_routed_experts")
    if stated is None or not found:
        return
    for layer, experts in sorted(found.items()):
        if experts != set(range(int(stated))):
            message = f"layer {layer} has {len(experts)} routed experts, config.json says {stated}"
            yield _remark("error", "experts", f"layers.{layer}", message)
    dense = int(config.get("first_k_dense_replace", 0))
    bare = sorted(set(range(dense, int(config.get("num_hidden_layers", 0)))) - set(found))
    if bare:
        yield _remark("error", "experts", f"layers.{bare[0]}", f"layers {bare} should be MoE and have no experts")


def _quantised(files: CheckpointFiles) -> Iterator[Remark]:
    for level, kind, subject, message in quantisation.complaints(files.config, files.quant_config, files.tensors):
        yield _remark(level, kind, subject, message)


def _tokenizer(files: CheckpointFiles) -> Iterator[Remark]:
    if not files.has_tokenizer:
        yield _remark("error", "missing_file", "tokenizer.json", "tokenizer.json is missing")
    name = (files.tokenizer_config or {}).get("tokenizer_class")
    if name == "TokenizersBackend":
        message = "tokenizer_class TokenizersBackend needs transformers 5; transformers 4 cannot load it"
        yield _remark("note", "tokenizer_class", name, message)
    elif not name:
        yield _remark("warning", "tokenizer_class", "tokenizer_config.json", "no tokenizer class is named")
    if files.chat_template is None and not (files.tokenizer_config or {}).get("chat_template"):
        yield _remark("error", "chat_template", "chat_template", "no chat template: chat and tool calls cannot work")


def _pattern(files: CheckpointFiles) -> Iterator[Remark]:
    config = files.config or {}
    if "index_topk_pattern" in config:
        for problem in lint(config["index_topk_pattern"], int(config.get("num_hidden_layers", 0))).problems:
            yield _remark("error", "pattern", "index_topk_pattern", f"index_topk_pattern: {problem}")


def _remark(level: Level, kind: str, subject: str, message: str) -> Remark:
    return Remark(level=level, kind=kind, where="checkpoint", subject=subject, message=message)
