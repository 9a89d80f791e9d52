"""Layers: all that the config announces are there, and none lacks what its likes have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from matrix.preflight.checkpoints.quant_tensors import is_scale
from matrix.preflight.checkpoints.remark import layers_of, ranges, remark, some
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Level, Remark

MTP_PARTS = ("enorm.weight", "hnorm.weight", "eh_proj.weight")
PACKED = re.compile(r"\.(?:weight|weight_packed|qweight)$")  # one linear layer in one format or another


def judge_layers(survey: Survey) -> Iterator[Remark]:
    layers = survey.geometry.layers
    if layers is None or not survey.files.tensors:
        return
    absent = sorted(set(range(layers)) - set(survey.by_layer))
    if absent:
        yield remark(
            "error",
            "missing_layer",
            f"layers.{absent[0]}",
            f"no weights for layers {ranges(absent)}",
            effect="the loader stops, or they keep initial values and every answer is noise",
            remedy="the missing shards, or the num_hidden_layers of these weights",
        )
    yield from _mtp(survey)
    yield from _uneven(survey)


def _mtp(survey: Survey) -> Iterator[Remark]:
    asked, found = survey.geometry.mtp or 0, len(survey.drafts)
    if found != asked:
        level: Level = "error" if found < asked else "note"
        effect = "the engine stops at the missing layer when MTP is asked for" if found < asked else "it is not used"
        yield remark(
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
        if lacking and (survey.geometry.whole or len(lacking) < len(MTP_PARTS)):
            yield remark(
                "error",
                "mtp_layer",
                f"layers.{layer}",
                f"MTP layer {layer} lacks {', '.join(lacking)}",
                effect="drafts are noise (acceptance near 0), or the loader stops",
                remedy="stitch the whole MTP layer",
            )


def _uneven(survey: Survey) -> Iterator[Remark]:
    """A layer without what most layers of its kind have. Indexers and scales have checks of their own."""
    kinds: dict[object, dict[int, Counter[str]]] = {}
    for layer in survey.trunk:
        kind = (layer in survey.experts, layer in survey.linear_attention)
        kinds.setdefault(kind, {})[layer] = _names(survey.kinds[layer])
    for counted in kinds.values():
        if len(counted) < 3:
            continue
        usual = {n for n, c in Counter(n for names in counted.values() for n in names).items() if 2 * c > len(counted)}
        lacking = {layer: sorted(usual - set(names)) for layer, names in counted.items() if usual - set(names)}
        if lacking:
            first = min(lacking)
            yield remark(
                "error",
                "missing_tensor",
                f"layers.{first}",
                f"{layers_of(list(lacking))} lack tensors that their likes have, layer {first}: {some(lacking[first])}",
                effect="they keep initial values, or the loader stops",
                remedy="convert again from the source",
            )
    yield from _experts(survey)


def _names(kinds: Counter[str]) -> Counter[str]:
    """Names with every format of a linear layer written alike, without scales and indexers."""
    found: Counter[str] = Counter()
    for name, count in kinds.items():
        if "indexer." not in name and not is_scale(name):
            found[PACKED.sub(".weight", name)] += count
    return found


def _experts(survey: Survey) -> Iterator[Remark]:
    """Every expert of a layer has the same parts."""
    wrong = {}
    for layer, numbers in survey.experts.items():
        parts = {n: c for n, c in _names(survey.kinds[layer]).items() if "experts.N." in n}
        short = [n for n, c in parts.items() if c < len(numbers)]
        if short:
            wrong[layer] = short[0]
    if wrong:
        first = min(wrong)
        yield remark(
            "error",
            "missing_tensor",
            f"layers.{first}",
            f"some experts of {layers_of(list(wrong))} lack {wrong[first]}",
            effect="they keep initial values, or the loader stops",
            remedy="convert again from the source",
        )
