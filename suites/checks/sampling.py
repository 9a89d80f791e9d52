"""Checks of what is drawn: choices that are drawn apart, seeds that no neighbour moves, and what was said once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.extremes import find_largest
from matrix.judging.logprobs import list_candidates
from reports.evidence.finding import Finding
from suites.checks.answer import prompt_text
from suites.checks.greedy import read_said
from suites.checks.isolation import MOST_NOISE

MOST_MOVED: Final = 0.5  # of the seeds: where two tokens are nearly as likely a launch's own noise draws the other one
COUNTED_BACK: Final = 64  # tokens: llama.cpp penalises what was said in the last 64


def check_drawn_apart(item: Item, drawn: Sequence[Any]) -> Finding:
    """Check that several very hot choices are not the same in each of several requests: each is drawn for itself.

    `drawn`: the `choices` of each reply.
    """
    said = [[_join_said(each) for each in choices] for choices in drawn if isinstance(choices, list)]
    one = bool(said) and all(len(set(texts)) == 1 for texts in said)
    short = any(len(texts) < 2 for texts in said) or len(said) < len(drawn)
    wrong = ["one text for all choices of a request: one was drawn, and told again"] if one else []
    wrong += ["fewer choices than asked for"] if short else []
    return _make_finding("apart", item, "choices that differ", " || ".join(" | ".join(t) for t in said), wrong)


def check_seeds_in_company(item: Item, alone: Sequence[Reply], beside: Sequence[Reply]) -> Finding:
    """Check that a seed draws what it draws alone while others are served, but for a few: a generator that a batch
    shares moves all of them."""
    texts, others = ([reply.reasoning + reply.content for reply in told] for told in (alone, beside))
    moved = sum(mine != other for mine, other in zip(texts, others, strict=True))
    wrong = [f"{moved} of {len(texts)} seeds drew another text"] if moved > MOST_MOVED * len(texts) else []
    found = _make_finding("seed_in_company", item, " | ".join(texts), " | ".join(others), wrong)
    # Where every seed says the same, nothing was drawn.
    return replace(found, sensitive=bool(wrong) or len(set(texts)) > 1, data={"moved": moved, "seeds": len(texts)})


def check_presence(item: Item, reply: Reply, plain: Reply, penalty: float) -> Finding:
    """Check that a presence penalty changes a text that it must change: where a token that was said is ahead of one
    that stands nowhere yet by less than the penalty, the text must part at the latest."""
    place = find_present_place(item, plain, penalty)
    wrong = ["the penalty changed nothing"] if place is not None and read_said(reply) == read_said(plain) else []
    found = _make_finding("presence_penalty", item, "another text", reply.content, wrong)
    return replace(found, sensitive=place is not None, data={"place": place})


def find_present_place(item: Item, plain: Reply, penalty: float) -> int | None:
    """Return the first position at which a presence penalty must have another token chosen; None for none."""
    said: list[str] = []
    prompt = prompt_text(item)
    for place, position in enumerate(plain.logprobs):
        (token, value), *others = list_candidates(position)
        seen = {*said}
        # Some engines count the prompt, too: a rival that stands there may cost as much.
        fresh = (less for other, less in others if other not in seen and other.strip() not in prompt)
        if token in said[-COUNTED_BACK:] and value - penalty + MOST_NOISE < find_largest(fresh, default=-math.inf):
            return place
        said.append(token)
    return None


def _join_said(choice: Any) -> str:
    """Join a choice's thought and text: who always thinks may spend every token there."""
    message = choice.get("message") if isinstance(choice, Mapping) else None
    told = message if isinstance(message, Mapping) else {}
    return "".join(str(told.get(name) or "") for name in ("reasoning_content", "reasoning", "content"))


def _make_finding(name: str, item: Item, expected: str, got: str, wrong: Sequence[str]) -> Finding:
    return Finding(
        check=f"sampling.{name}", ok=not wrong, expected=expected, got=got, item=item.id, detail="; ".join(wrong)
    )
