"""Checks that fields of a request are obeyed: stop strings, biases, choices, seeds; and what a hang-up leaves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.extremes import find_largest
from matrix.judging.logprobs import chosen_token, list_candidates, read_logprobs
from reports.evidence.finding import Finding
from suites.checks.greedy import read_said
from suites.checks.own_tokens import explain_other_tokens
from suites.checks.stream_text import check_stream_text

CLIENT_ERRORS = range(400, 500)
LOST_NATS = 40.0  # no token of a vocabulary is so far ahead of all others


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


def check_biased_token(item: Item, text: str, token: str, max_tokens: int) -> Finding:
    """Check that the token that a bias names is the one that comes, by its text in the checkpoint's tokenizer."""
    # Templates strip the space that most tokens begin with.
    wrong = [] if text.strip() == (token * max_tokens).strip() else ["another token than the biased one"]
    return _make_finding("biased_token", item, token * max_tokens, text, wrong)


def check_choices(item: Item, choices: Any, n: int) -> Finding:
    """Check that `n` greedy choices come, each under its own index, and say the same."""
    found = [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []
    said = [_read_content(choice).strip() for choice in found]
    indexes = [choice.get("index") for choice in found]
    # In this order: clients read choices[0], not the choice whose index is 0.
    wrong = [] if indexes == list(range(n)) else [f"their indexes are {indexes}"]
    if len(set(said)) > 1:
        wrong.append("greedy choices differ")
    if len(ends := dict.fromkeys(str(choice.get("finish_reason")) for choice in found)) > 1:
        wrong.append(f"equal choices end with {' and '.join(ends)}")
    if len({bool(_read_thought(choice)) for choice in found}) > 1:
        wrong.append("one choice has its thought apart and another has none")
    if not all(said):
        wrong.append("a choice is empty")
    return _make_finding("n", item, f"{n} equal choices", " | ".join(said), wrong)


def join_choices(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Join the chunks of a stream to the choices that a whole reply would have, in the order of their indexes."""
    found: dict[Any, dict[str, Any]] = {}
    for event in events:
        told = event.get("choices")
        for chunk in filter(lambda each: isinstance(each, Mapping), told if isinstance(told, list) else ()):
            index = chunk.get("index")
            made = found.setdefault(str(index), {"index": index, "message": {}, "finish_reason": None})
            _add_delta(made["message"], chunk.get("delta"))
            made["finish_reason"] = chunk.get("finish_reason") or made["finish_reason"]
    return [found[key] for key in sorted(found)]


def _add_delta(message: dict[str, str], delta: Any) -> None:
    for name in ("content", "reasoning_content", "reasoning"):
        if isinstance(delta, Mapping) and isinstance(delta.get(name), str):
            message[name] = message.get(name, "") + delta[name]


def _read_thought(choice: Mapping[str, Any]) -> str:
    message = choice.get("message")
    told = message if isinstance(message, Mapping) else {}
    return str(told.get("reasoning_content") or told.get("reasoning") or "").strip()


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
    said = [reply.reasoning + reply.content for reply in replies]  # who always thinks may spend every token there
    wrong = [] if len(set(said)) > 1 else ["one text for every seed: the temperature or the seed is ignored"]
    return _make_finding("sampled", item, "several texts", " | ".join(said), wrong)


def check_narrowed(item: Item, greedy: Reply, narrowed: Reply, field: str) -> Finding:
    """Check that a field that leaves one candidate gives the greedy text, however hot, but for ties. `greedy` has
    logprobs, where its engine gives some: past the end of a reply two tokens may be as likely."""
    said, wanted = narrowed.reasoning + narrowed.content, greedy.reasoning + greedy.content
    told = check_stream_text(said, greedy, check=f"fields.narrowed.{field}", item=item.id)
    ok = told.ok and (said == wanted or bool(greedy.logprobs))
    return replace(told, ok=ok, sensitive=True, detail="" if ok else f"{field} left more than one token to the sampler")


def check_unwatched(item: Item, reply: Reply, watched: Reply) -> Finding:
    """Check that a reply without logprobs says what the one with them says, but for ties."""
    said, wanted = read_said(reply), read_said(watched)
    told = check_stream_text(reply.reasoning + reply.content, watched, check="fields.unwatched", item=item.id)
    wrong = [told.detail] if told.detail else []
    if said == wanted:
        for name in ("finish_reason", "prompt_tokens", "completion_tokens"):
            if (mine := getattr(reply, name)) != (yours := getattr(watched, name)):
                wrong.append(f"{name} is {mine!r}, {yours!r} with logprobs")
    how = "streamed" if reply.streamed else "whole"
    return replace(told, ok=not wrong, detail="; ".join(f"{how}: {each}" for each in wrong))


def check_penalty(item: Item, reply: Reply, plain: Reply, penalty: float) -> Finding:
    """Check that a frequency penalty changes a text that it must change.

    `plain` has logprobs: where the chosen token was said so often before that the penalty costs it more than it is
    ahead of another candidate, the text must part at the latest.
    """
    place, lost = find_penalised_place(plain, penalty), _measure_loss(plain, penalty)
    must = place is not None or lost >= LOST_NATS
    wrong = ["the penalty changed nothing"] if read_said(reply) == read_said(plain) and must else []
    found = _make_finding("frequency_penalty", item, "another text", reply.content, wrong)
    return replace(found, sensitive=must, data={"place": place, "lost_nats": lost})


def find_penalised_place(plain: Reply, penalty: float) -> int | None:
    """Return the first position at which a penalty must have another token chosen; None where there is none, as in
    accepted drafts of llama.cpp, which list no other candidates."""
    said: Counter[str] = Counter()
    for place, position in enumerate(plain.logprobs):
        (token, value), *others = list_candidates(position)
        # Two times the penalty are left: prompts count in some engines and may cost the other candidate as much.
        rivals = (less - penalty * (said[other] + 2) for other, less in others if other != token)
        if value - penalty * said[token] < find_largest(rivals, default=-math.inf):
            return place
        said[token] += 1
    return None


def _measure_loss(plain: Reply, penalty: float) -> float:
    """Measure what the penalty costs the token that is said most often, at its last place, in nats."""
    said = Counter(chosen_token(position) for position in read_logprobs(plain.logprobs))
    return penalty * find_largest(float(times - 1) for times in said.values())


def check_numbered(item: Item, reply: Reply) -> Finding:
    """Check that a stream has logprobs of each of its tokens, and of no others."""
    wrong = [told] if (told := explain_other_tokens(reply)) else []
    found = _make_finding("numbered", item, "logprobs of every token", f"{len(reply.logprobs)} positions", wrong)
    return replace(found, sensitive=bool(reply.logprobs))


def check_same_choices(item: Item, first: Any, again: Any) -> Finding:
    """Check that one seed draws the same choices twice, each under its index."""
    said = [
        [_read_content(choice) for choice in choices if isinstance(choice, Mapping)]
        for choices in (first, again)
        if isinstance(choices, list)
    ]
    same = len(said) == 2 and said[0] == said[1]
    wrong = [] if same else ["the same seed drew other choices"]
    got = " || ".join(" | ".join(each) for each in said)
    return _make_finding("n.seed", item, "the same choices twice", got, wrong)


def check_refusal(item: Item, field: str, status: int, body: str) -> Finding:
    """Check that an invalid field is refused as the client's fault."""
    wrong = [] if status in CLIENT_ERRORS else [f"HTTP {status} for an invalid {field!r}"]
    return _make_finding(f"invalid.{field}", item, "HTTP 4xx", f"HTTP {status}: {body[:200]}", wrong)


def check_malformed(item: Item, what: str, status: int, body: str) -> Finding:
    """Check that a malformed request is refused as the client's fault."""
    wrong = [] if status in CLIENT_ERRORS else [f"HTTP {status} for {what}"]
    return _make_finding("malformed", item, "HTTP 4xx", f"HTTP {status}: {body[:200]}", wrong)


def check_after_hang_up(item: Item, before: Reply, after: Reply, *, behind: str = "streams were left") -> Finding:
    """Check that a greedy answer is the same after streams were left: no slot, cache or parser kept a part."""
    wrong = [] if after.content == before.content else [f"another answer than before {behind}"]
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
