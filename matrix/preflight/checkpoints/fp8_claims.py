"""What an fp8 map says of its scales, against the tensors: blocks left out, static scales that nobody stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from matrix.preflight.checkpoints.geometry import nested_in
from matrix.preflight.checkpoints.remark import make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Remark

BLOCK_SCALE: Final = ".weight_scale_inv"
INPUT_SCALES: Final = (".input_scale", ".activation_scale")


def judge_fp8_claims(survey: Survey) -> Iterator[Remark]:
    config = survey.files.config or {}
    about = config.get("quantization_config") or nested_in(config).get("quantization_config")
    if not isinstance(about, Mapping) or about.get("quant_method") != "fp8":
        return
    yield from _check_blocks(survey, about)
    yield from _check_static(survey, about)
    layout = about.get("fmt")
    if layout not in (None, "e4m3", "float8_e4m3fn"):
        yield make_remark(
            "warning",
            "quantisation",
            "fmt",
            f"quantization_config says fmt {str(layout)[:40]!r}",
            effect="the engines' parameters are E4M3 whatever it says; a reader that believes it decodes other numbers",
            remedy="fmt: e4m3, as the weights are stored",
        )


def _check_blocks(survey: Survey, about: Mapping[str, Any]) -> Iterator[Remark]:
    scaled = [n for n, t in survey.files.tensors.items() if n.endswith(BLOCK_SCALE) and _is_matrix(t.shape)]
    if scaled and about.get("weight_block_size") is None:
        yield make_remark(
            "error",
            "quantisation",
            "weight_block_size",
            f"{len(scaled)} weights have a scale for each block, as {scaled[0]}, and no weight_block_size is stated",
            effect="engines build one scale a tensor under another name: the load ends, or the scales are left out",
            remedy="weight_block_size: [128, 128], or the size that the scales' shapes say",
        )


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2


def _check_static(survey: Survey, about: Mapping[str, Any]) -> Iterator[Remark]:
    if about.get("activation_scheme") != "static":
        return
    stored = any(name.endswith(INPUT_SCALES) for name in survey.files.tensors)
    if about.get("weight_block_size") is not None:
        fact = "activation_scheme static beside weight_block_size"
        effect = "vLLM and SGLang take blocks with dynamic activations alone: ValueError"
    elif survey.files.tensors and not stored:
        fact = "activation_scheme static, and no input_scale is stored"
        effect = "activations are divided by what memory held: noise, or NaN"
    else:
        return
    yield make_remark(
        "error", "quantisation", "activation_scheme", fact, effect=effect, remedy="activation_scheme: dynamic"
    )
