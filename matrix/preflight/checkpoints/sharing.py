"""Which layers select for themselves: by the config, in any of its spellings, and by the weights.

    index_topk_pattern "FFFSSSFS"    indexer_types ["full", "shared", ...]  index_topk_freq 4, index_skip_topk_offset 3

A layer is full where max(layer - offset + 1, 0) is a multiple of freq: GLM-5.2 (4, 3) has 0, 1, 2, 6, 10, ... 74.
vLLM 0.33.0 reads pattern, freq (1 if absent) and offset (2 if absent) and not indexer_types; transformers reads those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matrix.errors import suggest_nearest
from matrix.preflight.checkpoints.remark import format_ranges, layers_of, make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.pattern import FULL, SHARED, lint_pattern
from matrix.preflight.verdict import Level, Remark

DEFAULT_OFFSET = 2
LETTERS = {"full": FULL, "shared": SHARED}
SPELLINGS = "indexer_types, index_topk_pattern or index_topk_freq"


@dataclass(frozen=True)
class SharingLetters:
    """One spelling of the config: a letter a trunk layer, or what is wrong with it."""

    key: str
    letters: str
    problems: tuple[str, ...] = ()


def select_layers(config: Mapping[str, Any], layers: int) -> list[SharingLetters]:
    """Every spelling that the config uses, for `layers` trunk layers."""
    found = []
    if config.get("index_topk_pattern") is not None:
        found.append(_by_pattern(config["index_topk_pattern"], layers))
    if config.get("indexer_types") is not None:
        found.append(_by_types(config["indexer_types"], layers))
    if config.get("index_topk_freq") is not None:
        found.append(_by_frequency(config["index_topk_freq"], config.get("index_skip_topk_offset"), layers))
    return found


def _by_pattern(value: Any, layers: int) -> SharingLetters:
    read = lint_pattern(value, layers)
    return SharingLetters("index_topk_pattern", read.text[:layers], read.problems)


def _by_types(value: Any, layers: int) -> SharingLetters:
    key = "indexer_types"
    if not isinstance(value, list):
        return SharingLetters(key, "", (f"expected a list of 'full' and 'shared', got {type(value).__name__}",))
    problems = []
    strange = next((each for each in value if not isinstance(each, str) or each not in LETTERS), None)
    if strange is not None:
        problems.append(
            f"only 'full' and 'shared' are types, found {str(strange)[:40]!r}{suggest_nearest(str(strange), LETTERS)}"
        )
    # converters count the MTP layer in or out
    if len(value) not in (layers, layers + 1):
        problems.append(f"{len(value)} entries for {layers} layers (or {layers + 1} with the MTP layer)")
    if value[:1] == ["shared"]:
        problems.append("the first layer has nothing above it to share, so it must be full")
    return SharingLetters(key, "" if problems else "".join(LETTERS[each] for each in value[:layers]), tuple(problems))


def _by_frequency(freq: Any, offset: Any, layers: int) -> SharingLetters:
    key, start = "index_topk_freq", DEFAULT_OFFSET if offset is None else offset
    problems = []
    if isinstance(freq, bool) or not isinstance(freq, int) or freq < 1:
        problems.append(f"expected a count from 1 on, got {str(freq)[:40]!r}")
    if isinstance(start, bool) or not isinstance(start, int) or start < 0:
        problems.append(f"index_skip_topk_offset: expected a count, got {str(start)[:40]!r}")
    if not problems and freq > 1 and start == 0:
        problems.append("index_skip_topk_offset 0 makes the first layer share, and it has nothing above it")
    if problems:
        return SharingLetters(key, "", tuple(problems))
    return SharingLetters(key, "".join(FULL if max(i - start + 1, 0) % freq == 0 else SHARED for i in range(layers)))


def count_full_layers(config: Mapping[str, Any], layers: int) -> int:
    """Trunk layers that keep indexer keys: those that select, by the first sound spelling; all where none speaks."""
    sound = [s for s in select_layers(config, layers) if not s.problems]
    # without a word every layer selects, and keeps its keys: the safe side for memory
    return sound[0].letters.count(FULL) if sound else layers


def judge_sharing(survey: Survey) -> Iterator[Remark]:
    layers = survey.geometry.layers
    if layers is None:
        return
    stated = select_layers(survey.config, layers)
    for one in stated:
        for problem in one.problems:
            yield make_remark(
                "error",
                "pattern",
                one.key,
                f"{one.key}: {problem}",
                effect="an engine stops at it, or selects on other layers than the model was trained with",
                remedy=f"one entry for each of the {layers} layers, the first one full",
            )
    sound = [one for one in stated if not one.problems]
    yield from _find_disagreements(sound)
    # without layers (a config alone) there are no weights to be held against
    if survey.uses_indexers and survey.by_layer:
        yield from _against_weights(survey, layers, sound)
    elif survey.indexer_parts:
        yield make_remark(
            "warning",
            "indexer",
            survey.architecture_name,
            f"{len(survey.indexer_parts)} layers hold indexer weights and {survey.architecture_name} has no indexer",
            effect="they are left out or stop the loader, and attention is dense",
            remedy="name the sparse class",
        )


def _find_disagreements(sound: list[SharingLetters]) -> Iterator[Remark]:
    for one, other in pairwise(sound):
        differ = [i for i, (a, b) in enumerate(zip(one.letters, other.letters, strict=False)) if a != b]
        if differ:
            yield make_remark(
                "error",
                "selection",
                one.key,
                f"{one.key} and {other.key} disagree about which layers run the indexer: {layers_of(differ)}",
                effect="each engine reads one of them (vLLM 0.33.0 no indexer_types), so the same files answer "
                "differently beyond index_topk",
                remedy="derive one from the other, or keep one",
            )


def _against_weights(survey: Survey, layers: int, sound: list[SharingLetters]) -> Iterator[Remark]:
    held = survey.indexer_parts
    letters = sound[0].letters if sound else FULL * layers
    # only what the shards hold: a missing layer is told as missing, not as one without an indexer
    asked = [i for i in survey.trunk if i not in survey.linear_attention]
    full = [i for i in asked if i < len(letters) and letters[i] == FULL]
    if not held:
        if asked:
            yield make_remark(
                "error",
                "indexer",
                "indexer",
                "no layer holds indexer weights",
                effect=f"{survey.architecture_name or 'the class'} selects with uninitialised ones or stops at load",
                remedy="convert again with the indexer's tensors, or name a dense class",
            )
        return
    lacking = [i for i in full if i not in held]
    if lacking:
        # of a class that is not wholly known, layers may share by its own code: then it is only a doubt
        yield _report_lacking("error" if survey.known_whole or sound else "warning", lacking, sound)
    drafts = [i for i in survey.drafts if i not in held]
    if drafts:
        yield make_remark(
            "error",
            "indexer",
            f"layers.{drafts[0]}",
            f"MTP {layers_of(drafts)} has no indexer weights",
            effect="engines run the MTP layer as a full one whatever the config says: it selects with nothing, drafts "
            "are refused beyond index_topk",
            remedy="copy the layer's indexer tensors from the source",
        )
    yield from _find_incomplete(survey, [i for i in (*full, *survey.drafts) if i in held])
    idle = [i for i in asked if i in held and i < len(letters) and letters[i] == SHARED]
    if idle:
        yield make_remark(
            "note",
            "indexer_unused",
            sound[0].key,
            f"{layers_of(idle)} share a selection ({sound[0].key}) and hold indexer weights that nothing uses",
            effect="vLLM 0.33.0 builds no indexer there and its loader stops at their names (KeyError), 0.26.0 loads "
            "them",
            remedy="drop them where the config itself makes the layers share",
        )


def _report_lacking(level: Level, lacking: list[int], sound: list[SharingLetters]) -> Remark:
    where = layers_of(lacking)
    if sound:
        fact = f"{sound[0].key} makes {where} full, and no tensors of an indexer are there"
        remedy = f"mark {format_ranges(lacking)} as shared, as the weights are, or take the weights that fit the config"
    else:
        fact = f"{where} hold no indexer weights, and no {SPELLINGS} says that they share a selection"
        remedy = "take the config of the release that the weights are of (GLM-5.2: index_topk_freq 4, offset 3)"
    return make_remark(
        level,
        "indexer",
        f"layers.{lacking[0]}",
        fact,
        effect="a loader stops at the missing parameters or leaves them at their initial values: needles beyond "
        "index_topk are lost",
        remedy=remedy,
    )


def _find_incomplete(survey: Survey, layers: list[int]) -> Iterator[Remark]:
    held = survey.indexer_parts
    every: set[str] = set().union(*(held[i] for i in layers)) if layers else set()
    usual = {part for part in every if 2 * sum(part in held[i] for i in layers) > len(layers)}
    lacking = {i: usual - held[i] for i in layers if usual - held[i]}
    for layer, parts in sorted(lacking.items())[:1]:
        yield make_remark(
            "error",
            "indexer",
            f"layers.{layer}",
            f"the indexer of {layers_of(list(lacking))} lacks {', '.join(sorted(parts))}, which the others have",
            effect="it selects with initial values there",
            remedy="convert again from the source",
        )
