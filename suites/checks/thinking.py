"""Checks replies to requests with thinking on: the thought is filed as one, it ends, and an answer or a call follows.

| what goes wrong | who sees it |
|---|---|
| the answer stands in the reasoning field, `content` is empty | `check_answer` |
| the thought takes the whole budget | `check_answer`, `check_calls` |
| a call is swallowed in the thought | `check_calls` |
| the thought stands in `content`, too, or instead | `check_answer`, `check_separated` |
| a thought that was cut short is filed as the answer | `check_cut_short` |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks import answer, text, tools
from suites.checks.text import LEAKS

SAID_TWICE_CHARS: Final = 24  # of a thought that stands in the answer, too: less may be chance
REPARSED_WORDS: Final = 4
TAG_TOKENS: Final = 6  # the tags around a thought, line breaks and an end token


def check_answer(item: Item, reply: Reply) -> Finding:
    """Check that the right answer stands in the content, behind a thought that stands elsewhere."""
    return _add_faults(answer.check_answer(item, reply, check="thinking.answer"), item, reply)


def check_calls(item: Item, reply: Reply) -> Finding:
    """Check that the expected calls were made, and not thought."""
    return _add_faults(tools.check_calls(item, reply, check="thinking.call"), item, reply)


def _add_faults(found: Finding, item: Item, reply: Reply) -> Finding:
    wrong = [*_find_faults(item, reply), *([found.detail] if found.detail else [])]
    data = {**found.data, "reasoning_chars": len(reply.reasoning)}
    return replace(found, ok=not wrong, detail="; ".join(dict.fromkeys(wrong)), data=data)


def _find_faults(item: Item, reply: Reply) -> Iterator[str]:
    """Find what only a reply with a thought can have."""
    silent = not reply.content.strip() and not reply.tool_calls
    if reply.finish_reason == "length" and silent:
        yield f"the thought took the whole budget of {reply.completion_tokens} tokens"
    if item.call and not reply.tool_calls and (name := _find_swallowed_call(item, reply.reasoning)):
        yield f"the call of {name!r} was swallowed in the reasoning"
    if item.call and reply.tool_calls:  # `answer.check_answer` looks itself
        yield from _find_defects_of_thought(reply)
    # Whitespace is folded on both sides: parsers strip or keep the newlines around tags as they like.
    thought = " ".join(reply.reasoning.split())
    if len(thought) >= SAID_TWICE_CHARS and thought in " ".join(reply.content.split()):
        yield "the thought stands in the content, too"


def _find_defects_of_thought(reply: Reply) -> Iterator[str]:
    """Find loops, gibberish and markup in the thought; a model may think in another language than it is asked in."""
    if not reply.reasoning.strip():
        return
    for defect in text.find_defects(reply.reasoning):
        if not defect.startswith("stray"):
            yield f"in the reasoning: {defect}"


def _find_swallowed_call(item: Item, thought: str) -> str:
    """Find the expected call that a thought contains as markup, or with every one of its values. Empty for none."""
    for call in item.call:
        # A thought may name a tool while it weighs one. Markup, or the name with all of its values, is the call itself.
        values = [value if isinstance(value, str) else str(value) for value in call.arguments.values()]
        if call.name in thought and (LEAKS.search(thought) or (values and all(v in thought for v in values))):
            return call.name
    return ""


def check_separated(replies: Sequence[Reply]) -> Finding:
    """Check that thoughts arrive in the reasoning field: of requests with thinking on, at least one reply has one.

    A model may skip a thought now and then. Where all of them lack it, the switch was ignored, or the parser is missing
    and the thought stands in the content.
    """
    thought = sum(bool(reply.reasoning.strip()) for reply in replies)
    return Finding(
        check="thinking.separated",
        ok=thought > 0,
        expected="a thought in `reasoning_content` or `reasoning`",
        got=f"{thought} of {len(replies)} replies have one",
        detail="" if thought else "the switch was ignored, or thoughts stand in the content",
        sensitive=bool(replies),
        data={"replies": len(replies), "with_reasoning": thought},
    )


def check_switched_off(item: Item, reply: Reply) -> Finding:
    """Check that no thought comes where the request switched thinking off."""
    wrong = reply.reasoning.strip()
    return Finding(
        check="thinking.switched_off",
        ok=not wrong,
        expected="no reasoning",
        got=reply.reasoning or reply.content,
        item=item.id,
        detail="the switch was ignored" if wrong else "",
    )


def check_switched_on(item: Item, before: Reply, again: Reply) -> Finding:
    """Check that a request with thinking on has a thought behind one without, as it had behind one with."""
    wrong = bool(before.reasoning.strip()) and not again.reasoning.strip()
    return Finding(
        check="thinking.switched_on",
        ok=not wrong,
        expected="a thought" if before.reasoning.strip() else "none: this item has none",
        got=again.reasoning or again.content,
        item=item.id,
        detail="the thought is missing behind a request with thinking off" if wrong else "",
        sensitive=bool(before.reasoning.strip()),
    )


def check_cut_short(item: Item, cut: Reply, whole: Reply, *, max_tokens: int) -> Finding:
    """Check a reply whose budget ends inside the thought: it has the length asked for, and says no answer.

    `whole` is the same greedy request with room enough; where it has no thought, nothing is cut and nothing is judged.
    """
    wrong = list(_find_faults_of_cut(cut, whole, max_tokens))
    return Finding(
        check="thinking.cut_short",
        ok=not wrong,
        expected=f"{max_tokens} tokens of the thought, finish_reason 'length', and no content",
        got=f"{cut.finish_reason=} {cut.completion_tokens=} {cut.reasoning!r} {cut.content!r}",
        item=item.id,
        detail="; ".join(wrong),
        sensitive=len(whole.reasoning.split()) > REPARSED_WORDS,
    )


def _find_faults_of_cut(cut: Reply, whole: Reply, max_tokens: int) -> Iterator[str]:
    if len(whole.reasoning.split()) <= REPARSED_WORDS:  # the budget may reach beyond such a thought
        return
    if cut.finish_reason != "length":
        yield f"finish_reason is {cut.finish_reason!r}, not 'length'"
    # To the token: a count without the thought is too low, and bills what nobody can check.
    if cut.completion_tokens is not None and cut.completion_tokens != max_tokens:
        yield f"{cut.completion_tokens} tokens were made, {max_tokens} allowed"
    if len(cut.reasoning.split()) >= len(whole.reasoning.split()):
        yield f"the whole thought, counted as {max_tokens} tokens"
    if cut.content.strip():
        yield "a thought that was cut short was filed as the answer"
    # Greedy, so the longer thought must begin as the shorter: both are the same request but for its limit.
    if not whole.reasoning.strip().startswith(cut.reasoning.strip()):
        yield "the thought is another one than with more room"


def pick_stops(whole: Reply) -> list[str]:
    """Return a word of the answer that the thought does not say, and one of the thought; what there is of them."""
    words, thought = whole.content.split(), whole.reasoning.split()
    fresh = [word for word in words if word not in whole.reasoning]
    return [each[len(each) // 2] for each in (fresh, thought) if each]


def check_stopped(item: Item, reply: Reply, whole: Reply, stop: str) -> Finding:
    """Check a reply with a thought that a stop string ended, inside the answer or inside the thought.

    Engines search a thought for stop strings, or pass over it: both are taken. What is sent must end before the string.
    """
    wrong = list(_find_faults_of_stop(reply, whole, stop))
    return Finding(
        check="thinking.stopped",
        ok=not wrong,
        expected=f"the reply up to {stop!r}",
        got=f"{reply.finish_reason=} {reply.reasoning!r} {reply.content!r}",
        item=item.id,
        detail="; ".join(wrong),
        sensitive=bool(whole.reasoning.strip()),
    )


def _find_faults_of_stop(reply: Reply, whole: Reply, stop: str) -> Iterator[str]:
    ended_inside = stop in whole.reasoning and not reply.content.strip()
    if ended_inside and stop in reply.reasoning:
        yield "the thought holds the stop string that ended it"
    if stop in reply.content:
        yield "the stop string was sent"
    if LEAKS.search(reply.content):
        yield "a tag of the thought stands in the content"
    told = whole.reasoning.partition(stop)[0] if ended_inside else whole.reasoning
    if " ".join(reply.reasoning.split()) != " ".join(told.split()):
        yield "the thought is another one than without the stop string"
    before = "" if ended_inside else whole.content.partition(stop)[0]
    if reply.content.rstrip() != before.rstrip():
        yield "the text is not what comes before the stop string"
    if reply.finish_reason != "stop":
        yield f"finish_reason is {reply.finish_reason!r}, not 'stop'"


def check_numbered(item: Item, streamed: Reply, whole: Reply) -> Finding:
    """Check that a stream with a thought has logprobs of about as many tokens as the whole reply: of its tags some
    engines tell none."""
    told, wanted = len(streamed.logprobs), len(whole.logprobs)
    wrong = told < wanted - TAG_TOKENS
    return Finding(
        check="thinking.numbered",
        ok=not wrong,
        expected=f"{wanted} positions, as in the whole reply",
        got=f"{told} positions",
        item=item.id,
        detail="the thought of the stream has no logprobs" if wrong else "",
        sensitive=wanted > TAG_TOKENS and bool(whole.reasoning.strip()),
    )


def check_effort(efforts: Sequence[str], spent: Sequence[int]) -> Finding:
    """Check that more effort is no fewer tokens: `spent` are the completion tokens of the same questions, by effort."""
    # Only the ends: neighbouring efforts may change places by the luck of a few questions.
    ordered = spent[0] <= spent[-1]
    return Finding(
        check="thinking.effort",
        ok=ordered,
        expected=f"{efforts[-1]} thinks at least as long as {efforts[0]}",
        got=", ".join(f"{effort} {count} tokens" for effort, count in zip(efforts, spent, strict=True)),
        detail="" if ordered else "the effort is ignored or reversed",
        data={"efforts": list(efforts), "tokens": list(spent)},
    )
