"""Constants of config.json that no tensor decides: a wrong one loads without a word and answers worse, or noise.

What a class computes with is fixed by its training; only values that no model can have been trained with, or that the
other files contradict, are told. A key that is absent leaves the class's default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from matrix.preflight.checkpoints.remark import make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Remark

# key -> lowest and highest value that a model can have; the lowest is excluded
SCALARS: Final = {
    "rms_norm_eps": (0.0, 1e-3),
    "routed_scaling_factor": (0.0, 100.0),
    "attention_factor": (0.0, 10.0),
    "initializer_range": (0.0, 1.0),
}
CORRECTION: Final = "mlp.gate.e_score_correction_bias"  # a router that has learnt it scores with a sigmoid
NOISE: Final = "every layer computes with it, and no load fails"


def judge_constants(survey: Survey) -> Iterator[Remark]:
    # bounds are those of the classes that are known; another class may mean something else by a key
    if survey.architecture is None:
        return
    yield from _check_scalars(survey)
    yield from _check_router(survey)
    activation = survey.config.get("hidden_act")
    if activation not in (None, "silu", "swish"):
        yield make_remark(
            "error",
            "constant",
            "hidden_act",
            f"config.json says hidden_act {str(activation)[:40]!r}",
            effect=f"{survey.architecture_name} is built with silu alone: the engine refuses, or computes with silu",
            remedy="hidden_act: silu",
        )


def _check_scalars(survey: Survey) -> Iterator[Remark]:
    for key, (low, high) in SCALARS.items():
        value = survey.config.get(key)
        if value is None:
            continue
        # JSON as Python reads it has NaN and Infinity, and True is a number to isinstance
        numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not numeric or not low < value <= high:
            yield make_remark(
                "error",
                "constant",
                key,
                f"config.json: {key}: expected a number above {low:g} and up to {high:g}, got {str(value)[:40]}",
                effect=NOISE,
                remedy=f"the source's {key}",
            )


def _check_router(survey: Survey) -> Iterator[Remark]:
    biased = any(rest == CORRECTION for rests in survey.by_layer.values() for rest in rests)
    scores = survey.config.get("scoring_func")
    if biased and scores not in (None, "sigmoid"):
        yield make_remark(
            "warning",
            "constant",
            "scoring_func",
            f"config.json says scoring_func {str(scores)[:40]!r}, and the routers have a correction bias",
            effect="that bias was learnt beside sigmoid scores: other experts are chosen, and no load fails",
            remedy="scoring_func: sigmoid",
        )
    if (
        biased
        and survey.config.get("norm_topk_prob") is False
        and survey.config.get("routed_scaling_factor")
        not in (
            None,
            1,
        )
    ):
        yield make_remark(
            "warning",
            "constant",
            "norm_topk_prob",
            "config.json says norm_topk_prob false beside a routed_scaling_factor",
            effect="weights of experts that do not add up to one are scaled all the same: every MoE layer is too loud",
            remedy="norm_topk_prob: true",
        )
