"""Prompt tokens without the engine: the canary's own template against its Python twin, and exact lengths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.banks.canary import render
from fixtures.banks.canary_bank import CanaryBank
from fixtures.banks.item import Item
from matrix.yaml.load import load_matrix
from suites.measure.rendering import Rendered, find_token_counter, find_token_text, make_prompt_of, pad_prompt

BANK = CanaryBank()
CANARY = load_matrix().checkpoints["canary_bf16"]
ITEMS = (
    *BANK.facts(2),
    *BANK.chinese(1),
    *BANK.calls(2),
    *BANK.parallel_calls(1),
    *BANK.tool_results(1),
    *BANK.tool_dialogue(1),
    *BANK.recall(1),
)


@pytest.fixture(scope="module")
def count() -> Rendered:
    found = find_token_counter(CANARY)
    assert found is not None
    return found


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_the_template_renders_what_training_rendered(item: Item, count: Rendered) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path("fixtures/canary/hf/tokenizer.json")))
    text = render.render_prompt(item.messages, item.tools)
    assert count(item) == len(tokenizer.encode(text, add_special_tokens=False).ids)


def test_one_word_more_is_seen(count: Rendered) -> None:
    item = BANK.facts(1)[0]
    *before, last = item.messages
    longer = replace(item, messages=(*before, {**last, "content": last["content"] + " please"}))
    assert count(longer) > count(item)


@pytest.mark.parametrize("tokens", [64, 257, 4097])
def test_a_prompt_of_exactly_so_many_tokens(tokens: int, count: Rendered) -> None:
    assert count(make_prompt_of(tokens, count)) == tokens


def test_without_a_tokenizer_it_is_at_least_as_long(count: Rendered) -> None:
    assert 300 < count(make_prompt_of(300, None)) < 330


def test_a_needle_is_padded_to_the_edge_and_keeps_its_question(count: Rendered) -> None:
    item = BANK.needle(tokens=300, depth=0.5)
    made = pad_prompt(item, 320, count)
    assert made is not None
    assert (count(made), made.answer) == (320, item.answer)
    assert made.messages[-1]["content"].endswith(item.messages[-1]["content"])


def test_what_is_too_long_already_cannot_be_padded(count: Rendered) -> None:
    assert pad_prompt(BANK.needle(tokens=300, depth=0.5), 100, count) is None


def test_weights_that_are_not_here_have_no_count() -> None:
    assert find_token_counter(replace(CANARY, weights_path=None, repository=None, id="nowhere")) is None


def test_a_token_id_has_its_text_where_the_tokenizer_is() -> None:
    assert find_token_text(CANARY, 1000) == "opard"
    assert find_token_text(replace(CANARY, weights_path=None, repository=None, id="nowhere"), 1000) is None
