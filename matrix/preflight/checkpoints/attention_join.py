"""How q_a_proj and kv_a_proj are stored beside AWQ or GPTQ experts: one engine joins them by the method's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from matrix.preflight.checkpoints.quant_map import read_maps
from matrix.preflight.checkpoints.remark import list_some, make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Remark

JOINED: Final = ("q_a_proj", "kv_a_proj_with_mqa")
PACKED_BY: Final = ("awq", "awq_marlin")  # SGLang joins along the outputs of packed weights for these
OTHERS: Final = ("gptq", "gptq_marlin", "gptqmodel")


def judge_attention_join(survey: Survey) -> Iterator[Remark]:
    """Tell attention that SGLang joins along the wrong dimension (fact sglang_joins_a_proj_by_method)."""
    method = next((each.method for each in read_maps(survey.files)), "")
    if method not in (*PACKED_BY, *OTHERS):
        return
    wrong = "weight" if method in PACKED_BY else "qweight"
    named = [name for name, held in survey.modules.items() if name.endswith(JOINED) and wrong in held]
    if named:
        stored = "dense" if wrong == "weight" else "packed"
        yield make_remark(
            "note",  # another engine takes the same files
            "attention_join",
            named[0],
            f"{list_some(named)}: {stored} in a checkpoint of {method}",
            effect="SGLang joins the two by the method's name along the wrong dimension and does not load (#28305)",
            remedy="serve it with vLLM",
        )
