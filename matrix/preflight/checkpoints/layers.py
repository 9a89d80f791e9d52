"""Layers: all that the config announces are there, and none lacks what its likes have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from matrix.preflight.checkpoints.remark import format_ranges, layers_of, list_some, make_remark
from matrix.preflight.checkpoints.survey import PACKED, Survey, is_scale
from matrix.preflight.verdict import Level, Remark

MTP_PARTS = ("enorm.weight", "hnorm.weight", "eh_proj.weight")
MTP_ONLY = (*MTP_PARTS, "shared_head.norm.weight", "shared_head.head.weight", "embed_tokens.weight")
STEM = ("embed_tokens.weight", "norm.weight")
DENSE_PARTS = ("mlp.up_proj.weight", "mlp.gate_proj.weight", "mlp.down_proj.weight")


def judge_layers(survey: Survey) -> Iterator[Remark]:
    layers = survey.geometry.layers
    if layers is None or not survey.files.tensors:
        return
    absent = sorted(set(range(layers)) - set(survey.by_layer))
    if absent:
        yield make_remark(
            "error",
            "missing_layer",
            f"layers.{absent[0]}",
            f"no weights for layers {format_ranges(absent)}",
            effect="the loader stops, or they keep initial values and every answer is noise",
            remedy="the missing shards, or the num_hidden_layers of these weights",
        )
    yield from _check_prefixes(survey)
    yield from _check_stem(survey)
    yield from _check_mtp(survey)
    yield from _find_counted_drafts(survey, layers)
    yield from _find_uneven(survey)


def _check_prefixes(survey: Survey) -> Iterator[Remark]:
    """Tell layers of the trunk that stand under another prefix than most: a loader maps one."""
    found: dict[str, set[int]] = {}
    for name in survey.files.tensors:
        # experts are 200,000 names, and stand where their layer stands
        place = None if "experts." in name else survey.locate(name)
        if place is not None and place[0] in survey.trunk:
            found.setdefault(name.removesuffix(f"layers.{place[0]}.{place[1]}"), set()).add(place[0])
    if len(found) < 2:
        return
    usual = max(found, key=lambda prefix: len(found[prefix]))
    strange = next(prefix for prefix in found if prefix != usual)
    yield make_remark(
        "error",
        "prefix",
        f"{strange}layers.{min(found[strange])}",
        f"{layers_of(sorted(found[strange]))} stand under {strange or 'no prefix'!r}, the others under {usual!r}",
        effect="the loader knows one of them: the rest is skipped and keeps its initial values, or stops it",
        remedy="one name for all layers",
    )


def _check_stem(survey: Survey) -> Iterator[Remark]:
    """Find the lost tensors that stand once, before and behind the layers, so that no layer is like them."""
    # an image tower has a norm and an embedding of its own, which would stand in for the lost ones
    outside = [name for name in survey.files.tensors if "layers." not in name and "visual" not in name]
    for part in STEM if survey.architecture and survey.files.whole and survey.geometry.whole else ():
        if not any(name.endswith(part) for name in outside):
            yield make_remark(
                "error",
                "missing_tensor",
                part,
                f"there is no model.{part}",
                effect="it keeps its initial values and every answer is noise, or the loader stops",
                remedy="the shard that holds it",
            )


def _find_counted_drafts(survey: Survey, layers: int) -> Iterator[Remark]:
    """Find a layer of the trunk that is an MTP layer by its tensors: num_hidden_layers counts it."""
    counted = [
        layer
        for layer in sorted(survey.by_layer)
        if layer < layers and all(any(rest.endswith(part) for rest in survey.by_layer[layer]) for part in MTP_PARTS)
    ]
    if counted:
        yield make_remark(
            "error",
            "mtp_layer",
            "num_hidden_layers",
            f"layers {format_ranges(counted)} are MTP layers by their tensors ({', '.join(MTP_PARTS)}), and "
            f"num_hidden_layers {layers} counts them",
            effect="the trunk runs a draft's layer as its own, and every answer is noise",
            remedy=f"num_hidden_layers: {counted[0]} and num_nextn_predict_layers: {len(counted)}",
        )


def _check_mtp(survey: Survey) -> Iterator[Remark]:
    asked, found = survey.geometry.mtp or 0, len(survey.drafts)
    if found != asked:
        # one too many is never loaded; one too few stops a launch that asks for MTP
        level: Level = "error" if found < asked else "note"
        effect = "the engine stops at the missing layer when MTP is asked for" if found < asked else "it is not used"
        yield make_remark(
            level,
            "mtp_layer",
            "num_nextn_predict_layers",
            f"config.json announces {asked} MTP layers, the shards hold {found}",
            effect=effect,
            remedy=f"num_nextn_predict_layers: {found}" if found < asked else "",
        )
    for layer in survey.drafts[:asked]:
        tensors = survey.by_layer[layer]
        lacking = [part for part in MTP_PARTS if not any(rest.endswith(part) for rest in tensors)]
        # of a fragment all may lie elsewhere; some of three cannot
        if lacking and (survey.geometry.whole or len(lacking) < len(MTP_PARTS)):
            yield make_remark(
                "error",
                "mtp_layer",
                f"layers.{layer}",
                f"MTP layer {layer} lacks {', '.join(lacking)}",
                effect="drafts are noise (acceptance near 0), or the loader stops",
                remedy="stitch the whole MTP layer",
            )


def _find_uneven(survey: Survey) -> Iterator[Remark]:
    """Find a layer that lacks what most layers of its kind have. Indexers and scales have their own checks."""
    names = {layer: set(_normalise_names(survey.kinds[layer])) for layer in (*survey.trunk, *survey.drafts)}
    lacking: dict[int, set[str]] = {}
    for group in _iterate_layer_groups(survey):
        # the trunk says what is usual, since its layers are many; drafts are held to it
        usual = _usual([group.select_parts(names[layer]) for layer in group.layers if layer in survey.trunk])
        for layer in group.layers:
            have = group.select_parts(names[layer])
            if absent := (usual | group.list_needed(have)) - have:
                lacking.setdefault(layer, set()).update(absent)
    if lacking:
        first = min(lacking)
        yield make_remark(
            "error",
            "missing_tensor",
            f"layers.{first}",
            f"{layers_of(list(lacking))} lack tensors that their likes have, {first}:"
            f" {list_some(sorted(lacking[first]))}",
            effect="they keep initial values, or the loader stops",
            remedy="convert again from the source",
        )
    yield from _check_experts(survey)


@dataclass(frozen=True)
class LayerGroup:
    """Layers that are alike in one of their halves: attention with norms, or the MLP."""

    layers: list[int]
    mlp: bool
    dense: bool = False

    def select_parts(self, names: set[str]) -> set[str]:
        # what only a draft layer has is no part that a trunk layer lacks
        return {name for name in names if name.startswith("mlp.") == self.mlp and name not in MTP_ONLY}

    def list_needed(self, have: set[str]) -> set[str]:
        """List what a layer needs even if it is the only one of its kind: there may be one dense layer alone."""
        return set(DENSE_PARTS) if self.dense and have & set(DENSE_PARTS) else set()


def _iterate_layer_groups(survey: Survey) -> Iterator[LayerGroup]:
    every = [*survey.trunk, *survey.drafts]
    # by the name, not by their numbers: experts may be stored as one tensor
    routed = {layer for layer in every if any(name.startswith("mlp.experts.") for name in survey.kinds[layer])}
    yield LayerGroup([layer for layer in every if layer not in survey.linear_attention], mlp=False)
    yield LayerGroup([layer for layer in every if layer in survey.linear_attention], mlp=False)
    yield LayerGroup([layer for layer in every if layer in routed], mlp=True)
    yield LayerGroup([layer for layer in every if layer not in routed], mlp=True, dense=survey.geometry.whole)


def _usual(found: list[set[str]]) -> set[str]:
    """Return what more than half have; fewer than three have nothing usual."""
    counted = Counter(name for names in found for name in names)
    return {name for name, count in counted.items() if 2 * count > len(found)} if len(found) >= 3 else set()


def _normalise_names(kinds: Counter[str]) -> Counter[str]:
    """Names with every format of a linear layer written alike, without scales and indexers."""
    found: Counter[str] = Counter()
    for name, count in kinds.items():
        if "indexer." not in name and not is_scale(name):
            # a layer left wide beside packed ones has the same part under another name
            found[PACKED.sub(".weight", name)] += count
    return found


def _check_experts(survey: Survey) -> Iterator[Remark]:
    """Every expert of a layer has the same parts."""
    wrong = {}
    for layer, numbers in survey.experts.items():
        parts = {n: c for n, c in _normalise_names(survey.kinds[layer]).items() if "experts.N." in n}
        short = [n for n, c in parts.items() if c < len(numbers)]
        if short:
            wrong[layer] = short[0]
    if wrong:
        first = min(wrong)
        yield make_remark(
            "error",
            "missing_tensor",
            f"layers.{first}",
            f"some experts of {layers_of(list(wrong))} lack {wrong[first]}",
            effect="they keep initial values, or the loader stops",
            remedy="convert again from the source",
        )
