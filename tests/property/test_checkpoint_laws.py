"""Laws of the checkpoint linter: it never raises, finds a fault wherever it lies, and takes two spellings for one."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matrix.checking.sharing import read_sharing
from matrix.preflight.checkpoint import Tensor, Tokenizer, judge_checkpoint, read_facts
from matrix.preflight.checkpoints.geometry import SPELLINGS
from matrix.preflight.checkpoints.quant_map import LISTS, METHODS
from matrix.preflight.checkpoints.sharing import select_layers
from tests.matrix.preflight.checkpoints.builders import (
    CONFIG,
    LAYERS,
    nvfp4,
    said,
    says,
    shard,
    sound,
    weights,
    without,
)

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = sorted(
    {key for keys in SPELLINGS.values() for key in keys}
    | {
        *CONFIG,
        "indexer_types",
        "index_topk_pattern",
        "index_topk_freq",
        "index_skip_topk_offset",
        "rope_theta",
        "rope_scaling",
    }
    | {
        "text_config",
        "quantization_config",
        "compression_config",
        "layer_types",
        "mlp_layer_types",
        "moe_layer_freq",
        "torch_dtype",
    }
    | {"indexer_rope_interleave", "chat_template"}
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.integers(-2, 12),
    st.floats(),
    st.sampled_from(["", "full", "shared", "F", "FS", "re:(", "*", "bfloat16", "GlmMoeDsaForCausalLM", "\0", "\ud800"]),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
FULL_LAYERS = st.sets(st.integers(1, LAYERS - 1)).map(lambda some: some | {0})
MORE_KEYS = ("quantized_layers", "group_size", "weight_block_size", "kv_cache_scheme", "global_quant_config", "format")
MAP_KEYS = st.sampled_from(
    [*LISTS, *MORE_KEYS, "quant_method", "quant_algo", "config_groups", "dynamic", "extra_config", "layer_quant_config"]
)
NARROW = nvfp4(weights(), r"layers\.[1-7]\.mlp\.experts\.")
NAMES = st.sampled_from(sorted(weights())) | st.text(max_size=12)
DTYPES = st.sampled_from(["BF16", "U8", "F8_E4M3", "I32", "F4", "X9", ""])
NUMBERS = st.sampled_from([0, 1, 2, 8, 32, 2**40])


def types_of(full: set[int]) -> list[str]:
    return ["full" if layer in full else "shared" for layer in range(LAYERS)]


def pattern_of(full: set[int]) -> str:
    return "".join(word[0].upper() for word in types_of(full))


@QUICK
@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=8))
def test_no_config_makes_it_raise(changes: dict[str, Any]) -> None:
    files = replace(sound(), config={**CONFIG, **changes})
    for remark in judge_checkpoint(files):
        assert remark.message
        assert len(remark.message) < 2000
    read_facts(files)


@QUICK
@given(st.dictionaries(MAP_KEYS, ANYTHING, max_size=6), st.sampled_from([*METHODS, ""]))
def test_no_quantisation_map_makes_it_raise(about: dict[str, Any], method: str) -> None:
    stated = {"quant_method": method, **about}
    files = replace(sound(NARROW, quantization_config=stated), quant_config={"quantization": about})
    assert judge_checkpoint(files)


@QUICK
@given(st.dictionaries(NAMES, st.tuples(DTYPES, st.lists(NUMBERS, max_size=3), NUMBERS, NUMBERS), max_size=8))
def test_no_header_makes_it_raise(held: dict[str, tuple[str, list[int], int, int]]) -> None:
    made = {
        name: Tensor(dtype, tuple(shape), begin, begin + size) for name, (dtype, shape, begin, size) in held.items()
    }
    files = sound()
    one = replace(files.shards["model.safetensors"], tensors=made)
    judge_checkpoint(replace(files, shards={"model.safetensors": one}))
    read_facts(replace(files, shards={"model.safetensors": one}))


@QUICK
@given(
    st.dictionaries(st.sampled_from(["eos_token_id", "temperature", "top_p", "max_length", "do_sample"]), ANYTHING),
    st.dictionaries(st.sampled_from(["tokenizer_class", "eos_token"]), ANYTHING),
    st.text(max_size=200),
)
def test_no_sampling_default_tokenizer_or_card_makes_it_raise(
    generation: dict[str, Any], tokenizer: dict[str, Any], card: str
) -> None:
    judge_checkpoint(replace(sound(), generation_config=generation, tokenizer_config=tokenizer, card=card))


@QUICK
@given(st.dictionaries(st.sampled_from(["weight_map", "metadata"]), ANYTHING))
def test_no_index_makes_it_raise(index: dict[str, Any]) -> None:
    judge_checkpoint(replace(sound(), index=index))


@QUICK
@given(FULL_LAYERS, st.sampled_from(["indexer_types", "index_topk_pattern"]), st.booleans())
def test_a_selection_that_fits_its_weights_is_quiet_in_every_spelling(full: set[int], key: str, nested: bool) -> None:
    spelling = {key: types_of(full) if key == "indexer_types" else pattern_of(full)}
    held = weights(without_indexer=set(range(LAYERS)) - full)
    config = {"text_config": {"num_hidden_layers": LAYERS, **spelling}} if nested else spelling
    assert said(sound(held, **config)) == []


@QUICK
@given(FULL_LAYERS, st.data())
def test_an_indexer_that_is_lost_is_named_by_its_layer(full: set[int], data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(sorted(full)))
    held = weights(without_indexer=(set(range(LAYERS)) - full) | {lost})
    found = sound(held, indexer_types=types_of(full))
    assert says(found, "error", "indexer", rf"makes layer {lost} full")


@QUICK
@given(FULL_LAYERS, FULL_LAYERS)
def test_two_spellings_agree_or_it_is_an_error(one: set[int], other: set[int]) -> None:
    held = weights(without_indexer=set(range(LAYERS)) - one - other)
    found = sound(held, indexer_types=types_of(one), index_topk_pattern=pattern_of(other))
    assert says(found, "error", "selection", "disagree") == (one != other)


@QUICK
@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 9))
def test_a_frequency_always_begins_with_a_full_layer(layers: int, freq: int, offset: int) -> None:
    (stated,) = select_layers({"index_topk_freq": freq, "index_skip_topk_offset": offset}, layers)
    assert not stated.problems
    assert len(stated.letters) == layers
    assert stated.letters[0] == "F"
    apart = [i for i, letter in enumerate(stated.letters) if letter == "F" and i >= offset]
    assert all(b - a == freq for a, b in pairwise(apart))


@QUICK
@given(FULL_LAYERS, st.integers(1, 9), st.integers(1, 9), st.sampled_from(["types", "pattern", "freq"]))
def test_a_launch_line_and_a_checkpoint_are_read_alike(full: set[int], freq: int, offset: int, key: str) -> None:
    spellings: dict[str, dict[str, Any]] = {
        "types": {"indexer_types": types_of(full)},
        "pattern": {"index_topk_pattern": pattern_of(full)},
        "freq": {"index_topk_freq": freq, "index_skip_topk_offset": offset},
    }
    config = spellings[key]
    read = read_sharing({"num_hidden_layers": LAYERS, **config})
    assert read is not None
    (stated,) = select_layers(config, LAYERS)
    assert read.shared == {i for i, letter in enumerate(stated.letters) if letter == "S"}


@QUICK
@given(st.sampled_from(sorted(name for name in weights() if ".layers." in name or "lm_head" in name)))
def test_a_tensor_that_is_lost_is_never_passed(name: str) -> None:
    assert said(sound(without(weights(), f"^{name}$".replace(".", r"\."))), "error"), name


@QUICK
@given(st.sampled_from(sorted(n for n in NARROW if n.endswith(("weight_scale", "weight_scale_2")))))
def test_a_scale_that_is_lost_is_never_passed(name: str) -> None:
    about = {"quant_method": "modelopt", "quant_algo": "NVFP4"}
    about |= {"ignore": ["*self_attn*", "*shared_experts*", "*layers.0.mlp*", "*layers.8*"]}  # type: ignore[dict-item]
    found = sound(without(NARROW, f"^{name}$".replace(".", r"\.")), quantization_config=about)
    assert says(found, "error", "missing_scale", "1 quantised weights")


@QUICK
@given(st.dictionaries(st.text(max_size=4), ANYTHING, max_size=3))
def test_a_remark_can_always_be_written_as_json(changes: dict[str, Any]) -> None:
    files = replace(sound(), config={**CONFIG, "architectures": ["\ud800"], **changes}, tokenizer=Tokenizer(1, {}))
    assert json.dumps([remark.message for remark in judge_checkpoint(files)])


@QUICK
@given(st.permutations(sorted(weights())))
def test_the_order_of_tensors_does_not_matter(names: list[str]) -> None:
    held = weights()
    files = replace(sound(), shards={"model.safetensors": shard({name: held[name] for name in names})})
    assert said(files) == []
