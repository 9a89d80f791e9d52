"""Shards, their headers and the index: each of them lies in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from matrix.preflight.checkpoint import CheckpointFiles, Shard, Tensor
from tests.matrix.preflight.checkpoints.builders import said, says, shard, sound, weights

Damage = Callable[[CheckpointFiles], CheckpointFiles]
NAMES = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def two() -> CheckpointFiles:
    """Return the sound checkpoint in two shards."""
    held = list(weights().items())
    shards = dict(zip(NAMES, (shard(dict(held[:100])), shard(dict(held[100:]))), strict=True))
    listed = {tensor: name for name, each in shards.items() for tensor in each.tensors}
    total = sum(each.data_bytes for each in shards.values())
    return replace(sound(), shards=shards, index={"metadata": {"total_size": total}, "weight_map": listed})


def index(files: CheckpointFiles, **changes: Any) -> CheckpointFiles:
    return replace(files, index={**(files.index or {}), **changes})


def listed(files: CheckpointFiles, change: Callable[[dict[str, Any]], Any]) -> CheckpointFiles:
    names = dict((files.index or {})["weight_map"])
    change(names)
    return index(files, weight_map=names)


def more(files: CheckpointFiles, **shards: Shard) -> CheckpointFiles:
    return replace(
        files, shards={**files.shards, **{f"{n}.safetensors".replace("__", "-"): s for n, s in shards.items()}}
    )


EXTRA = shard({"model.layers.3.extra.weight": ("BF16", (2,))})
FIRST = next(iter(weights()))
CASES: list[tuple[str, Damage, str, str, str]] = [
    (
        "a shard is gone",
        lambda f: replace(f, shards={NAMES[0]: f.shards[NAMES[0]]}),
        "error",
        "missing_shard",
        "00002-of",
    ),
    ("no index", lambda f: replace(f, index=None), "error", "missing_file", "no index"),
    ("not in the index", lambda f: listed(f, lambda m: m.pop(FIRST)), "error", "index", "1 tensors of the shards"),
    (
        "in no shard",
        lambda f: listed(f, lambda m: m.update(ghost=NAMES[0])),
        "error",
        "index",
        "in no shard, first ghost",
    ),
    ("elsewhere", lambda f: listed(f, lambda m: m.update({FIRST: NAMES[1]})), "error", "index", "not where the index"),
    ("map is a list", lambda f: index(f, weight_map=[]), "error", "index", "expected an object"),
    ("no map", lambda f: replace(f, index={}), "error", "index", "expected an object"),
    ("a number for a shard", lambda f: listed(f, lambda m: m.update(x=7)), "error", "index", "file name, got int"),
    (
        "a path for a shard",
        lambda f: listed(f, lambda m: m.update(x="../../etc/x")),
        "error",
        "index",
        "no file beside",
    ),
    ("a word for a size", lambda f: index(f, metadata={"total_size": "1 GB"}), "warning", "total_size", "'1 GB'"),
    ("another size", lambda f: index(f, metadata={"total_size": 7}), "warning", "total_size", "7 bytes"),
    ("metadata is a list", lambda f: index(f, metadata=[]), "", "", ""),
    ("a stray shard", lambda f: more(f, consolidated=EXTRA), "warning", "extra_shard", "not in the index"),
    (
        "twice",
        lambda f: more(f, again=shard({FIRST: ("BF16", (64, 32))})),
        "error",
        "duplicate",
        "several shards, first model.embed",
    ),
    (
        "another conversion",
        lambda f: more(f, model__00001__of__00003=EXTRA),
        "error",
        "shard_series",
        "2 series lie together",
    ),
]


@pytest.mark.parametrize(("damage", "level", "kind", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_index_and_shards_say_against_each_other(damage: Damage, level: str, kind: str, words: str) -> None:
    found = damage(two())
    assert says(found, level, kind, words) if kind else said(found) == [], said(found)


def test_two_shards_and_their_index_are_quiet() -> None:
    assert said(two()) == []


def test_a_number_that_is_missing_is_found_without_an_index() -> None:
    files = replace(two(), index=None)
    gone = replace(files, shards={NAMES[1]: files.shards[NAMES[1]]})
    assert says(gone, "error", "missing_shard", "shards 1 of 2")


def test_one_tensor_under_two_prefixes_is_a_duplicate() -> None:
    held = weights() | {"language_model.model.norm.weight": ("BF16", (32,))}
    assert says(sound(held), "error", "duplicate", "two prefixes, first norm.weight")


@pytest.mark.parametrize(
    ("tensors", "kind", "words"),
    [
        ({"a": Tensor("BF16", (2,), 0, 4), "b": Tensor("BF16", (2,), 2, 6)}, "tensor_offsets", "overlaps"),
        ({"a": Tensor("BF16", (2,), 0, 4), "b": Tensor("BF16", (2,), 8, 12)}, "tensor_offsets", "hole"),
        ({"a": Tensor("BF16", (3,), 0, 4)}, "tensor_size", "does not fill"),
    ],
    ids=["overlap", "hole", "size"],
)
def test_tensors_lie_end_to_end_and_fill_their_bytes(tensors: dict[str, Tensor], kind: str, words: str) -> None:
    end = max(t.end for t in tensors.values())
    files = replace(sound(), shards={"model.safetensors": Shard(108 + end, 100, tensors)}, index=None)
    assert says(files, "error", kind, words)


def test_a_cut_download_is_one_error_about_its_shard() -> None:
    files = two()
    cut = replace(files.shards[NAMES[0]], size_bytes=4096)
    found = said(replace(files, shards={**files.shards, NAMES[0]: cut}))
    assert len(found) == 1
    assert "truncated: 4,096 bytes" in found[0]
    assert "Remedy" in found[0]
