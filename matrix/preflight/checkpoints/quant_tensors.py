"""The quantisation map against the headers: what is not excluded is narrow and has its scales, and maps agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from matrix.errors import suggest_nearest
from matrix.preflight.checkpoints.files import Tensor
from matrix.preflight.checkpoints.linears import LINEAR, WIDE, Linear, iterate_linears
from matrix.preflight.checkpoints.packing import judge_packing
from matrix.preflight.checkpoints.quant_map import METHODS, QuantMap, find_differing, read_maps
from matrix.preflight.checkpoints.remark import layers_of, list_some, make_remark
from matrix.preflight.checkpoints.survey import Survey, is_scale
from matrix.preflight.verdict import Remark

OTHER_FORMS = frozenset(("weight_scale_inv", "scale", "scale_inv", "weight_block_scale", "scales"))
OWN_SCALES = frozenset(
    ("weight_scale", "weight_scale_2", "weight_scale_inv", "weight_global_scale", "scales", "qzeros")
)
BUILT_WIDE = re.compile(r"\.(?:mlp\.gate|router|weights_proj|eh_proj)$")
STORED: Mapping[str, tuple[str, ...]] = {
    "fp8": ("F8_E4M3", "F8_E5M2"),
    "nvfp4": ("U8", "F4"),
    "mxfp4": ("U8", "F4"),
    "int4": ("I32", "U8", "I8"),
    "int8": ("I8", "I32"),
}
SHOWN_AS = {"BF16": "16-bit", "F16": "16-bit", "F32": "32-bit", "F64": "64-bit"}


def judge_quantisation(survey: Survey) -> Iterator[Remark]:
    maps, linears = read_maps(survey.files), list(iterate_linears(survey))
    narrow = [each for each in linears if each.narrow]
    for each in maps:
        yield from _check_readable(each)
    if not maps:
        if narrow:
            yield make_remark(
                "error",
                "quantisation",
                "config.json",
                f"{len(narrow)} tensors are quantised and no file says how",
                effect="engines load their bytes as numbers or stop",
                remedy="the quantization_config of the converter",
            )
        return
    # fused experts are stored with three dimensions: narrow, though no linear layer of two is
    packed = any(t.dtype not in WIDE and not is_scale(n) and t.expected_bytes for n, t in survey.files.tensors.items())
    if linears and not narrow and not packed:
        yield make_remark(
            "error",
            "quantisation",
            "config.json",
            "the config announces quantised weights, no tensor is",
            effect="the engine builds narrow parameters that nothing fits",
            remedy="drop quantization_config",
        )
        return
    yield from _maps_apart(maps, linears)
    # the one that engines ask first; that the others differ has just been said
    first = maps[0]
    # held against a map that could not be read, every tensor would be wrong
    if first.problems:
        return
    yield from _excluded_but_narrow(maps, narrow)
    yield from _wide_but_not_excluded(survey, first, linears)
    yield from _other_format(first, narrow)
    yield from judge_packing(first, survey.modules)
    yield from _check_heads(first, narrow)
    yield from _built_wide(first, narrow)
    yield from _check_scales(survey, first, narrow)
    yield from _check_kv(survey, maps)
    yield from _shared_experts(survey, linears)


def _check_readable(read: QuantMap) -> Iterator[Remark]:
    for problem in read.problems:
        yield make_remark(
            "error",
            "quantisation_map",
            read.source,
            f"{read.source}: {problem}",
            effect="engines stop at it, or leave other modules alone than was meant",
            remedy="write the map again",
        )
    if not read.method and not read.problems:
        yield make_remark(
            "error",
            "quantisation_map",
            read.source,
            f"{read.source} names no quant_method",
            effect="engines do not know the format and stop",
            remedy="quant_method: modelopt, compressed-tensors, fp8, ...",
        )
    elif read.method and read.method not in METHODS:
        yield make_remark(
            "unknown",
            "quantisation_map",
            read.source,
            f"{read.source}: quant_method {read.method!r} is unknown to this linter"
            f"{suggest_nearest(read.method, METHODS)}",
            effect="its map was read as if it listed what stays wide",
        )


def _maps_apart(maps: list[QuantMap], linears: list[Linear]) -> Iterator[Remark]:
    modules = [each.module for each in linears if not each.may_be_wide]
    for one, other in pairwise(maps):
        if one.problems or other.problems:
            continue
        apart = []
        for word in ("algorithm", "group_size", "kv_cache"):
            a, b = getattr(one, word), getattr(other, word)
            if a and b and a != b:
                apart.append(f"{word.replace('_', ' ')} {a} and {b}")
        if modules_apart := find_differing(one, other, modules):
            apart.append(
                f"{len(modules_apart)} modules are left alone by one and not by the other: {list_some(modules_apart)}"
            )
        if apart:
            yield make_remark(
                "error",
                "quantisation_maps",
                other.source,
                f"{one.source} and {other.source} disagree: {'; '.join(apart)}",
                effect="each engine and release reads one of them, so it loads here and fails or answers noise there",
                remedy="write both from one export",
            )


def _excluded_but_narrow(maps: list[QuantMap], narrow: list[Linear]) -> Iterator[Remark]:
    both = sorted({each.name for each in narrow for m in maps if m.leaves_alone(each.module)})
    if both:
        yield make_remark(
            "error",
            "quantisation",
            both[0],
            f"{len(both)} excluded modules are quantised: {list_some(both)}",
            effect="the engine builds wide parameters, packed bytes do not fit: size mismatch, or noise",
            remedy="take them out of the list",
        )


def _wide_but_not_excluded(survey: Survey, read: QuantMap, linears: list[Linear]) -> Iterator[Remark]:
    # outside the layers (towers, heads) engines decide by class, not by the map
    wide = [e for e in linears if not e.narrow and not e.may_be_wide and e.layer is not None and read.narrows(e.module)]
    drafts = [e for e in wide if e.layer in survey.drafts]
    trunk = [e for e in wide if e.layer not in survey.drafts]
    # apart, since the remedy differs: a stitched MTP layer is excluded whole, a trunk module by its kind
    for what, found in (("MTP block", drafts), ("trunk", trunk)):
        if not found:
            continue
        first = found[0]
        dtype, kinds = first.tensor.dtype, sorted({e.kind for e in found})
        where = sorted({f"layers.{e.layer}" for e in found}, key=lambda name: int(name.rpartition(".")[2]))
        yield make_remark(
            "error",
            "wide_not_excluded",
            first.name,
            f"{len(found)} linear modules of the {what} ({list_some(where)}: {list_some(kinds)}) are {dtype} "
            f"({SHOWN_AS[dtype]}) and "
            f"{read.list_key} of {read.source}, its exclude list, does not name them",
            effect=f"the loader builds {read.algorithm or 'narrow'} parameters for them and stops with a size mismatch "
            "or a missing scale",
            remedy=f"add {_pattern_of(first, what)} to {read.list_key}, or quantise them",
        )


def _pattern_of(first: Linear, what: str) -> str:
    return f'"*layers.{first.layer}*"' if what == "MTP block" else f'"*{first.kind.split(".N")[0]}*"'


def _other_format(read: QuantMap, narrow: list[Linear]) -> Iterator[Remark]:
    stored = STORED.get(read.algorithm, ())
    wrong = [e for e in narrow if stored and e.tensor.dtype not in stored and read.narrows(e.module)]
    # its experts are int4 and the rest fp8 under one name
    if wrong and read.method != "w4afp8":
        first = wrong[0]
        yield make_remark(
            "error",
            "quantisation",
            first.name,
            f"{read.source} says {read.algorithm}, {len(wrong)} weights are {first.tensor.dtype}, as {first.name}",
            effect="the engine builds other parameters: size mismatch, or noise",
            remedy="the map of this conversion",
        )


def _check_heads(read: QuantMap, narrow: list[Linear]) -> Iterator[Remark]:
    for each in narrow:
        if re.search(r"(?:^|\.)embed_tokens$", each.module):
            yield make_remark(
                "error",
                "quantisation",
                each.name,
                f"{each.name} is {each.tensor.dtype}: the embedding is quantised",
                effect="engines build a 16-bit embedding and stop, or look bytes up",
                remedy="keep it wide and exclude it",
            )
        elif re.search(r"(?:^|\.)(?:lm_head|shared_head\.head)$", each.module) and not (
            read.leaves_alone(each.module) or read.narrow_head
        ):
            yield make_remark(
                "warning",
                "quantisation",
                each.name,
                f"{each.name} is {each.tensor.dtype}: the head is quantised",
                effect="many releases build a 16-bit head whatever the map says, and stop there",
                remedy="keep it wide and exclude it, or try the release with dummy weights first",
            )


def _built_wide(read: QuantMap, narrow: list[Linear]) -> Iterator[Remark]:
    found = [e for e in narrow if BUILT_WIDE.search(e.module) and not read.leaves_alone(e.module)]
    if found:
        yield make_remark(
            "warning",
            "quantisation",
            found[0].name,
            f"{len(found)} modules that engines build 16-bit are stored as {found[0].tensor.dtype}: {found[0].name}",
            effect="their bytes are cast without a scale, routing or drafts are noise, or the loader stops",
            remedy="keep routers, the indexer's weights_proj and eh_proj wide, and exclude them",
        )


def _check_scales(survey: Survey, read: QuantMap, narrow: list[Linear]) -> Iterator[Remark]:
    tensors = survey.files.tensors
    usual = _usual_scales(narrow)
    lacking: dict[str, list[str]] = {}
    for each in narrow:
        have = each.beside
        # both: what the format demands, and what most weights of this kind have here (formats we do not know)
        for absent in sorted(_needed_scales(each, read, have) | (usual[each.kind, each.tensor.dtype] - have)):
            lacking.setdefault(absent, []).append(each.name)
    for scale, names in lacking.items():
        yield make_remark(
            "error",
            "missing_scale",
            names[0],
            f"{len(names)} quantised weights have no {scale}: {list_some(names)}",
            effect="the scale keeps its initial value and the layer answers noise, or the loader stops",
            remedy="export again; a scale may be in a shard that is missing",
        )
    yield from _find_orphans(survey)
    yield from _scale_shapes(read, narrow, tensors)


def _usual_scales(narrow: list[Linear]) -> dict[tuple[str, str], frozenset[str]]:
    """Kind of module and dtype -> the scales that most of them have."""
    seen: dict[tuple[str, str], Counter[frozenset[str]]] = {}
    for each in narrow:
        seen.setdefault((each.kind, each.tensor.dtype), Counter())[each.beside] += 1
    return {kind: _pick_majority(counted) for kind, counted in seen.items()}


def _pick_majority(counted: Counter[frozenset[str]]) -> frozenset[str]:
    single: Counter[str] = Counter()
    for scales, count in counted.items():
        single.update(dict.fromkeys(scales, count))
    return frozenset(scale for scale, count in single.items() if 2 * count > counted.total())


def _needed_scales(each: Linear, read: QuantMap, have: frozenset[str]) -> frozenset[str]:
    if each.name.endswith(".qweight"):
        return frozenset(("scales", "qzeros") if read.method.startswith("awq") else ("scales",)) - have
    # scales under other names: which of them belong together is the converter's own affair
    if read.method == "bitsandbytes" or have & OTHER_FORMS:
        return frozenset()
    wanted = {"weight_scale"}
    if read.algorithm == "nvfp4" and read.method != "quark" and each.tensor.dtype in ("U8", "F4"):
        wanted.add("weight_global_scale" if each.name.endswith("_packed") else "weight_scale_2")
    if read.block and each.tensor.dtype.startswith("F8"):
        # block scales go by either name, as the value or as its inverse
        wanted = set() if "weight_scale" in have else {"weight_scale_inv"}
    return frozenset(wanted) - have


def _find_orphans(survey: Survey) -> Iterator[Remark]:
    alone = []
    for module, held in survey.modules.items():
        scales = OWN_SCALES.intersection(held)
        # a scale beside a wide weight is one as well: somebody put the weight back and left its scale
        if scales and all(end not in held or held[end].dtype in WIDE for end in LINEAR):
            alone += [f"{module}.{scale}" for scale in sorted(scales)]
    if alone:
        yield make_remark(
            "error",
            "orphan_scale",
            alone[0],
            f"{len(alone)} scales belong to no quantised weight: {list_some(alone)}",
            effect="loaders that look every name up stop (KeyError)",
            remedy="drop them, or export the weights that they scale",
        )


def _scale_shapes(read: QuantMap, narrow: list[Linear], tensors: Mapping[str, Tensor]) -> Iterator[Remark]:
    wrong = []
    for each in narrow:
        rows, columns = each.tensor.shape
        suffix, wanted = "", (0, 0)
        if read.algorithm == "fp8" and read.block:
            suffix, wanted = "weight_scale_inv", (-(-rows // read.block[0]), -(-columns // read.block[1]))
        elif read.algorithm in ("nvfp4", "mxfp4") and each.tensor.dtype == "U8":
            # the formats' own block sizes, where the map is silent; U8 holds two values, so columns count double
            group = read.group_size or (16 if read.algorithm == "nvfp4" else 32)
            suffix, wanted = "weight_scale", (rows, -(-columns * 2 // group))
        scale = tensors.get(f"{each.module}.{suffix}")
        if scale is not None and len(scale.shape) == 2 and scale.shape != wanted:
            wrong.append((f"{each.module}.{suffix}", scale.shape, wanted))
    if wrong:
        name, shape, wanted = wrong[0]
        yield make_remark(
            "error",
            "scale_shape",
            name,
            f"{len(wrong)} scales have another shape than the map says: {name} is {list(shape)}, not {list(wanted)}",
            effect="size mismatch, or scales meet other weights",
            remedy="the group or block size of this conversion",
        )


def _check_kv(survey: Survey, maps: list[QuantMap]) -> Iterator[Remark]:
    scaled = {
        layer
        for layer in survey.trunk
        if any(rest.endswith((".k_scale", ".v_scale", "kv_scale")) for rest in survey.by_layer[layer])
    }
    if unscaled := sorted(set(survey.trunk) - scaled - survey.linear_attention) if scaled else []:
        yield make_remark(
            "warning",
            "kv_cache",
            f"layers.{unscaled[0]}",
            f"{layers_of(unscaled)} have no k_scale or v_scale, and {len(scaled)} layers have one",
            effect="their rows are stored with a scale of 1.0: what is larger than the format is cut",
            remedy="export the scales of all layers, or of none",
        )
    said = next((m for m in maps if m.kv_cache not in ("", "none")), None)
    if said is None or scaled:
        return
    yield make_remark(
        "note",
        "kv_cache",
        said.source,
        f"{said.source} claims a KV cache in {said.kv_cache} and no tensor is a k_scale or v_scale",
        effect="engines that follow it serve with a narrow cache and scales of 1.0 although nobody asked for it",
        remedy="name the KV dtype on the command line",
    )


def _shared_experts(survey: Survey, linears: Sequence[Linear]) -> Iterator[Remark]:
    if has_wide_shared_experts(survey, linears):
        message = "shared experts are 16-bit beside quantised routed ones: their fusion must be off (sglang#29562)"
        yield make_remark("note", "shared_experts", "shared_experts", message)


def has_wide_shared_experts(survey: Survey, linears: Sequence[Linear] | None = None) -> bool:
    """Routed experts quantised, shared ones not."""
    found = list(iterate_linears(survey)) if linears is None else linears
    routed = {each.narrow for each in found if ".experts.N." in each.alike}
    shared = {each.narrow for each in found if ".shared_expert" in each.alike}
    # all shared experts wide: a mixture is something else, which the map's own checks tell
    return shared == {False} and True in routed
