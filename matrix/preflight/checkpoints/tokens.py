"""Tokenizer and sampling defaults: ids against tokens, tokens against the template, defaults against the card.

What a user sees of these is no error at start but an answer that does not end, or one that is not as good as published.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matrix.preflight.checkpoints.remark import list_some, make_remark
from matrix.preflight.checkpoints.survey import Survey
from matrix.preflight.verdict import Remark

GENERATION = "generation_config.json"
ENDS = ("<|endoftext|>", "<|user|>", "<|observation|>")  # what ends a turn of GLM-5: nothing, the user, a tool
COMMENT = re.compile(r"\{#.*?(?:#\}|\Z)", re.DOTALL)  # an open one ends with the text: nothing is searched twice
MARKER = re.compile(r"<\|[a-z_0-9]{1,40}\|>|\[gMASK\]")
# A card says "temperature=1.0", "Temperature: 0.7", "`top_p` 0.95"
CARD = re.compile(
    r"(temperature|top[_-]?p)[`\"'*]{0,3}\s{0,3}(?:[:=|]|of|to|is)?[\s`\"'*]{0,4}(\d(?:\.\d{1,4})?)", re.IGNORECASE
)
MOST_CARD_LETTERS = 200_000
SHORT_TOKENS = 1024  # a thinking model needs more before its answer begins
UNENDING = "answers run on until the token limit"


def judge_tokenizer(survey: Survey) -> Iterator[Remark]:
    files = survey.files
    if not files.has_tokenizer and "tokenizer.json" not in files.broken:
        yield make_remark("error", "missing_file", "tokenizer.json", "tokenizer.json is missing")
    name = (files.tokenizer_config or {}).get("tokenizer_class")
    if name == "TokenizersBackend":
        message = "tokenizer_class TokenizersBackend needs transformers 5; transformers 4 cannot load it"
        yield make_remark("note", "tokenizer_class", name, message)
    elif not name or not isinstance(name, str):
        yield make_remark("warning", "tokenizer_class", "tokenizer_config.json", "no tokenizer class is named")
    yield from _check_vocabulary(survey)
    yield from _check_markers(survey)


def _check_vocabulary(survey: Survey) -> Iterator[Remark]:
    tokenizer, room = survey.files.tokenizer, survey.geometry.vocabulary
    # fewer tokens than room is usual: embeddings are padded to a multiple of their shards
    if tokenizer and room and tokenizer.size > room:
        yield make_remark(
            "error",
            "vocabulary",
            "tokenizer.json",
            f"tokenizer.json has {tokenizer.size:,} tokens, vocab_size is {room:,}",
            effect="the ids beyond it index out of the embedding: a crash of the GPU at the first one",
            remedy="the tokenizer of this model",
        )


def _check_markers(survey: Survey) -> Iterator[Remark]:
    """Every marker that the template writes must be one token. A comment of Jinja is never written."""
    tokenizer, template = survey.files.tokenizer, find_template(survey)[0]
    if tokenizer and isinstance(template, str):
        written = COMMENT.sub("", template[:MOST_CARD_LETTERS])
        absent = sorted(set(MARKER.findall(written)) - set(tokenizer.added))
        if absent:
            yield make_remark(
                "error",
                "marker",
                absent[0],
                f"the chat template writes {list_some(absent)}, which are no tokens of tokenizer.json",
                effect="they reach the model as ordinary letters, and it does not know whose turn it is",
                remedy="the template and the tokenizer of one release",
            )


def find_template(survey: Survey) -> tuple[Any, Any]:
    """chat_template.jinja and the template inside tokenizer_config.json, whichever are there; the one in use first."""
    inside = (survey.files.tokenizer_config or {}).get("chat_template")
    if isinstance(inside, list):  # several, by name
        named = {
            e.get("name"): e.get("template")
            for e in inside
            if isinstance(e, Mapping) and isinstance(e.get("name"), str)
        }
        # several templates by name (default, tool_use): engines take the default
        inside = named.get("default", next(iter(named.values()), None))
    own = survey.files.chat_template
    return (inside, None) if own is None else (own, inside)


def judge_generation(survey: Survey) -> Iterator[Remark]:
    stated = survey.files.generation_config
    if stated is None:
        if survey.files.whole and GENERATION not in survey.files.broken and survey.architecture is not None:
            yield make_remark(
                "note",
                "generation",
                GENERATION,
                f"there is no {GENERATION}",
                effect="engines serve with temperature 1.0 and top-p 1.0 and end a turn only where config.json says",
                remedy="copy the source's",
            )
    else:
        yield from _check_sampling(survey, stated)
        yield from _check_lengths(stated)
    yield from _check_ends(survey, stated or {})


def _check_sampling(survey: Survey, stated: Mapping[str, Any]) -> Iterator[Remark]:
    bounds = {"temperature": (0.0, 2.0), "top_p": (0.0, 1.0), "min_p": (0.0, 1.0), "repetition_penalty": (0.0, 2.0)}
    unusable = set()
    for key, (low, high) in bounds.items():
        value = stated.get(key)
        if value is None:
            continue
        # 0 is a temperature (greedy), and no top_p: nothing would be left to sample from
        lowest_is_bad = key in ("top_p", "repetition_penalty") and value == 0
        if not _is_number(value) or not low <= value <= high or lowest_is_bad:
            unusable.add(key)
            yield make_remark(
                "error",
                "generation",
                key,
                f"{GENERATION}: {key}: expected a number from {low:g} to {high:g}, got {str(value)[:40]}",
                effect="requests that do not set it fail, or sample from nothing",
                remedy=f"the card's {key}",
            )
    if (stated.get("repetition_penalty") or 1) != 1 and "repetition_penalty" not in unusable:
        yield make_remark(
            "warning",
            "generation",
            "repetition_penalty",
            f"{GENERATION} sets a repetition_penalty",
            effect="code, JSON and tool calls repeat by nature and get worse",
            remedy="1.0, and leave it to requests",
        )
    yield from _check_top_k(stated)
    yield from _greedy(stated)
    recommended = _read_recommended(survey.files.card or "")
    samples = stated.get("do_sample") is not False
    for key in ("temperature", "top_p"):
        wanted, value = recommended.get(key, ()), stated.get(key)
        if key in unusable:
            continue
        # a card that recommends 1.0 says what engines do anyway
        if value is None and (samples or wanted) and any(w != 1.0 for w in wanted or (0.0,)):
            said = f", the card recommends {list_some(f'{w:g}' for w in wanted)}" if wanted else ""
            yield make_remark(
                "warning",
                "generation",
                key,
                f"{GENERATION} states no {key}{said}",
                effect=f"engines sample with {key} 1.0 where a request names none: other answers than were published",
                remedy=f"{key}: {wanted[0]:g}" if wanted else f"copy {key} from the card",
            )
        elif value is not None and wanted and value not in wanted:
            yield make_remark(
                "warning",
                "generation",
                key,
                f"{GENERATION} says {key} {value:g}, the card recommends {list_some(f'{w:g}' for w in wanted)}",
                effect="requests that name none get other answers than the published scores",
                remedy=f"{key}: {wanted[0]:g}",
            )


def _check_top_k(stated: Mapping[str, Any]) -> Iterator[Remark]:
    """Check top_k, which vLLM and SGLang take from here; 0 and -1 switch it off."""
    value = stated.get("top_k")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < -1):
        yield make_remark(
            "error",
            "generation",
            "top_k",
            f"{GENERATION}: top_k: expected a count, or -1, got {str(value)[:40]}",
            effect="requests that do not set it fail",
            remedy="drop top_k",
        )
    elif value == 1 and stated.get("do_sample") is not False:
        yield make_remark(
            "warning",
            "generation",
            "top_k",
            f"{GENERATION} sets top_k 1: greedy, whatever temperature a request names",
            effect="a thinking model repeats itself until the token limit",
            remedy="drop top_k",
        )


def _greedy(stated: Mapping[str, Any]) -> Iterator[Remark]:
    if _is_number(stated.get("temperature")) and stated["temperature"] == 0:
        yield make_remark(
            "warning",
            "generation",
            "temperature",
            f"{GENERATION} sets temperature 0: greedy unless a request says otherwise",
            effect="a thinking model repeats itself until the token limit",
            remedy="the card's temperature (GLM-5: 1.0)",
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_recommended(card: str) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    # cards give several, one a task: any of them is as published
    for name, number in CARD.findall(card[:MOST_CARD_LETTERS]):
        found.setdefault("temperature" if name.lower() == "temperature" else "top_p", []).append(float(number))
    return {key: tuple(dict.fromkeys(values)) for key, values in found.items()}


def _check_lengths(stated: Mapping[str, Any]) -> Iterator[Remark]:
    for key in ("max_new_tokens", "max_length"):
        value = stated.get(key)
        if value is not None and (not _is_number(value) or value < SHORT_TOKENS):
            yield make_remark(
                "warning",
                "generation",
                key,
                f"{GENERATION} sets {key} to {str(value)[:40]}",
                effect="vLLM caps every answer by it: thinking is cut and content stays empty",
                remedy=f"drop {key}",
            )


def _read_ids(value: object) -> list[int] | None:
    """One id or several; None for anything else."""
    listed: list[object] = value if isinstance(value, list) else [value]
    ids = [each for each in listed if isinstance(each, int) and not isinstance(each, bool)]
    return ids if len(ids) == len(listed) else None


def _check_ends(survey: Survey, generation: Mapping[str, Any]) -> Iterator[Remark]:
    known: dict[str, list[int]] = {}
    for where, stated in (("config.json", survey.config), (GENERATION, generation)):
        value = stated.get("eos_token_id")
        if value is None:
            continue
        ids = _read_ids(value)
        if ids is None:
            yield make_remark(
                "error", "eos", where, f"{where}: eos_token_id: expected ids, got {str(value)[:40]}", effect=UNENDING
            )
            continue
        known[where] = ids
        room = survey.geometry.vocabulary
        beyond = [each for each in ids if each < 0 or (room is not None and each >= room)]
        if beyond:
            yield make_remark(
                "error",
                "eos",
                where,
                f"{where}: eos_token_id {list_some(beyond)} lies outside the vocabulary of {room}",
                effect=UNENDING,
                remedy="the ids of this tokenizer",
            )
    if not known and survey.files.whole and survey.geometry.whole:
        yield make_remark(
            "error",
            "eos",
            "eos_token_id",
            "no file states an eos_token_id",
            effect=UNENDING,
            remedy="the source's eos_token_id in both configs",
        )
    yield from _ends_apart(known)
    yield from _ends_against_tokens(survey, known)


def _ends_apart(known: Mapping[str, Sequence[int]]) -> Iterator[Remark]:
    # What generation_config adds ends answers in every engine: vLLM reads it alone, SGLang takes both together.
    if len(known) > 1 and not frozenset(known["config.json"]) <= frozenset(known[GENERATION]):
        said = " and ".join(f"{where} {sorted(ids)}" for where, ids in known.items())
        yield make_remark(
            "warning",
            "eos",
            "eos_token_id",
            f"the files state different eos_token_id: {said}",
            effect=f"engines that read one of them do not stop where the other does: {UNENDING}, or past a tool call",
            remedy="the same ids in both",
        )


def _ends_against_tokens(survey: Survey, known: Mapping[str, Sequence[int]]) -> Iterator[Remark]:
    tokenizer = survey.files.tokenizer
    if tokenizer is None or not known:
        return
    stops, names = {each for ids in known.values() for each in ids}, {i: text for text, i in tokenizer.added.items()}
    own = (survey.files.tokenizer_config or {}).get("eos_token")
    own = own.get("content") if isinstance(own, Mapping) else own
    if isinstance(own, str) and own in tokenizer.added and tokenizer.added[own] not in stops:
        yield make_remark(
            "error",
            "eos",
            own,
            f"the tokenizer ends with {own} ({tokenizer.added[own]}), no eos_token_id names it",
            effect=UNENDING,
            remedy=f"add {tokenizer.added[own]} to eos_token_id",
        )
    # only where the tokenizer lists special tokens at all
    plain = sorted(i for i in stops if i not in names and 0 <= i < tokenizer.size)
    if plain and names:
        yield make_remark(
            "error",
            "eos",
            str(plain[0]),
            f"eos_token_id {list_some(plain)} are ordinary words of the tokenizer, no special tokens",
            effect="answers end in the middle of a sentence, and not at their end",
            remedy="the ids of this tokenizer",
        )
    template = find_template(survey)[0]
    # only what this template writes can end a turn of it
    ends = [end for end in ENDS if end in tokenizer.added and isinstance(template, str) and end in template]
    absent = [end for end in ends if tokenizer.added[end] not in stops]
    if absent:
        yield make_remark(
            "warning",
            "eos",
            absent[0],
            f"{list_some(absent)} ends a turn of the chat template and is no eos_token_id",
            effect="the model writes the user's next turn or the tool's answer itself",
            remedy=f"add {list_some(tokenizer.added[end] for end in absent)} to eos_token_id",
        )
