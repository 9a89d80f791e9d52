"""Finds logprobs that are not those of the reply's own tokens: too few, too many, or of another text.

Engines collect tokens and their numbers in different places. With drafts, a step of several tokens may keep one number;
where text waits for the rest of a character, numbers may come a token late. Each number is sound by itself then, and a
comparison of two replies compares the wrong ones.

Seen in docs/evidence/sm90-h200 and sm90x2-h200 (vLLM 0.33.0, SGLang 0.5.23) and of llama.cpp 2026.10.11549, drafts
included: as many positions as usage counts tokens, and their tokens are the text but for control tokens.
"""

from __future__ import annotations

import re
from typing import Final

from fixtures.client.reply import Reply
from matrix.judging.kl import is_control
from matrix.judging.logprobs import chosen_token, read_logprobs
from suites.checks.greedy import CUT_CHARACTER

_SPACE: Final = re.compile(r"[\s\u0120\u010a\u2581]+")  # and what vocabularies write for it
SHOWN_CHARS: Final = 40


def explain_other_tokens(reply: Reply) -> str:
    """Return why a reply's logprobs cannot be those of its tokens; empty where they can, and where it has none.

    Thoughts and calls lose their tags on the way to a reply, so of these nothing is compared.
    """
    if not reply.logprobs or reply.reasoning or reply.tool_calls:
        return ""
    return _explain_count(reply) or _explain_text(reply)


def _explain_count(reply: Reply) -> str:
    told, made = len(reply.logprobs), reply.completion_tokens
    # The end token is counted and may have no number; a reply that was cut has none.
    fitting = (made,) if reply.finish_reason == "length" else (made, (made or 0) - 1)
    return "" if made is None or told in fitting else f"{told} positions have logprobs, of {made} tokens"


def _explain_text(reply: Reply) -> str:
    tokens = [chosen_token(position) for position in read_logprobs(reply.logprobs)]
    if any(CUT_CHARACTER in token for token in tokens):  # halves of characters are text only together
        return ""
    # With or without control tokens: engines show them or do not.
    told = {_SPACE.sub("", "".join(t for t in tokens if shown or not is_control(t))) for shown in (True, False)}
    if _SPACE.sub("", reply.content) in told:
        return ""
    return f"the logprobs are of {''.join(tokens)[:SHOWN_CHARS]!r}, the text is {reply.content[:SHOWN_CHARS]!r}"
