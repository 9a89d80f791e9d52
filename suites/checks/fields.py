"""Checks that fields of a request are obeyed: stop strings, biases, choices, seeds; and what a hang-up leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding

CLIENT_ERRORS = range(400, 500)


def check_stop(item: Item, reply: Reply, whole: Reply, stop: str) -> Finding:
    """Check that a reply ends before its stop string: it is the whole greedy reply up to there, and says `stop`."""
    before = whole.content.partition(stop)[0]
    # Engines drop, or keep, the space between the text and its stop string.
    wrong = [] if reply.content.rstrip() == before.rstrip() else ["the text is not what comes before the stop string"]
    if stop in reply.content:
        wrong.append("the stop string was sent")
    if reply.finish_reason != "stop":
        wrong.append(f"finish_reason is {reply.finish_reason!r}, not 'stop'")
    return _make_finding("stop", item, before, reply.content, wrong)


def check_bias(item: Item, text: str, max_tokens: int) -> Finding:
    """Check that a bias of 100 leaves one token: the reply is that token, again and again, up to its length."""
    # Which token the biased id is differs between vocabularies, so its text is derived from the reply's length.
    size = len(text) // max_tokens
    repeated = bool(text) and text == text[:size] * max_tokens
    wrong = [] if repeated else ["the reply is not one token repeated: the bias was ignored"]
    return _make_finding("logit_bias", item, f"one token {max_tokens} times", text, wrong)


def check_choices(item: Item, choices: Any, n: int) -> Finding:
    """Check that `n` greedy choices come, each under its own index, and say the same."""
    found = [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []
    said = [_read_content(choice).strip() for choice in found]
    indexes = [choice.get("index") for choice in found]
    # In this order: clients read choices[0], not the choice whose index is 0.
    wrong = [] if indexes == list(range(n)) else [f"their indexes are {indexes}"]
    if len(set(said)) > 1:
        wrong.append("greedy choices differ")
    if not all(said):
        wrong.append("a choice is empty")
    return _make_finding("n", item, f"{n} equal choices", " | ".join(said), wrong)


def _read_content(choice: Mapping[str, Any]) -> str:
    message = choice.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, str) else ""


def check_refused_field(item: Item, field: str, status: int, body: str) -> Finding:
    """Keep an honest refusal of a field: nobody is judged by it. A 5xx blames the server for the client's choice."""
    wrong = [] if status in CLIENT_ERRORS else [f"HTTP {status} for a field that the client chose"]
    got = f"HTTP {status}: {body[:200]}"
    return _make_finding(field, item, "served, or refused with 4xx", got, wrong, sensitive=bool(wrong))


def check_same_seed(item: Item, first: Reply, again: Reply) -> Finding:
    """Check that one seed gives one sampled text."""
    wrong = ["the same seed gave another text"] if first.content != again.content else []
    return _make_finding("seed", item, first.content, again.content, wrong)


def check_sampled(item: Item, replies: Sequence[Reply]) -> Finding:
    """Check that very hot replies with several seeds are not all the same: the sampler and its seed are used."""
    texts = {reply.content for reply in replies}
    wrong = [] if len(texts) > 1 else ["one text for every seed: the temperature or the seed is ignored"]
    return _make_finding("sampled", item, "several texts", " | ".join(r.content for r in replies), wrong)


def check_narrowed(item: Item, greedy: Reply, narrowed: Reply, field: str) -> Finding:
    """Check that a field that leaves one candidate gives the greedy text, however hot."""
    wrong = [] if narrowed.content == greedy.content else [f"{field} left more than one token to the sampler"]
    return _make_finding(f"narrowed.{field}", item, greedy.content, narrowed.content, wrong)


def check_after_hang_up(item: Item, before: Reply, after: Reply) -> Finding:
    """Check that a greedy answer is the same after streams were left: no slot, cache or parser kept a part."""
    wrong = [] if after.content == before.content else ["another answer than before streams were left"]
    if after.finish_reason != before.finish_reason:
        wrong.append(f"finish_reason is {after.finish_reason!r}, {before.finish_reason!r} before")
    return _make_finding("cancelled", item, before.content, after.content, wrong)


def _make_finding(
    name: str, item: Item, expected: str, got: str, wrong: Sequence[str], *, sensitive: bool = True
) -> Finding:
    return Finding(
        check=f"fields.{name}",
        ok=not wrong,
        expected=expected,
        got=got,
        item=item.id,
        detail="; ".join(wrong),
        sensitive=sensitive,
    )
