"""Rotary embedding, stated flat (`rope_theta`, `rope_scaling`) or nested (`rope_parameters`, transformers 5).

GLM-5 and 5.1 have theta 1e6, GLM-5.2 8e6 and only in the nested form: a flat value that a converter left behind is read
by the engines that know no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from matrix.errors import suggest_nearest
from matrix.preflight.checkpoints.remark import make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Remark

NESTED, SCALING = "rope_parameters", "rope_scaling"
TYPES = ("rope_type", "type")
SCALES = ("factor", "original_max_position_embeddings", "mscale", "mscale_all_dim", "beta_fast", "beta_slow")
# By transformers 5.24.0 (ROPE_INIT_FUNCTIONS, ALL of its config classes) and get_rope of vLLM 0.33.0, together.
KINDS = frozenset(
    """
    default linear dynamic yarn longrope llama3 proportional ntk mrope bailing_mrope mllama4 xdrope deepseek_yarn
    deepseek_llama_scaling openpangu su
    """.split()  # noqa: SIM905
)
WITH_FACTOR = frozenset({"linear", "dynamic", "yarn", "ntk", "deepseek_yarn"})
GIBBERISH = "positions turn at another speed: short answers look right, long ones and needles are lost"


def judge_rope(survey: Survey) -> Iterator[Remark]:
    config = survey.config
    for key in (NESTED, SCALING):
        if config.get(key) is not None and not isinstance(config[key], Mapping):
            yield make_remark(
                "error",
                "rope",
                key,
                f"config.json: {key}: expected an object, got {type(config[key]).__name__}",
                effect="the engine stops while it reads the config",
                remedy="write it as an object",
            )
    thetas = dict(_find_thetas(config))
    for where, value in thetas.items():
        if not _is_positive(value):
            yield make_remark(
                "error", "rope", where, f"config.json: {where}: expected a positive number, got {str(value)[:40]}"
            )
    # of the sound ones alone: a text beside a number has been told, and cannot be compared as a number
    yield from _thetas_apart({where: value for where, value in thetas.items() if _is_positive(value)})
    yield from _scalings_apart(config)
    yield from _check_scaling(survey)
    yield from _find_missing(survey, thetas)
    yield from _check_indexer(survey)


def _find_thetas(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if config.get("rope_theta") is not None:
        yield "rope_theta", config["rope_theta"]
    for key in (NESTED, SCALING):
        inside = config.get(key)
        if not isinstance(inside, Mapping):
            continue
        if inside.get("rope_theta") is not None:
            yield f"{key}.rope_theta", inside["rope_theta"]
        for kind, each in inside.items():  # one object a layer type: {"full_attention": {...}}
            if isinstance(each, Mapping) and each.get("rope_theta") is not None and kind == "full_attention":
                yield f"{key}.{kind}.rope_theta", each["rope_theta"]


def _is_positive(value: Any) -> TypeGuard[float]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def _thetas_apart(thetas: Mapping[str, Any]) -> Iterator[Remark]:
    if len(set(map(float, thetas.values()))) > 1:
        said = " and ".join(f"{where} {value:g}" for where, value in thetas.items())
        yield make_remark(
            "error",
            "rope",
            "rope_theta",
            f"config.json states two rope thetas, flat and nested: {said}",
            effect=f"which one counts depends on the engine and its transformers; with the wrong one {GIBBERISH}",
            remedy=f"keep the source's value in {NESTED} and drop the flat one",
        )


def _scalings_apart(config: Mapping[str, Any]) -> Iterator[Remark]:
    new, old = config.get(NESTED), config.get(SCALING)
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return
    # without a type both mean the plain rotation, so an absent word is no difference
    kinds = [next((str(each[t]) for t in TYPES if each.get(t)), "default") for each in (new, old)]
    pairs = {"rope_type": kinds} if kinds[0] != kinds[1] else {}
    pairs |= {k: [new[k], old[k]] for k in SCALES if k in new and k in old and new[k] != old[k]}
    if pairs:
        said = ", ".join(f"{key} {str(a)[:30]} and {str(b)[:30]}" for key, (a, b) in pairs.items())
        yield make_remark(
            "error",
            "rope",
            SCALING,
            f"{NESTED} and {SCALING} disagree: {said}",
            effect=f"which one counts depends on the engine; with the wrong one {GIBBERISH}",
            remedy=f"keep {NESTED} alone",
        )


def _check_scaling(survey: Survey) -> Iterator[Remark]:
    """Check the scaling that counts: its type, its factor, and how far the two reach."""
    config = survey.config
    found: Mapping[str, Any] = next(
        (config[key] for key in (NESTED, SCALING) if isinstance(config.get(key), Mapping)), {}
    )
    kind = next((found[t] for t in TYPES if isinstance(found.get(t), str)), "default")
    if kind not in KINDS:
        near = suggest_nearest(kind, KINDS)
        yield make_remark(
            "error",
            "rope",
            "rope_type",
            f"config.json: rope_type {kind[:40]!r} is none that transformers and vLLM have{near}",
            effect="the model cannot be built: unknown RoPE scaling type",
            remedy="the source's rope_type",
        )
    if kind not in WITH_FACTOR:
        return
    factor, trained = found.get("factor"), found.get("original_max_position_embeddings")
    if not _is_positive(factor):
        yield make_remark(
            "error",
            "rope",
            "factor",
            f"config.json: rope_type {kind} wants a factor above 0, got {str(factor)[:40]}",
            effect="the model cannot be built",
            remedy="factor: how many times the trained window is meant",
        )
    elif factor < 1:
        yield make_remark(
            "warning",
            "rope",
            "factor",
            f"config.json: rope_type {kind} with a factor of {factor:g} shortens the window",
            effect=GIBBERISH,
            remedy="a factor of 1 or more",
        )
    elif _is_positive(trained) and survey.geometry.context and factor * trained < survey.geometry.context:
        yield make_remark(
            "warning",
            "rope",
            "factor",
            f"max_position_embeddings is {survey.geometry.context:,}, and {kind} reaches {int(factor * trained):,}"
            f" (factor {factor:g} of {trained:,})",
            effect="vLLM serves the shorter window; SGLang takes the longer one, beyond what the rotation was made for",
            remedy="a larger factor, or the window that it reaches",
        )


def _find_missing(survey: Survey, thetas: Mapping[str, Any]) -> Iterator[Remark]:
    rotates = survey.geometry.rope != 0  # GLM-5.3-Flash has rope-free attention
    if thetas or not survey.geometry.whole or survey.architecture is None or not rotates:
        return
    yield make_remark(
        "warning",
        "rope",
        "rope_theta",
        "config.json states no rope theta, flat or nested",
        effect=f"each engine takes the default of its own class; with the wrong one {GIBBERISH}",
        remedy=f"copy {NESTED} from the source's config",
    )


def _check_indexer(survey: Survey) -> Iterator[Remark]:
    known = survey.architecture
    if known is None or not known.dsa or known.partly or not survey.geometry.whole:
        return
    stated = survey.config.get("indexer_rope_interleave")
    # absent counts as false, as the classes read it: right for DeepSeek-V3.2's indexer, wrong for GLM-5's
    if bool(stated) == known.indexer_interleaved:
        return
    means = (
        "states no indexer_rope_interleave" if stated is None else f"says indexer_rope_interleave {str(stated)[:20]}"
    )
    order = "interleaved" if known.indexer_interleaved else "half-split"
    yield make_remark(
        "warning",
        "rope",
        "indexer_rope_interleave",
        f"config.json {means}, and the indexer of {survey.architecture_name} turns {order}",
        effect="the indexer looks for other positions: worse with length, nothing to see on short prompts",
        remedy=f"indexer_rope_interleave: {str(known.indexer_interleaved).lower()}",
    )
