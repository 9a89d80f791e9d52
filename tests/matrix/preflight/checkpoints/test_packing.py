"""Formats of packed weights: what another method packed, what lacks a scale, and sound checkpoints of four formats.

Planted before the linter was asked. AWQ and GPTQ under each other's name were met with silence then.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from matrix.preflight.checkpoint import CheckpointFiles, judge_checkpoint
from matrix.preflight.checkpoints.files import Tensor
from matrix.preflight.checkpoints.packing import find_packing
from tests.matrix.preflight.checkpoints.builders import Weights, narrowed, show, sound, weights, without

EXPERTS = r"mlp\.experts\."
GROUP = 16
LEFT = ["lm_head", "self_attn", "mlp.gate", "eh_proj", "layers.0.mlp", "shared_experts"]
AWQ: dict[str, Any] = {
    "quant_method": "awq",
    "bits": 4,
    "group_size": GROUP,
    "zero_point": True,
    "modules_to_not_convert": LEFT,
}
GPTQ: dict[str, Any] = {
    "quant_method": "gptq",
    "bits": 4,
    "group_size": GROUP,
    "sym": True,
    "dynamic": {f"-:.*{name}.*": {} for name in LEFT},
}
IGNORE = [
    f"re:.*{name}.*"
    for name in ("self_attn", "mlp\\.gate$", "eh_proj", "layers\\.0\\.mlp", "shared_experts", "lm_head")
]


def grouped(form: str, size: int) -> dict[str, Any]:
    asked = {"num_bits": 4, "type": "float", "group_size": size, "strategy": "group"}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": asked}},
        "ignore": IGNORE,
    }


NVFP4, MXFP4 = grouped("nvfp4-pack-quantized", 16), grouped("mxfp4-pack-quantized", 32)


def integers(packed_as: str) -> Weights:
    """Experts in int4, as AWQ or GPTQ packs them."""
    found: Weights = {}
    for name, (was, shape) in weights().items():
        module = name.removesuffix(".weight")
        if len(shape) != 2 or not re.search(EXPERTS, module):
            found[name] = (was, shape)
            continue
        outputs, inputs = shape
        found[f"{module}.qweight"] = ("I32", (inputs, outputs // 8) if packed_as == "awq" else (inputs // 8, outputs))
        found[f"{module}.qzeros"] = ("I32", (inputs // GROUP, outputs // 8))
        found[f"{module}.scales"] = ("F16", (inputs // GROUP, outputs))
    return found


def packed_nvfp4() -> Weights:
    def scales(rows: int, columns: int) -> Weights:
        return {"weight_scale": ("F8_E4M3", (rows, columns // 16)), "weight_global_scale": ("F32", (1,))}

    return narrowed(weights(), EXPERTS, scales, "U8", pack=2, name="weight_packed")


def packed_mxfp4(size: int) -> Weights:
    def scales(rows: int, columns: int) -> Weights:
        return {"weight_scale": ("U8", (rows, -(-columns // size)))}

    return narrowed(weights(), EXPERTS, scales, "U8", pack=2, name="weight_packed")


def told(held: Weights, about: dict[str, Any]) -> list[str]:
    return [show(r) for r in judge_checkpoint(made(held, about)) if r.level != "note"]


def made(held: Weights, about: dict[str, Any]) -> CheckpointFiles:
    return sound(held, quantization_config=about)


@pytest.mark.parametrize(
    ("held", "about", "words"),
    [
        (integers("gptq"), AWQ, "error packing: .*awq.*as gptq packs them"),
        (integers("awq"), GPTQ, "error packing: .*gptq.*as awq packs them"),
        (without(integers("awq"), r"layers\.2\..*qzeros"), AWQ, "error missing_scale: .*qzeros"),
        (without(packed_nvfp4(), r"layers\.3\.mlp\.experts\.1\.up_proj\.weight_global"), NVFP4, "weight_global_scale"),
        (packed_mxfp4(16), MXFP4, "error scale_shape: "),
        (packed_nvfp4(), {**NVFP4, "ignore": "lm_head"}, "error quantisation_map: .*expected a list"),
    ],
    ids=["awq_as_gptq", "gptq_as_awq", "no_zero_points", "no_global_scale", "scales_of_16", "a_word_for_a_list"],
)
def test_packed_weights_that_their_map_does_not_describe_are_told(
    held: Weights, about: dict[str, Any], words: str
) -> None:
    assert any(re.search(words, each) for each in told(held, about)), told(held, about)


@pytest.mark.parametrize(
    ("held", "about"),
    [
        (integers("awq"), AWQ),
        (integers("gptq"), GPTQ),
        (packed_nvfp4(), NVFP4),
        (packed_mxfp4(32), MXFP4),
        (without(integers("gptq"), "nothing|qzeros"), {**GPTQ, "quant_method": "gptq_marlin"}),
    ],
    ids=["awq", "gptq", "nvfp4", "mxfp4", "gptq_marlin"],
)
def test_sound_packed_weights_are_passed(held: Weights, about: dict[str, Any]) -> None:
    assert told(held, about) == []


def test_a_weight_whose_scales_fit_neither_way_is_not_judged() -> None:
    weight, scales = Tensor("I32", (4, 4), 0, 64), Tensor("F16", (2, 7), 64, 92)
    assert find_packing({"qweight": weight, "scales": scales}, 8) is None
    assert find_packing({"qweight": weight}, 8) is None
