"""Tokenizer, sampling defaults and the model card against each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from matrix.preflight.checkpoint import CheckpointFiles, Tokenizer
from tests.matrix.preflight.checkpoints.builders import TEMPLATE, TOKENS, said, says, sound, with_generation

GENERATION: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": None}, "warning", "states no temperature"),
    ({"top_p": None}, "warning", "states no top_p"),
    ({"temperature": "1.0"}, "error", "temperature: expected a number"),
    ({"temperature": -1}, "error", "from 0 to 2"),
    ({"temperature": 0}, "warning", "greedy"),
    ({"temperature": True}, "error", "expected a number"),
    ({"top_p": 0}, "error", "top_p"),
    ({"top_p": 1.5}, "error", "top_p"),
    ({"top_p": float("nan")}, "error", "got nan"),
    ({"repetition_penalty": 1.1}, "warning", "code, JSON and tool calls"),
    ({"repetition_penalty": 0}, "error", "repetition_penalty"),
    ({"top_k": 1}, "warning", "top_k 1: greedy"),
    ({"top_k": -5}, "error", "top_k: expected a count, or -1, got -5"),
    ({"top_k": 20.5}, "error", "got 20.5"),
    ({"max_new_tokens": 20}, "warning", "max_new_tokens to 20"),
    ({"max_length": 20}, "warning", "max_length to 20"),
]


@pytest.mark.parametrize(("changes", "level", "words"), GENERATION, ids=[w for *_, w in GENERATION])
def test_a_sampling_default_that_is_missing_or_unusable_is_named(
    changes: dict[str, Any], level: str, words: str
) -> None:
    found = with_generation(sound(), **changes)
    assert says(found, level, "generation", words), said(found)


CARDS = [
    ("Default: `temperature` = 0.6, `top_p` = 0.95", "says temperature 1, the card recommends 0.6"),
    ("We recommend **temperature**: 1.0 and **top-p**: 0.8.", "says top_p 0.95, the card recommends 0.8"),
    ("| temperature | 0.7 |\n| top_p | 0.95 |", "says temperature 1, the card recommends 0.7"),
]


@pytest.mark.parametrize(("card", "words"), CARDS, ids=[w for _, w in CARDS])
def test_a_default_against_the_card_is_a_warning(card: str, words: str) -> None:
    assert says(replace(sound(), card=card), "warning", "generation", words)


QUIET_CARDS = [
    "Use temperature 1.0 and top_p 0.95.",
    "Reasoning: temperature=1.0, top_p=0.95; SWE-bench: temperature=0.7, top_p=1.0",
    "No word about sampling, but 744B parameters and top-k of 8.",
    "",
]


@pytest.mark.parametrize("card", QUIET_CARDS)
def test_a_card_that_agrees_or_says_nothing_is_quiet(card: str) -> None:
    assert said(replace(sound(), card=card)) == []


def test_a_greedy_default_needs_no_top_p() -> None:
    assert said(with_generation(sound(), do_sample=False, top_p=None)) == []


def test_no_sampling_file_is_a_note() -> None:
    assert says(replace(sound(), generation_config=None), "note", "generation", "there is no generation_config.json")


def eos(config: Any, generation: Any) -> CheckpointFiles:
    return with_generation(sound(eos_token_id=config), eos_token_id=generation)


ENDS: list[tuple[CheckpointFiles, str, str]] = [
    (eos([50, 51, 52], [50]), "warning", "different eos_token_id"),
    (eos([50, 51, 52], [51, 52, 53]), "warning", "different eos_token_id"),
    (eos(None, None), "error", "no file states an eos_token_id"),
    (eos([50, 51, 52, 64], [50, 51, 52, 64]), "error", "64 lies outside the vocabulary of 64"),
    (eos("<|user|>", None), "error", "expected ids"),
    (eos(None, [-1, 50, 51, 52]), "error", "-1 lies outside"),
    (eos([51, 52], [51, 52]), "error", r"ends with <\|endoftext\|> \(50\)"),
    (eos([50, 51, 52, 7], [50, 51, 52, 7]), "error", "7 are ordinary words"),
    (eos([50, 52], 50), "warning", r"<\|user\|>"),
]


@pytest.mark.parametrize(("files", "level", "words"), ENDS, ids=[w for *_, w in ENDS])
def test_what_ends_an_answer_is_the_same_for_config_tokenizer_and_template(
    files: CheckpointFiles, level: str, words: str
) -> None:
    written = replace(files, chat_template=(files.chat_template or "") + "{# <|user|> <|observation|> #}")
    assert says(written, level, "eos", words), said(written)


@pytest.mark.parametrize("value", [[50, 51, 52], [52, 51, 50]])
def test_the_order_of_the_ends_does_not_matter(value: list[int]) -> None:
    assert said(eos(value, [50, 51, 52])) == []


def test_a_tokenizer_larger_than_the_embedding_is_an_error() -> None:
    found = replace(sound(), tokenizer=Tokenizer(65, TOKENS))
    assert says(found, "error", "vocabulary", "65 tokens, vocab_size is 64")


def test_a_marker_of_the_template_that_is_no_token_is_an_error() -> None:
    fewer = {token: number for token, number in TOKENS.items() if token != "<|assistant|>"}
    found = replace(sound(), tokenizer=Tokenizer(60, fewer))
    assert says(found, "error", "marker", r"<\|assistant\|>.*no tokens of tokenizer.json")


def test_a_marker_in_a_comment_of_the_template_is_never_written() -> None:
    unknown = "<|begin_of_image|>"
    assert said(replace(sound(), chat_template=f"{{#- no {unknown}\nis written -#}}{TEMPLATE}")) == []
    assert says(replace(sound(), chat_template=f"{unknown}{TEMPLATE}"), "error", "marker", "begin_of_image")


def test_what_generation_adds_ends_answers_everywhere() -> None:
    """vLLM reads generation_config's ids alone, SGLang takes both together: more of them there is no conflict."""
    assert not said(eos([50, 51], [50, 51, 52]), "warning", "error")
