"""Checks the text of a stream against the same request answered whole: deltas that are lost or said twice.

Greedy texts may part where two candidates tie, and go on differently from there. A stream that parts where the whole
answer has no tie lost or repeated something on its way, whatever its usage counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fixtures.client.reply import Reply
from matrix.judging.kl import is_control
from matrix.judging.logprobs import list_candidates
from reports.evidence.finding import Finding
from suites.checks.greedy import CUT_CHARACTER
from suites.checks.isolation import MOST_NOISE

TIE: Final = 2 * MOST_NOISE  # nats: two candidates change places within twice of what each may move
SHIFTS: Final = 64  # characters that a lost or repeated delta may have
REALIGNED_CHARS: Final = 24  # equal behind the seam: a delta was lost or repeated, and no other text begun
SHOWN_CHARS: Final = 40


def check_stream_text(streamed: str, whole: Reply, *, check: str = "throughput.text", item: str = "") -> Finding:
    """Check the text of a stream (reasoning and content) against the whole answer to the same greedy request."""
    text = whole.reasoning + whole.content
    tokens = _match_tokens(whole.logprobs, text)
    # Equal texts need no tie to excuse them: most streams end here, without logprobs too.
    wrong = "" if streamed == text else _explain_difference(streamed, text, tokens)
    return Finding(
        check=check,
        ok=not wrong,
        expected=f"the whole answer's {len(text)} characters, but for ties",
        got=f"{len(streamed)} characters: {streamed[:SHOWN_CHARS]!r}",
        item=item,
        detail=wrong,
        sensitive=bool(wrong) or (bool(text) and (bool(tokens) or streamed == text)),
        data={"characters": len(streamed), "whole_characters": len(text)},
    )


def _match_tokens(logprobs: Sequence[Mapping[str, Any]], text: str) -> list[list[tuple[str, float]]]:
    """Return the candidates of each position, the chosen one first, with the text that a user sees of it; empty where
    they do not make up the text. Control tokens may be shown or not."""
    told = [list_candidates(position) for position in logprobs]
    # With `skip_special_tokens` a control token has a logprob and no text.
    for shows_control in (True, False):
        seen = [[(_show_token(token, shows_control), value) for token, value in each] for each in told]
        if "".join(each[0][0] for each in seen) == text:
            return seen
    return []


def _show_token(token: str, shows_control: bool) -> str:
    return "" if is_control(token) and not shows_control else token


def _explain_difference(streamed: str, text: str, tokens: Sequence[Sequence[tuple[str, float]]]) -> str:
    offset = 0
    for (token, value), *others in tokens:
        rest = streamed[offset:]
        near = (other for other, less in others if other != token and value - less <= TIE)
        if any(rest.startswith(other) for other in near):
            return ""  # it may have gone on with that one
        if not rest.startswith(token):
            if CUT_CHARACTER in token:
                return ""
            alternatives = any(other != token for other, _ in others)
            # engines tell no candidates of accepted drafts; a stream that ends inside the next token chose no other one
            lost = text[offset:].startswith(rest) or _realigns(rest, text[offset:])
            return _describe_parting(offset, rest, text) if alternatives or lost else ""
        offset += len(token)
    return _describe_parting(offset, streamed[offset:], text) if tokens and len(streamed) > len(text) else ""


def _describe_parting(offset: int, rest: str, text: str) -> str:
    stream, whole = rest[:SHOWN_CHARS] or "nothing more", text[offset : offset + SHOWN_CHARS] or "nothing more"
    return f"character {offset}: the stream goes on with {stream!r}, the whole answer with {whole!r}, and nothing ties"


def _realigns(rest: str, text: str) -> bool:
    """Return whether one of the two goes on as the other does a few characters later."""
    return any(behind and behind == ahead for behind, ahead in _shifted_pairs(rest, text))


def _shifted_pairs(rest: str, text: str) -> Iterator[tuple[str, str]]:
    for shift in range(1, SHIFTS):
        for late, early in ((text[shift:], rest), (rest[shift:], text)):
            # Near the end less is left to compare; under half of it any two sentences may agree by chance.
            length = min(REALIGNED_CHARS, len(late))
            if length >= REALIGNED_CHARS // 2:
                yield late[:length], early[:length]
