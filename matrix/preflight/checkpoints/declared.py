"""What config.json declares of itself: its class, its code, its window, its ids, and biases that no tensor holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from matrix.preflight.checkpoints.remark import list_some, make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Remark

# Class -> the model_type by which transformers finds the config's class.
MODEL_TYPES: Final[Mapping[str, str]] = {
    "GlmMoeDsaForCausalLM": "glm_moe_dsa",
    "Glm5NextForConditionalGeneration": "glm5_next",
    "DeepseekV32ForCausalLM": "deepseek_v32",
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "DeepseekV2ForCausalLM": "deepseek_v2",
    "Glm4MoeForCausalLM": "glm4_moe",
    "Glm4MoeLiteForCausalLM": "glm4_moe_lite",
}


def judge_declared(survey: Survey) -> Iterator[Remark]:
    if survey.files.config is None or survey.architecture is None or not survey.geometry.whole:
        return
    yield from _check_class(survey.files.config, survey.architecture_name)
    yield from _check_code(survey)
    yield from _check_window(survey)
    yield from _check_padding(survey)
    yield from _check_bias(survey)


def _check_class(config: Mapping[str, object], name: str) -> Iterator[Remark]:
    stated, wanted = config.get("model_type"), MODEL_TYPES.get(name)
    if stated is None:
        yield make_remark(
            "error",
            "model_type",
            "model_type",
            "config.json states no model_type",
            effect="transformers cannot choose a config class, and the engines that read through it end at once",
            remedy=f"model_type: {wanted}" if wanted else "the source's model_type",
        )
    elif wanted is not None and stated != wanted:
        yield make_remark(
            "warning",
            "model_type",
            "model_type",
            f"config.json says model_type {str(stated)[:40]!r} beside {name}, whose type is {wanted}",
            effect="the config is read by another class, with other defaults for what the file leaves out",
            remedy=f"model_type: {wanted}",
        )
    listed = config.get("architectures")
    if isinstance(listed, list) and len(listed) > 1:
        yield make_remark(
            "warning",
            "architecture",
            "architectures",
            f"config.json names {len(listed)} classes: {list_some(map(str, listed))}",
            effect="SGLang takes the first, vLLM the first that it knows: engines may build different models",
            remedy=f"architectures: [{name}]",
        )


def _check_code(survey: Survey) -> Iterator[Remark]:
    if survey.files.missing_code:
        yield make_remark(
            "warning",
            "missing_file",
            "auto_map",
            f"config.json's auto_map names {list_some(survey.files.missing_code)}, and no such file is there",
            effect="with --trust-remote-code the load ends; without it the library's own class is taken",
            remedy="drop auto_map, or add the source's files",
        )


def _check_window(survey: Survey) -> Iterator[Remark]:
    window = survey.geometry.context
    if window == 0:
        yield make_remark(
            "error",
            "context",
            "max_position_embeddings",
            "max_position_embeddings is 0",
            effect="no engine can serve a request of no length",
            remedy="the source's max_position_embeddings",
        )
    elif window is None and survey.config.get("max_position_embeddings") is None:
        yield make_remark(
            "note",
            "context",
            "max_position_embeddings",
            "config.json states no max_position_embeddings",
            effect="the window is the default of the config's class, whatever the model was trained for",
            remedy="the source's max_position_embeddings",
        )


def _check_padding(survey: Survey) -> Iterator[Remark]:
    value, room = survey.config.get("pad_token_id"), survey.geometry.vocabulary
    if isinstance(value, int) and not isinstance(value, bool) and room and not -1 <= value < room:
        yield make_remark(
            "warning",
            "vocabulary",
            "pad_token_id",
            f"config.json: pad_token_id {value:,} lies outside the vocabulary of {room:,}",
            effect="transformers refuses to build the embedding; engines that pad write an id of no token",
            remedy="the tokenizer's pad token",
        )


def _check_bias(survey: Survey) -> Iterator[Remark]:
    rests = [rest for layer in survey.by_layer.values() for rest in layer if rest.startswith("self_attn.")]
    if survey.config.get("attention_bias") is True and rests and not any(r.endswith("proj.bias") for r in rests):
        yield make_remark(
            "warning",
            "bias",
            "attention_bias",
            "config.json says attention_bias true, and no projection of attention has a bias",
            effect="engines that build them leave them at what memory held, or refuse the checkpoint as incomplete",
            remedy="attention_bias: false",
        )
