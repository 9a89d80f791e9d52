"""Attention beside AWQ and GPTQ experts: dense is told of the first, packed of the second."""

from __future__ import annotations

import pytest

from tests.matrix.preflight.checkpoints.builders import said, sound, weights
from tests.matrix.preflight.checkpoints.test_quantisation import qweight

EXPERTS = r"mlp\.experts\."
WITH_ATTENTION = r"mlp\.experts\.|self_attn\.(?:q_a|kv_a)_proj"


@pytest.mark.parametrize(
    ("method", "narrow", "told"),
    [
        ("awq", EXPERTS, "dense in a checkpoint of awq"),
        ("awq_marlin", EXPERTS, "dense in a checkpoint of awq_marlin"),
        ("awq", WITH_ATTENTION, ""),
        ("gptq", WITH_ATTENTION, "packed in a checkpoint of gptq"),
        ("gptq", EXPERTS, ""),
        ("compressed-tensors", EXPERTS, ""),
    ],
)
def test_attention_that_one_engine_joins_wrongly_is_told(method: str, narrow: str, told: str) -> None:
    files = sound(qweight(weights(), narrow), quantization_config={"quant_method": method, "bits": 4})
    found = [text for text in said(files) if "joins the two" in text]
    assert len(found) == bool(told) and all(told in text for text in found)
