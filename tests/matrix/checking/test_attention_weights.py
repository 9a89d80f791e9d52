"""What says how attention is stored: tensor names, then the map, then the axes; nothing where nobody says."""

from __future__ import annotations

from typing import Any

import pytest

from matrix.checking.attention_weights import add_attention_weights
from matrix.checking.model_config import describe_model
from matrix.checking.settings import UNKNOWN

AWQ = {"quant_method": "awq", "bits": 4, "modules_to_not_convert": ["self_attn"]}
Q, KV = "model.layers.3.self_attn.q_a_proj", "model.layers.3.self_attn.kv_a_proj_with_mqa"


def read(
    name: str = "/w", config: Any = None, tensors: frozenset[str] = frozenset(), flag: Any = None
) -> tuple[Any, ...]:
    model = describe_model(name, config, tensors)
    facts: dict[str, Any] = {"quantization": flag, "layers": 4}
    add_attention_weights(facts, model, model.config)
    return facts["a_proj_joined_along"], facts["dense_a_proj"], facts["packed_a_proj"]


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"config": {"quantization_config": AWQ}}, (1, True, False)),
        ({"config": {"quantization_config": {**AWQ, "modules_to_not_convert": None}}}, (1, False, True)),
        # the files beat a map that leaves out what it means
        (
            {"config": {"quantization_config": AWQ}, "tensors": frozenset({f"{Q}.qweight", f"{KV}.qweight"})},
            (1, False, True),
        ),
        (
            {"config": {"quantization_config": AWQ}, "tensors": frozenset({f"{Q}.qweight", f"{KV}.weight"})},
            (1, True, True),
        ),
        ({"config": {"quantization_config": AWQ}, "flag": "marlin"}, (1, True, False)),
        (
            {"config": {"quantization_config": {"quant_method": "gptq", "bits": 4}}, "flag": "moe_wna16"},
            (1, False, True),
        ),
        ({"config": {}}, (0, True, False)),
        ({"config": {"quantization_config": {"quant_method": "fp8"}}}, (0, False, False)),
        ({"name": "QuantTrio/GLM-5.1-AWQ"}, (1, True, False)),
        ({"name": "0xSero/GLM-5.1-555B-W4A16"}, (0, False, True)),
        ({"name": "somebody/GLM-5.1-AWQ"}, (UNKNOWN, UNKNOWN, UNKNOWN)),
        ({"config": {"quantization_config": {**AWQ, "modules_to_not_convert": "self_attn"}}}, (1, UNKNOWN, UNKNOWN)),
    ],
)
def test_what_the_loader_meets(about: dict[str, Any], told: tuple[Any, ...]) -> None:
    assert read(**about) == told
