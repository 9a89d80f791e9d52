"""Checkpoint preflight on invented headers: every fault is found, and a sound checkpoint has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from matrix.checkout import CHECKOUT
from matrix.preflight.checkpoint import CheckpointFiles, Shard, Tensor, judge_checkpoint, read_facts

CONFIG: dict[str, Any] = {
    "architectures": ["GlmMoeDsaForCausalLM"],
    "num_hidden_layers": 2,
    "first_k_dense_replace": 1,
    "n_routed_experts": 2,
    "num_nextn_predict_layers": 1,
    "index_topk_pattern": "FS",
    "index_topk": 2048,
}
HEADER_BYTES = 100
TEMPLATE = (CHECKOUT / "fixtures" / "canary" / "hf" / "chat_template.jinja").read_text("utf-8")


def tensors(names: dict[str, str], rows: int = 2) -> dict[str, Tensor]:
    """Tensors of `rows` x 2 laid end to end; dtype by name."""
    size = {"BF16": 2, "U8": 1, "F8_E4M3": 1, "I32": 4}
    out, at = {}, 0
    for name, dtype in names.items():
        end = at + rows * 2 * size[dtype]
        out[name] = Tensor(dtype, (rows, 2), at, end)
        at = end
    return out


def shard(names: dict[str, str]) -> Shard:
    made = tensors(names)
    return Shard(8 + HEADER_BYTES + max(t.end for t in made.values()), HEADER_BYTES, made)


TRUNK = {"model.layers.0.mlp.up_proj.weight": "BF16", "model.layers.1.self_attn.o_proj.weight": "BF16"}
TRUNK |= {f"model.layers.{layer}.self_attn.indexer.wk.weight": "BF16" for layer in (0, 2)}
MOE = {f"model.layers.{layer}.mlp.experts.{e}.up_proj.weight": "U8" for layer in (1, 2) for e in (0, 1)}
SCALES = {f"{name}_scale": "F8_E4M3" for name in MOE}
SHARED = {"model.layers.1.mlp.shared_experts.up_proj.weight": "BF16"}


def sound() -> CheckpointFiles:
    shards = {"a.safetensors": shard(TRUNK), "b.safetensors": shard({**MOE, **SCALES, **SHARED})}
    weight_map = {tensor: name for name, s in shards.items() for tensor in s.tensors}
    total = sum(s.data_bytes for s in shards.values())
    return CheckpointFiles(
        config={
            **CONFIG,
            "quantization_config": {
                "quant_method": "modelopt",
                "ignore": ["model.layers.0*", "re:.*self_attn.*", "*shared_experts*"],
            },
        },
        index={"metadata": {"total_size": total}, "weight_map": weight_map},
        tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast"},
        has_tokenizer=True,
        chat_template=TEMPLATE,
        shards=shards,
    )


def kinds(files: CheckpointFiles) -> list[tuple[str, str]]:
    return [(r.level, r.kind) for r in judge_checkpoint(files)]


def with_shard(files: CheckpointFiles, name: str, new: Shard) -> CheckpointFiles:
    return replace(files, shards={**files.shards, name: new})


def without(files: CheckpointFiles, name: str) -> CheckpointFiles:
    return replace(files, shards={k: v for k, v in files.shards.items() if k != name})


def config(files: CheckpointFiles, **changes: Any) -> CheckpointFiles:
    return replace(files, config={**(files.config or {}), **changes})


def test_a_sound_checkpoint_has_only_the_note_about_its_16_bit_shared_experts() -> None:
    assert kinds(sound()) == [("note", "shared_experts")]
    found = read_facts(sound())
    assert (found.layers, found.mtp_layers, found.experts) == (2, 1, 2)
    assert found.shared_experts_bf16
    assert found.quantised == {"BF16": 8 * 5, "U8": 4 * 4, "F8_E4M3": 4 * 4}


FAULTS: list[tuple[str, Callable[[CheckpointFiles], CheckpointFiles], tuple[str, str]]] = [
    ("no config", lambda f: replace(f, config=None), ("error", "missing_file")),
    ("broken config", lambda f: replace(f, config=None, broken={"config.json": "x"}), ("error", "broken_file")),
    ("no architecture", lambda f: config(f, architectures=[]), ("error", "config")),
    ("no index", lambda f: replace(f, index=None), ("error", "missing_file")),
    ("lost shard", lambda f: without(f, "b.safetensors"), ("error", "missing_shard")),
    ("stray shard", lambda f: with_shard(f, "c.safetensors", shard({"x.weight": "BF16"})), ("warning", "extra_shard")),
    (
        "truncated",
        lambda f: with_shard(f, "a.safetensors", replace(f.shards["a.safetensors"], size_bytes=110)),
        ("error", "shard_size"),
    ),
    ("bad header", lambda f: with_shard(f, "a.safetensors", Shard(9, problem="bad")), ("error", "shard_header")),
    (
        "wrong total",
        lambda f: replace(f, index={**(f.index or {}), "metadata": {"total_size": 1}}),
        ("warning", "total_size"),
    ),
    ("more layers", lambda f: config(f, num_hidden_layers=5), ("error", "missing_layer")),
    ("no MTP layer", lambda f: config(f, num_hidden_layers=3), ("error", "mtp_layer")),
    ("silent MTP layer", lambda f: config(f, num_nextn_predict_layers=0), ("note", "mtp_layer")),
    ("more experts", lambda f: config(f, n_routed_experts=3), ("error", "experts")),
    ("dense MoE layer", lambda f: config(f, first_k_dense_replace=0), ("error", "experts")),
    ("no tokenizer", lambda f: replace(f, has_tokenizer=False), ("error", "missing_file")),
    ("no class", lambda f: replace(f, tokenizer_config={}), ("warning", "tokenizer_class")),
    (
        "transformers 5",
        lambda f: replace(f, tokenizer_config={"tokenizer_class": "TokenizersBackend"}),
        ("note", "tokenizer_class"),
    ),
    ("no template", lambda f: replace(f, chat_template=None), ("error", "chat_template")),
    ("bad pattern", lambda f: config(f, index_topk_pattern="SF"), ("error", "pattern")),
    ("no map", lambda f: config(f, quantization_config=None), ("error", "quantisation")),
    (
        "excluded and quantised",
        lambda f: config(f, quantization_config={"quant_method": "modelopt", "ignore": ["model.layers.1"]}),
        ("error", "quantisation"),
    ),
]


@pytest.mark.parametrize(("damage", "expected"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_every_fault_is_named(damage: Callable[[CheckpointFiles], CheckpointFiles], expected: tuple[str, str]) -> None:
    assert expected in kinds(damage(sound()))


def test_a_tensor_that_does_not_fill_its_bytes_is_found() -> None:
    files = with_shard(sound(), "a.safetensors", Shard(8 + 100 + 8, 100, {"x": Tensor("BF16", (3, 2), 0, 8)}))
    assert ("error", "tensor_size") in kinds(files)


def test_a_map_that_announces_quantisation_over_16_bit_weights_is_found() -> None:
    files = replace(sound(), shards={"a.safetensors": shard(TRUNK)}, index=None)
    assert ("error", "quantisation") in kinds(files)


def gptq(**dynamic: Any) -> CheckpointFiles:
    """Return the sound checkpoint as GPTQ stores it: int32 words named qweight, and patterns that exempt modules."""
    moe = {name.removesuffix("weight") + "qweight": "I32" for name in MOE}
    moe |= {name.removesuffix("weight") + "scales": "BF16" for name in MOE}
    shards = {"a.safetensors": shard(TRUNK), "b.safetensors": shard({**moe, **SHARED})}
    index = {"weight_map": {tensor: name for name, s in shards.items() for tensor in s.tensors}}
    wide: dict[str, dict[str, int]] = {
        pattern: {} for pattern in (r"-:.*self_attn", r"-:.*shared_experts", r"-:.*layers\.0\.mlp")
    }
    about = {"quant_method": "gptq", "bits": 4, "dynamic": {**wide, **dynamic}}
    return config(replace(sound(), shards=shards, index=index), quantization_config=about)


def test_gptq_words_count_as_quantised() -> None:
    assert [kind for level, kind in kinds(gptq()) if level == "error"] == []


def test_a_gptq_module_that_its_own_patterns_exempt_is_found() -> None:
    assert ("error", "quantisation") in kinds(gptq(**{r"-:.*\.experts\..*": {}}))
    assert ("error", "quantisation") not in kinds(gptq(**{r"+:.*\.experts\..*": {"bits": 4}}))
