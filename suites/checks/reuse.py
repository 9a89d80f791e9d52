"""Checks how much of a prompt an engine says it found in its prefix cache, against what can be there.

Two bounds. No more than was ever computed: the prompt before with its reply. No less than the prompt before, but for a
page that was not full, the page that a draft head needs again, and the frame that a template changes at the seam.
"""

from __future__ import annotations

from typing import Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding

PAGES_LOST: Final = 2  # one that is not full, and one that is computed again for the draft head's hidden states
LARGEST_PAGE: Final = 64  # sparse backends force it, whatever the plan says
FRAME_TOKENS: Final = 16  # of a template: `<|assistant|></think>` before a reply is another text behind it


def check_told_cached(item: Item, streamed: Reply, whole: Reply) -> Finding:
    """Check that a stream tells cached tokens where a whole reply to the same prompt tells some."""
    told = whole.cached_tokens or 0
    wrong = told > 0 and not streamed.cached_tokens
    return Finding(
        check="reuse.told_in_streams",
        ok=not wrong,
        expected=f"about {told} cached tokens in the usage of a stream",
        got=f"{streamed.cached_tokens or 'none'} told",
        item=item.id,
        detail=f"a whole reply tells {told} cached tokens, a stream none" if wrong else "",
        sensitive=told > 0,
    )


def check_cached(
    item: Item, before: Reply, now: Reply, cached: float | None, *, page: int, kept: bool = True
) -> Finding:
    """Check the cached tokens of a turn. `before`: the turn before it; `cached`: what usage or a metric tells, tokens;
    None where neither does. `page`: tokens of a KV page. `kept`: whether this turn must find what that one left."""
    prompt, earlier = now.prompt_tokens or 0, before.prompt_tokens or 0
    # The reply of the turn before is part of this prompt, and its keys were computed while it was decoded.
    most = min(prompt, earlier + (before.completion_tokens or 0))
    # A cache may keep whole pages alone, and a draft head reads its last one again.
    least = 0 if not kept else max(0, earlier - PAGES_LOST * max(page, LARGEST_PAGE) - FRAME_TOKENS)
    wrong = ""
    if cached is not None and not cached <= most:
        wrong = f"{cached:g} cached tokens, and only {most} could be"
    elif cached is not None and cached < least:
        wrong = f"{cached:g} cached tokens of the {earlier} that the turn before computed"
    return Finding(
        check="reuse.cached",
        ok=not wrong,
        expected=f"{least} to {most} of {prompt} prompt tokens from the cache",
        got="not told" if cached is None else f"{cached:g}",
        item=item.id,
        detail=wrong,
        sensitive=cached is not None and (least > 0 or bool(wrong)),
        data={"prompt_tokens": prompt, "cached_tokens": cached, "least": least, "most": most},
    )
