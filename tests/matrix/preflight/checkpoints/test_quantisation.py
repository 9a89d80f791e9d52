"""Quantisation maps in each dialect against what is stored: excluded is wide, the rest narrow, with scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from matrix.preflight.checkpoint import CheckpointFiles
from matrix.preflight.checkpoints.quant_map import matches_module
from tests.matrix.preflight.checkpoints.builders import (
    LAYERS,
    Weights,
    block_fp8,
    narrowed,
    nvfp4,
    said,
    says,
    sound,
    weights,
    without,
)

TRUNK_EXPERTS = r"layers\.[1-7]\.mlp\.experts\."
ALL_EXPERTS = r"\.mlp\.experts\."
EVERY_LINEAR = r"self_attn\.(?:q_a|q_b|kv_a|kv_b|o)|indexer\.(?:wk|wq_b)|mlp\.(?:up|gate_|down)|experts"


def int4(held: Weights, which: str) -> Weights:
    """compressed-tensors, packed in int32."""

    def scales(rows: int, columns: int) -> Weights:
        return {"weight_scale": ("BF16", (rows, 1)), "weight_shape": ("I64", (2,))}

    return narrowed(held, which, scales, "I32", pack=8, name="weight_packed")


def ct_nvfp4(held: Weights, which: str) -> Weights:
    def scales(rows: int, columns: int) -> Weights:
        return {"weight_scale": ("F8_E4M3", (rows, -(-columns // 16))), "weight_global_scale": ("F32", (1,))}

    return narrowed(held, which, scales, "U8", pack=2, name="weight_packed")


def qweight(held: Weights, which: str) -> Weights:
    """GPTQ and AWQ."""

    def scales(rows: int, columns: int) -> Weights:
        return {"scales": ("F16", (1, rows)), "qzeros": ("I32", (1, rows // 8))}

    return narrowed(held, which, scales, "I32", pack=8, name="qweight")


def mxfp4(held: Weights, which: str) -> Weights:
    return narrowed(held, which, lambda r, c: {"weight_scale": ("U8", (r, -(-c // 32)))}, "U8", pack=2)


OTHERS = ["self_attn", "mlp.shared_experts", "layers.0.mlp"]
GROUP = {"weights": {"num_bits": 4, "type": "float", "group_size": 16}, "targets": ["Linear"]}
INT_GROUP = {"weights": {"num_bits": 4, "type": "int", "group_size": 128}, "targets": ["Linear"]}
# dialect -> (weights narrowed in the experts, the map with {} for what is left alone besides, its list's key)
Dialect = tuple[Callable[[Weights, str], Weights], Callable[[list[str]], dict[str, Any]]]
DIALECTS: dict[str, Dialect] = {
    "modelopt": (
        nvfp4,
        lambda mtp: {
            "quant_method": "modelopt",
            "quant_algo": "NVFP4",
            "ignore": ["*self_attn*", "*shared_experts*", "model.layers.0.mlp*", *(f"model.{m}*" for m in mtp)],
        },
    ),
    "modelopt exclude_modules": (
        nvfp4,
        lambda mtp: {"quant_method": "modelopt", "quant_algo": "NVFP4", "exclude_modules": [*OTHERS, *mtp]},
    ),
    "compressed-tensors nvfp4": (
        ct_nvfp4,
        lambda mtp: {
            "quant_method": "compressed-tensors",
            "format": "nvfp4-pack-quantized",
            "config_groups": {"group_0": GROUP},
            "ignore": [
                "re:.*self_attn.*",
                "re:.*shared_experts.*",
                "re:.*layers[.]0[.]mlp.*",
                *(f"re:.*{m}[.].*" for m in mtp),
            ],
        },
    ),
    "compressed-tensors int4": (
        int4,
        lambda mtp: {
            "quant_method": "compressed-tensors",
            "config_groups": {"g": INT_GROUP},
            "ignore": [*OTHERS, *mtp],
        },
    ),
    "gptq": (
        qweight,
        lambda mtp: {"quant_method": "gptq", "bits": 4, "dynamic": {rf"-:.*{m}\b": {} for m in [*OTHERS, *mtp]}},
    ),
    "awq": (qweight, lambda mtp: {"quant_method": "awq", "bits": 4, "modules_to_not_convert": [*OTHERS, *mtp]}),
    "quark": (
        mxfp4,
        lambda mtp: {
            "quant_method": "quark",
            "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32}},
            "exclude": ["re:.*self_attn.*", "*shared_experts*", "*layers.0.mlp*", *(f"re:.*{m}[.].*" for m in mtp)],
        },
    ),
    "quark layer config": (
        mxfp4,
        lambda mtp: {
            "quant_method": "quark",
            "layer_quant_config": {m: {"weight": None} for m in [*OTHERS, *mtp]},
        },
    ),
    "auto-round": (
        qweight,
        lambda mtp: {
            "quant_method": "auto-round",
            "bits": 4,
            "extra_config": {m: {"bits": 16} for m in [*OTHERS, *mtp]},
        },
    ),
}
MTP = f"layers.{LAYERS}"


def quantised(dialect: str, *, wide_mtp: bool, listed: bool, prefix: str = "model.") -> CheckpointFiles:
    narrow, about = DIALECTS[dialect]
    held = narrow(weights(prefix=prefix), TRUNK_EXPERTS if wide_mtp else ALL_EXPERTS)
    return sound(held, quantization_config=about([MTP] if listed else []))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_map_that_fits_is_quiet(dialect: str) -> None:
    for files in (
        quantised(dialect, wide_mtp=True, listed=True),
        quantised(dialect, wide_mtp=True, listed=True, prefix="language_model.model."),
    ):
        assert said(files, "error", "warning", "unknown") == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("prefix", ["model.", "model.language_model."])
def test_a_wide_mtp_block_that_no_list_names_is_an_error(dialect: str, prefix: str) -> None:
    found = quantised(dialect, wide_mtp=True, listed=False, prefix=prefix)
    assert says(
        found, "error", "wide_not_excluded", "MTP", "layers.8", "16.bit", "exclude|ignore|list", "size mismatch"
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_narrow_mtp_block_that_the_list_names_is_an_error(dialect: str) -> None:
    found = quantised(dialect, wide_mtp=False, listed=True)
    assert says(found, "error", "quantisation", "excluded modules are quantised", "layers.8")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_scale_that_is_lost_is_an_error(dialect: str) -> None:
    narrow, about = DIALECTS[dialect]
    held = without(narrow(weights(), TRUNK_EXPERTS), r"layers\.3\.mlp\.experts\.1\.up_proj\.(?:weight_scale|scales)$")
    found = sound(held, quantization_config=about([MTP]))
    assert says(found, "error", "missing_scale", "1 quantised weights have no (weight_scale|scales)", "layers.3")


def test_a_wide_part_of_the_trunk_that_no_list_names_is_an_error() -> None:
    about = {
        "quant_method": "modelopt",
        "quant_algo": "NVFP4",
        "ignore": ["*self_attn*", "*layers.0.mlp*", "*layers.8*"],
    }
    found = sound(nvfp4(weights(), TRUNK_EXPERTS), quantization_config=about)
    assert says(found, "error", "wide_not_excluded", "trunk", "shared_experts", "BF16")


@pytest.mark.parametrize("named", [[], ["lm_head"], ["*lm_head*"]], ids=str)
def test_a_wide_head_router_and_embedding_are_no_fault(named: list[str]) -> None:
    about = {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": [*named, *OTHERS, MTP]}
    assert said(sound(nvfp4(weights(), TRUNK_EXPERTS), quantization_config=about), "error", "warning") == []


def test_a_narrow_head_is_a_warning_and_a_narrow_embedding_an_error() -> None:
    about = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    assert says(
        sound(block_fp8(weights(), "lm_head|" + EVERY_LINEAR), quantization_config=about),
        "warning",
        "quantisation",
        "head",
    )
    found = sound(block_fp8(weights(), "embed|" + EVERY_LINEAR), quantization_config=about)
    assert says(found, "error", "quantisation", "embedding is quantised")


def test_block_fp8_without_a_list_is_how_deepseek_publishes_and_quiet() -> None:
    about = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    assert said(sound(block_fp8(weights(), EVERY_LINEAR), quantization_config=about)) == []


OTHER_MAPS: list[tuple[str, dict[str, Any], str]] = [
    ("nvfp4", {"quant_method": "fp8", "weight_block_size": [128, 128]}, "says fp8, .* U8"),
    ("nvfp4", {"quant_method": "modelopt", "quant_algo": "FP8"}, "says fp8, .* U8"),
    ("fp8", {"quant_method": "modelopt", "quant_algo": "NVFP4"}, "says nvfp4, .* F8_E4M3"),
    ("fp8", {"quant_method": "awq", "bits": 4}, "says int4, .* F8_E4M3"),
]


@pytest.mark.parametrize(("stored", "about", "words"), OTHER_MAPS, ids=[w for *_, w in OTHER_MAPS])
def test_a_map_of_another_format_is_an_error(stored: str, about: dict[str, Any], words: str) -> None:
    held = {"nvfp4": nvfp4, "fp8": block_fp8}[stored](weights(), EVERY_LINEAR)
    assert says(sound(held, quantization_config=about), "error", "quantisation", words)


@pytest.mark.parametrize(
    ("narrow", "about", "words"),
    [
        (block_fp8, {"quant_method": "fp8", "weight_block_size": [16, 16]}, "another shape.*weight_scale_inv"),
        (nvfp4, {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 8}, "another shape.*weight_scale"),
    ],
    ids=["blocks", "groups"],
)
def test_scales_of_another_size_are_an_error(
    narrow: Callable[[Weights, str], Weights], about: dict[str, Any], words: str
) -> None:
    assert says(sound(narrow(weights(), EVERY_LINEAR), quantization_config=about), "error", "scale_shape", words)


def test_a_scale_without_its_weight_is_an_error() -> None:
    held = weights() | {"model.layers.2.self_attn.o_proj.weight_scale_inv": ("F32", (1, 1))}
    about = {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": ["self_attn"]}
    found = sound(block_fp8(held, ALL_EXPERTS), quantization_config=about)
    assert says(found, "error", "orphan_scale", "1 scales belong to no quantised weight")


def test_a_map_over_wide_weights_and_narrow_weights_without_a_map_are_errors() -> None:
    assert says(sound(quantization_config={"quant_method": "fp8"}), "error", "quantisation", "no tensor is")
    assert says(sound(nvfp4(weights(), TRUNK_EXPERTS)), "error", "quantisation", "no file says how")


OWN = {"quant_algo": "NVFP4", "group_size": 16, "kv_cache_quant_algo": None, "exclude_modules": [*OTHERS, MTP]}
MIRROR = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": [*OTHERS, MTP]}
APART: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"quant_algo": "FP8"}, "algorithm nvfp4 and fp8"),
    ({}, {"group_size": 32}, "group size 16 and 32"),
    ({}, {"exclude_modules": OTHERS}, "12 modules are left alone by one.*layers.8"),
    ({"ignore": [*OTHERS, MTP, "layers.3"]}, {}, "12 modules are left alone by one.*layers.3"),
    ({"kv_cache_scheme": {"num_bits": 8, "type": "float"}}, {}, "kv cache fp8 and none"),
]


def two_maps(mirror: dict[str, Any], own: dict[str, Any]) -> CheckpointFiles:
    found = sound(nvfp4(weights(), TRUNK_EXPERTS), quantization_config={**MIRROR, **mirror})
    return replace(found, quant_config={"producer": {"name": "modelopt"}, "quantization": {**OWN, **own}})


@pytest.mark.parametrize(("mirror", "own", "words"), APART, ids=[w for *_, w in APART])
def test_two_maps_that_disagree_are_an_error(mirror: dict[str, Any], own: dict[str, Any], words: str) -> None:
    found = two_maps(mirror, own)
    assert says(found, "error", "quantisation_maps", "config.json.*hf_quant_config.json.* disagree", words), said(found)


@pytest.mark.parametrize(
    ("mirror", "own"),
    [
        ({}, {}),
        ({"ignore": [f"re:.*{m}.*" for m in [*OTHERS, MTP]]}, {}),
        ({}, {"exclude_modules": ["lm_head", *OTHERS, f"model.{MTP}*"]}),
        ({"kv_cache_scheme": None}, {}),
    ],
    ids=["equal", "regex", "head named by one", "no cache said twice"],
)
def test_two_maps_that_mean_the_same_are_quiet(mirror: dict[str, Any], own: dict[str, Any]) -> None:
    assert said(two_maps(mirror, own), "error", "warning") == []


def test_a_narrow_kv_cache_that_has_no_scales_is_a_note() -> None:
    found = two_maps({"kv_cache_scheme": {"num_bits": 8, "type": "float"}}, {"kv_cache_quant_algo": "FP8"})
    assert says(found, "note", "kv_cache", "claims a KV cache in fp8")


MALFORMED: list[tuple[Any, str, str]] = [
    ("fp8", "error", "expected an object, got str"),
    ({"quant_algo": "NVFP4"}, "error", "no quant_method"),
    ({"quant_method": "modelpt"}, "unknown", "did you mean 'modelopt'"),
    ({"quant_method": "fp8", "modules_to_not_convert": "lm_head"}, "error", "expected a list of module names"),
    ({"quant_method": "fp8", "weight_block_size": 128}, "error", "expected two counts"),
    ({"quant_method": "fp8", "ignore": ["re:("]}, "error", "no regular expression"),
    ({"quant_method": "fp8", "ignore": ["re:(a+)+$"]}, "error", "may never end"),
    ({"quant_method": "fp8", "ignore": ["re:(?:a|aa)*$"]}, "error", "may never end"),
    ({"quant_method": "fp8", "ignore": ["x" * 5000]}, "error", "5,000 characters"),
]


@pytest.mark.parametrize(("about", "level", "words"), MALFORMED, ids=[w for *_, w in MALFORMED])
def test_a_malformed_map_is_one_remark(about: Any, level: str, words: str) -> None:
    found = sound(block_fp8(weights(), EVERY_LINEAR), quantization_config=about)
    assert says(found, level, "quantisation_map", words), said(found)


PATTERNS = [
    ("lm_head", "lm_head", True),
    ("model.layers.8", "model.layers.8.mlp.experts.0.up_proj", True),
    ("model.layers.8", "model.layers.80.mlp.experts.0.up_proj", False),
    ("layers.8", "language_model.model.layers.8.mlp.gate", True),
    ("model.layers.8*", "model.language_model.layers.8.mlp.gate", True),
    ("*.mlp.gate", "model.layers.3.mlp.gate_proj", False),
    ("mlp.gate", "model.layers.3.mlp.gate_proj", False),
    ("gate_up_proj", "model.layers.3.mlp.gate_proj", True),
    ("*fused_qkv_a_proj_with_mqa", "model.layers.3.self_attn.q_a_proj", True),
    ("re:.*self_attn.*", "model.layers.3.self_attn.o_proj", True),
    ("re:^layers[.]3[.].*", "model.layers.3.self_attn.o_proj", True),
    ("re:.*layers[.]30[.].*", "model.layers.3.self_attn.o_proj", False),
]


@pytest.mark.parametrize(("pattern", "module", "covers"), PATTERNS, ids=[f"{p}-{m}" for p, m, _ in PATTERNS])
def test_a_pattern_covers_whole_parts_of_a_name(pattern: str, module: str, covers: bool) -> None:
    assert matches_module(pattern, module) is covers


def test_a_map_in_modelopts_own_file_alone_counts() -> None:
    own = {**OWN, "exclude_modules": OTHERS}
    found = replace(sound(nvfp4(weights(), TRUNK_EXPERTS)), quant_config={"quantization": own})
    assert says(found, "error", "wide_not_excluded", "layers.8", "exclude_modules of hf_quant_config.json")
    whole = replace(found, quant_config={"quantization": OWN})
    assert said(whole, "error", "warning") == []


def test_an_indexer_in_another_format_than_its_likes_lacks_nothing() -> None:
    held = qweight(weights(), r"layers\.[12]\..*indexer\.wk")
    about = {"quant_method": "gptq", "bits": 4, "dynamic": {"-:(?!.*layers[.][12][.].*indexer[.]wk)": {}}}
    assert said(sound(held, quantization_config=about), "error", "warning") == []


@pytest.mark.parametrize("which", [r"mlp\.gate$", r"weights_proj$", r"eh_proj$"])
def test_what_engines_build_wide_and_is_stored_narrow_is_a_warning(which: str) -> None:
    about = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    found = sound(block_fp8(weights(), f"{which}|{EVERY_LINEAR}"), quantization_config=about)
    assert says(found, "warning", "quantisation", "engines build 16-bit", which.rstrip("$").replace("\\", ""))


def test_the_other_layout_of_fp8_is_told() -> None:
    """The engines' parameters are float8_e4m3fn, whatever the map says."""
    narrow = block_fp8(weights(), ALL_EXPERTS)
    other = {name: ("F8_E5M2" if was == "F8_E4M3" else was, shape) for name, (was, shape) in narrow.items()}
    config = {
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
        "modules_to_not_convert": ["self_attn", "lm_head"],
    }
    assert says(sound(other, quantization_config=config), "warning", "quantisation", "F8_E5M2")
    assert not says(sound(narrow, quantization_config=config), "warning", "quantisation", "F8_E5M2")


BLOCKS = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"weight_block_size": None}, "error", "no weight_block_size is stated"),
        ({"activation_scheme": "static"}, "error", "static beside weight_block_size"),
        ({"fmt": "e5m2"}, "warning", "fmt 'e5m2'"),
    ],
)
def test_what_an_fp8_map_says_of_its_scales_is_held_against_them(
    change: dict[str, Any], level: str, words: str
) -> None:
    held = block_fp8(weights(), EVERY_LINEAR)
    assert said(sound(held, quantization_config=BLOCKS)) == []
    about = {key: value for key, value in {**BLOCKS, **change}.items() if value is not None}
    assert says(sound(held, quantization_config=about), level, "quantisation", words)


def test_static_activations_want_a_stored_scale() -> None:
    about = {"quant_method": "fp8", "activation_scheme": "static"}
    held = narrowed(weights(), EVERY_LINEAR, lambda r, c: {"weight_scale": ("F32", (1,))}, "F8_E4M3")
    assert says(sound(held, quantization_config=about), "error", "quantisation", "no input_scale is stored")
    scaled = held | {"model.layers.3.self_attn.o_proj.input_scale": ("F32", (1,))}
    assert not says(sound(scaled, quantization_config=about), "error", "quantisation", "input_scale is stored")
