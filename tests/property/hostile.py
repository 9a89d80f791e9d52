"""Replies as no engine should give them, for hypothesis: any JSON anywhere, any text, any damage to the bytes."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import strategies as st

from fixtures.client.reply import Reply, ToolCall

Json = Any
Path = tuple[str | int, ...]
HUGE: Final = 10**400  # an integer that no float holds
NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf, 0, -0.0, 1.5, -1, True, False, 2**63, HUGE, -HUGE, 1e308])
TEXTS = st.sampled_from(
    ["", "\ud83d", "\udc00x", "\x00\x1b[2J\x9b", "\u202eabc", "NaN", "<|user|>", "7" * 400, "a b" * 90]
)
TEXTS = TEXTS | st.text(st.characters(exclude_categories=()), max_size=60)
VALUES = st.recursive(
    st.none() | NUMBERS | TEXTS | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
TOP = {"token": "Paris", "logprob": -0.01}
TOKEN = {**TOP, "top_logprobs": [TOP, {"token": " other", "logprob": -5.0}]}
CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
SAID = {"role": "assistant", "content": "Paris", "reasoning_content": "Hm.", "tool_calls": [CALL]}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}}
CHOICE = {"index": 0, "finish_reason": "stop", "logprobs": {"content": [TOKEN]}}
WHOLE: Final[Json] = {"id": "x", "model": "m", "choices": [{**CHOICE, "message": SAID}], "usage": USAGE}
EVENT: Final[Json] = {"id": "x", "model": "m", "choices": [{**CHOICE, "delta": SAID}], "usage": USAGE}


def places(value: Json, at: Path = ()) -> Iterator[Path]:
    """Every place of a document, itself included."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*at, key))


def planted(document: Json, at: Path, value: Json) -> Json:
    """Return the document with this value in that place."""
    if not at:
        return value
    made = copy.deepcopy(document)
    holder = made
    for step in at[:-1]:
        holder = holder[step]
    holder[at[-1]] = value
    return made


def somewhere(document: Json) -> st.SearchStrategy[Json]:
    """Return the document with any JSON value in any one place."""
    return st.builds(planted, st.just(document), st.sampled_from(list(places(document))), VALUES)


@st.composite
def bent(draw: st.DrawFn, document: Json) -> bytes:
    """Return the bytes of a document with one stretch of them replaced."""
    sent = json.dumps(document).encode()
    start = draw(st.integers(0, len(sent)))
    return sent[:start] + draw(st.binary(max_size=8)) + sent[start + draw(st.integers(0, 40)) :]


COUNTS = st.none() | st.integers(0, 2**63)
TIMES = st.floats(0, 1e9)
CALLS = st.builds(ToolCall, id=TEXTS, name=TEXTS | st.just("f"), arguments=TEXTS | VALUES.map(json.dumps))
POSITIONS = somewhere(TOKEN).filter(lambda made: isinstance(made, dict)) | st.dictionaries(TEXTS, VALUES, max_size=2)
REPLIES = st.builds(
    Reply,
    content=TEXTS,
    reasoning=TEXTS,
    tool_calls=st.lists(CALLS, max_size=2).map(tuple),
    finish_reason=st.none() | TEXTS | st.sampled_from(["stop", "length", "tool_calls"]),
    prompt_tokens=COUNTS,
    completion_tokens=COUNTS,
    cached_tokens=COUNTS,
    model=TEXTS,
    streamed=st.booleans(),
    done_seen=st.booleans(),
    ttft_s=st.none() | TIMES,
    e2e_s=TIMES,
    logprobs=st.lists(POSITIONS, max_size=3).map(tuple),
)
