"""Experts: what config.json says of them against itself and against the tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from matrix.preflight.checkpoints.remark import layers_of, make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Remark

# Their routers learn a bias beside the sigmoid (topk_method noaux_tc, the default of their configs).
CORRECTED: Final = frozenset(
    {
        "GlmMoeDsaForCausalLM",
        "Glm5NextForConditionalGeneration",
        "Glm4MoeForCausalLM",
        "DeepseekV3ForCausalLM",
        "DeepseekV32ForCausalLM",
    }
)


def judge_experts(survey: Survey) -> Iterator[Remark]:
    yield from _check_config(survey)
    yield from _check_counts(survey)
    yield from _check_dense(survey)
    yield from _check_router(survey)


def _check_config(survey: Survey) -> Iterator[Remark]:
    g = survey.geometry
    if g.experts and g.top_k is not None and not 0 < g.top_k <= g.experts:
        yield make_remark(
            "error",
            "top_k",
            "num_experts_per_tok",
            f"num_experts_per_tok is {g.top_k} (top-k) and there are {g.experts} routed experts",
            effect="the router cannot choose so many: top-k fails at start or in the first request",
            remedy="1 to the number of experts; GLM-5 chooses 8",
        )
    if g.groups and g.top_groups is not None and not 0 < g.top_groups <= g.groups:
        yield make_remark(
            "error",
            "top_k",
            "topk_group",
            f"topk_group is {g.top_groups} and n_group {g.groups}",
            effect="the grouped router fails at start or routes into no group",
            remedy="topk_group from 1 to n_group",
        )
    if g.groups and g.experts and g.experts % g.groups:
        yield make_remark(
            "error",
            "top_k",
            "n_group",
            f"n_group {g.groups} does not divide {g.experts} routed experts",
            effect="the grouped router reshapes and stops",
            remedy="a pruned model needs an n_group that divides it",
        )
    if g.groups and g.top_groups and g.experts and g.top_k and g.top_k > g.experts // g.groups * g.top_groups:
        yield make_remark(
            "error",
            "top_k",
            "topk_group",
            f"top-k {g.top_k} exceeds the {g.experts // g.groups * g.top_groups} experts of {g.top_groups} groups",
            effect="masked experts are chosen",
            remedy="a larger topk_group",
        )


def _check_counts(survey: Survey) -> Iterator[Remark]:
    stated, found = survey.geometry.experts, survey.experts
    if stated is None:
        if found and survey.geometry.whole:
            yield make_remark(
                "error",
                "experts",
                "n_routed_experts",
                "the shards hold experts and config.json states no count of them",
                effect="an engine takes its own default, and stops at the first expert beyond it",
                remedy=f"n_routed_experts: {max(map(len, found.values()))}",
            )
        return
    wanted = set(range(stated))
    wrong = {layer: numbers for layer, numbers in found.items() if numbers != wanted}
    # a pruned or cut checkpoint is wrong in every layer alike: one example and a count, not 75 errors
    for layer in sorted(wrong)[:1]:
        count, absent = len(wrong[layer]), sorted(wanted - wrong[layer])
        example = f", number {absent[0]} is not there" if absent and count < stated else ""
        yield make_remark(
            "error",
            "experts",
            f"layers.{layer}",
            f"layer {layer} has {count} routed experts, config.json says {stated}{example}"
            + (f" (and {len(wrong) - 1} layers more)" if len(wrong) > 1 else ""),
            effect="experts without weights answer with noise, or the loader stops",
            remedy="the count that was pruned to, or the shards that are missing",
        )


def _check_dense(survey: Survey) -> Iterator[Remark]:
    layers, found = survey.geometry.layers or 0, survey.experts
    if not found or survey.geometry.experts is None:
        return
    if survey.architecture is None and survey.geometry.dense is None:
        return  # a class of its own may say in its own way which layers are dense
    dense = set(range(min(survey.geometry.dense or 0, layers)))
    types = survey.config.get("mlp_layer_types")
    if isinstance(types, list):
        by_type = {i for i, each in enumerate(types[:layers]) if each == "dense"}
        strange = [str(each)[:30] for each in types if each not in ("dense", "sparse")]
        # first its form: from a list that is wrong itself no layer can be called dense
        if strange or len(types) != layers:
            yield make_remark(
                "error",
                "experts",
                "mlp_layer_types",
                f"mlp_layer_types has {len(types)} entries for {layers} layers"
                + (f" and the word {strange[0]!r}" if strange else ""),
                effect="the engine stops, or builds the wrong layer",
                remedy="'dense' or 'sparse' for each layer",
            )
        elif survey.geometry.dense is not None and by_type != dense:
            yield make_remark(
                "error",
                "experts",
                "mlp_layer_types",
                "mlp_layer_types and first_k_dense_replace disagree",
                effect="engines that read one and the other build different layers",
                remedy="derive one from the other",
            )
        else:
            dense = by_type
    dense |= _skipped_by_frequency(survey, layers)
    bare = sorted(set(range(layers)) - dense - set(found))
    if bare:
        yield make_remark(
            "error",
            "experts",
            f"layers.{bare[0]}",
            f"{layers_of(bare)} should be MoE and have no experts",
            effect="the loader leaves them at their initial values or stops",
            remedy="first_k_dense_replace as it was trained",
        )
    extra = sorted(dense & set(found))
    if extra:
        yield make_remark(
            "error",
            "experts",
            f"layers.{extra[0]}",
            f"{layers_of(extra)} should be dense and hold experts",
            effect="their weights fit nothing that the engine builds",
            remedy="first_k_dense_replace and moe_layer_freq as it was trained",
        )


def _skipped_by_frequency(survey: Survey, layers: int) -> set[int]:
    every = survey.config.get("moe_layer_freq")
    return {i for i in range(layers) if i % every} if isinstance(every, int) and every > 1 else set()


def _check_correction(survey: Survey, routed: list[int]) -> Iterator[Remark]:
    """Check the bias that a sigmoid router has learnt: where the class builds one it must be there, and in float32."""
    method = survey.config.get("topk_method", "noaux_tc" if survey.architecture_name in CORRECTED else None)
    biases = {
        layer: tensor
        for layer in routed
        for name, tensor in survey.by_layer[layer].items()
        if name.endswith("e_score_correction_bias")
    }
    bare = [layer for layer in routed if layer not in biases]
    if bare and method == "noaux_tc" and (biases or survey.geometry.whole):
        yield make_remark(
            "error",
            "router",
            f"layers.{bare[0]}",
            f"{layers_of(bare)} have a router and no e_score_correction_bias",
            effect="the engine builds one and loads nothing into it: experts are chosen by whatever lay in memory",
            remedy="convert again from the source",
        )
    narrow = sorted(layer for layer, tensor in biases.items() if tensor.dtype not in ("F32", "F64"))
    if narrow:
        # deepseek_v2.py:521 of SGLang 0.5.23: GLM-5.2's biases lie a few steps of bfloat16 apart.
        yield make_remark(
            "warning",
            "router",
            f"layers.{narrow[0]}",
            f"e_score_correction_bias of {layers_of(narrow)} is {biases[narrow[0]].dtype}, not F32",
            effect="GLM-5.2's biases lie a few steps of bfloat16 apart: rounded, they choose other experts",
            remedy="keep the source's float32 biases",
        )


def _check_router(survey: Survey) -> Iterator[Remark]:
    """Beside experts there must be their router, and shared experts if they are announced."""
    found = {layer: survey.by_layer[layer] for layer in survey.experts}
    routed = {layer for layer, tensors in found.items() if any(".gate." in t and ".experts." not in t for t in tensors)}
    # without any router at all the class may name it otherwise: only an exception among layers is sure
    if routed and (bare := sorted(set(found) - routed)):
        yield make_remark(
            "error",
            "router",
            f"layers.{bare[0]}",
            f"{layers_of(bare)} have experts and no router (mlp.gate)",
            effect="tokens go to random experts, or the loader stops",
            remedy="convert again from the source",
        )
    yield from _check_correction(survey, sorted(routed))
    shared = {layer for layer, tensors in found.items() if any("shared_expert" in t for t in tensors)}
    announced = survey.geometry.shared_experts
    if announced and survey.geometry.whole and (bare := sorted(set(found) - shared)):
        yield make_remark(
            "error",
            "shared_experts",
            f"layers.{bare[0]}",
            f"n_shared_experts is {announced}, {layers_of(bare)} hold none",
            effect="a part of every token's answer is noise, or the loader stops",
            remedy="convert again from the source",
        )
    if announced == 0 and shared:
        yield make_remark(
            "error",
            "shared_experts",
            "n_shared_experts",
            f"n_shared_experts is 0 and {layers_of(sorted(shared))} hold some",
            effect="they are left out of every answer",
            remedy="n_shared_experts: 1",
        )
