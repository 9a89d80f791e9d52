"""Checks that a reply is as long as it must be: to the letter where the answer is known, and to the token where the
request says.

Every check but the first compares with the whole greedy reply to the same question, so that any model can be asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks.normal import normalise_text

HALF = "\ufffd \n"  # what a text may end in or lack: half of a character, and space that templates strip


def check_exact(item: Item, reply: Reply) -> Finding:
    """Check that the reply is the answer from its first to its last word: an end token that is missed lets an engine
    go on with sound sentences, and one that comes early cuts them at a full stop."""
    answer, said = normalise_text(item.answer or ""), normalise_text(reply.content)
    wrong = [] if said == answer else [_explain_other_text(answer, said)]
    if reply.finish_reason != "stop":
        wrong.append(f"finish_reason is {reply.finish_reason!r}, not 'stop'")
    return _make_finding("exact", item, item.answer or "", reply, wrong)


def _explain_other_text(answer: str, said: str) -> str:
    more = len(said.split()) - len(answer.split())
    if said.startswith(answer):
        return f"goes on for {more} words behind its end" if more else "goes on behind its end"
    if answer.startswith(said):
        return f"ends {-more} words early" if more else "ends early"
    return "not the answer to the letter"


def check_cut(item: Item, reply: Reply, whole: Reply, max_tokens: int) -> Finding:
    """Check that `max_tokens`, which the whole reply exceeds, cuts it: exactly so many tokens, the beginning of the
    whole, and `length`."""
    wrong = (
        [] if _join_said(whole).startswith(_join_said(reply).rstrip(HALF)) else ["the text is not how the whole begins"]
    )
    said, end = _join_said(reply).rstrip(HALF), _join_said(whole).rstrip(HALF)
    if said == end and (whole.completion_tokens or 0) > max_tokens + 1:  # 1: the end token may be counted
        wrong.append(f"the whole text, counted as {max_tokens} of its {whole.completion_tokens} tokens")
    wrong += _explain_count(reply, max_tokens)
    return _make_finding("max_tokens", item, f"{max_tokens} tokens of {_join_said(whole)!r}", reply, wrong)


def find_last_limit(whole: Reply, at_its_count: Reply) -> int:
    """Return the highest `max_tokens` that ends a reply by its limit although its text is whole.

    Engines count the end token, or do not: where the count of the whole reply still lets it end by itself, the token
    before its last was the last of the text.
    """
    counted = whole.completion_tokens or 0
    return counted if at_its_count.finish_reason == "length" else max(1, counted - 1)


def check_whole_at_limit(item: Item, reply: Reply, whole: Reply, max_tokens: int) -> Finding:
    """Check that a limit which only the end exceeds loses no text.

    Engines hold text back that may be the beginning of a stop string, of a tag or of a call. A `length` that does not
    give it back is honest in all its numbers.
    """
    return _make_finding("held_back", item, _join_said(whole), reply, _explain_lost_text(reply, whole, max_tokens))


def _explain_lost_text(reply: Reply, whole: Reply, max_tokens: int) -> list[str]:
    said, wanted = _join_said(reply).rstrip(HALF), _join_said(whole).rstrip(HALF)
    wrong = []
    if said != wanted:
        lost = wanted.removeprefix(said)
        how = f"{'streamed' if reply.streamed else 'whole'}, finish_reason {reply.finish_reason!r}"
        # A text that is no beginning of the whole is another fault than one that lacks its end.
        wrong.append(f"{lost!r} was held back and lost, {how}" if lost != wanted or not said else "not the whole reply")
    spent = reply.completion_tokens
    if spent is None or spent > max_tokens:
        wrong.append(f"{spent} tokens, {max_tokens} allowed")
    return wrong


def check_past_the_end(item: Item, reply: Reply, whole: Reply, tokens: int) -> Finding:
    """Check that `ignore_eos` fills the length asked for behind the whole reply: loads count on it."""
    wrong = _explain_other_beginning(reply, whole) + _explain_count(reply, tokens)
    return _make_finding("ignore_eos", item, f"{tokens} tokens that begin with {_join_said(whole)!r}", reply, wrong)


def check_at_least(item: Item, reply: Reply, whole: Reply, min_tokens: int) -> Finding:
    """Check that `min_tokens` keeps a reply from its end until then."""
    wrong, spent = _explain_other_beginning(reply, whole), reply.completion_tokens
    if spent is None or spent < min_tokens:
        wrong.append(f"{spent} tokens, at least {min_tokens} wanted")
    return _make_finding("min_tokens", item, f"at least {min_tokens} tokens", reply, wrong)


def _explain_count(reply: Reply, tokens: int) -> list[str]:
    wrong = [] if reply.completion_tokens == tokens else [f"{reply.completion_tokens} tokens, {tokens} wanted"]
    if reply.finish_reason != "length":
        wrong.append(f"finish_reason is {reply.finish_reason!r}, not 'length'")
    return wrong


def _explain_other_beginning(reply: Reply, whole: Reply) -> list[str]:
    return (
        []
        if _join_said(reply).startswith(_join_said(whole).rstrip())
        else ["the text does not begin as the whole reply"]
    )


def _join_said(reply: Reply) -> str:
    """Join thought and answer: a model that always thinks may reach its limit inside the thought."""
    return reply.reasoning + reply.content


def _make_finding(name: str, item: Item, expected: str, reply: Reply, wrong: Sequence[str]) -> Finding:
    return Finding(
        check=f"length.{name}",
        ok=not wrong,
        expected=expected,
        got=_join_said(reply),
        item=item.id,
        detail="; ".join(wrong),
        data={"finish_reason": reply.finish_reason, "completion_tokens": reply.completion_tokens},
    )
