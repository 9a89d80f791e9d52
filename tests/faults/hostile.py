"""Bytes that no engine should answer with: damage to the JSON of a completion, for the stub and for the fault proxy.

Worked on as text, because most of it is no JSON that a writer would write. The same for a whole completion and for each
event of a stream, whatever spaces stand between the parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.faults.suite_tests import BOOT, CALL, FACTS, NEIGHBOURS, PREFIX, SIGNATURE, SINGLE, SUMS, TEXT

Payload = Callable[[bytes], bytes]
READ: Final = (
    BOOT,
    FACTS,
    SIGNATURE,
    TEXT,
    SINGLE,
)  # what reads a reply at all, whole, streamed and by the load client
NUMBERS: Final = (SIGNATURE, PREFIX, NEIGHBOURS)
COUNTS: Final = (BOOT, SIGNATURE, TEXT, SINGLE)
CHUNK_SIZES: Final = {"negative_chunk_size": b"-5", "endless_chunk_size": b"f" * 17, "no_chunk_size": b"xyz"}
_LOGPROB = re.compile(rb'("logprob":\s*)-?[\d.]+(?:[eE][-+]?\d+)?')
_CONTENT = re.compile(rb'("content":\s*")(?!")')
_ARGUMENTS = re.compile(rb'("arguments":\s*")(?!")')
_NAME = re.compile(rb'("function":\s*\{[^{}]*?"name":\s*")(?!")')
_COUNT = re.compile(rb'("(?:prompt|completion)_tokens":\s*)\d+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One damage to the bytes of every reply, and who must notice."""

    does: str
    kills: tuple[str, ...]
    payload: Payload


def _before(place: re.Pattern[bytes], what: bytes, payload: bytes) -> bytes:
    return place.sub(lambda found: found[1] + what, payload)


def _instead(what: bytes, payload: bytes) -> bytes:
    return what


def _twice(payload: bytes) -> bytes:
    return payload.rstrip()[:-1] + b', "model": "another"}' if payload.rstrip().endswith(b"}") else payload


def _made(does: str, kills: tuple[str, ...], place: re.Pattern[bytes], what: bytes) -> Hostile:
    return Hostile(does=does, kills=kills, payload=partial(_before, place, what))


HOSTILE: Final[Mapping[str, Hostile]] = {
    "nan_logprobs": _made("every logprob is NaN", NUMBERS, _LOGPROB, b"NaN"),
    "null_logprobs": _made(
        "every logprob is null, as writers put it that cannot write NaN", NUMBERS, _LOGPROB, b"null"
    ),
    "infinite_logprobs": _made("every logprob is infinite", NUMBERS, _LOGPROB, b"Infinity"),
    "minus_infinite_logprobs": _made("every logprob is -infinite", NUMBERS, _LOGPROB, b"-Infinity"),
    "positive_logprobs": _made("every logprob is 0.5", NUMBERS, _LOGPROB, b"0.5"),
    "text_logprobs": _made("every logprob is text", NUMBERS, _LOGPROB, b'"-0.1"'),
    "true_logprobs": _made("every logprob is true", NUMBERS, _LOGPROB, b"true"),
    "half_character": _made(
        "the content begins with half of a surrogate pair", (BOOT, FACTS, TEXT), _CONTENT, b"\\ud83d"
    ),
    "half_character_in_arguments": _made(
        "call arguments begin with half of a surrogate pair", (CALL,), _ARGUMENTS, b"\\udc00"
    ),
    "half_character_in_name": _made("a tool's name begins with half of a surrogate pair", (CALL,), _NAME, b"\\ud83d"),
    "control_characters": _made(
        "the content begins with a terminal escape sequence", (FACTS, SUMS, TEXT), _CONTENT, b"\\u001b[2J"
    ),
    "c1_controls": _made("the content begins with a C1 control character", (FACTS, SUMS, TEXT), _CONTENT, b"\\u009b1m"),
    "bytes_that_are_no_utf8": _made(
        "the content begins with a byte that is no UTF-8", (BOOT, FACTS, TEXT), _CONTENT, b"\xff"
    ),
    "huge_counts": _made("token counts have 5,000 digits", COUNTS, _COUNT, b"9" * 5_000),
    "true_counts": _made("token counts are true", COUNTS, _COUNT, b"true"),
    "negative_counts": _made("token counts are -1", COUNTS, _COUNT, b"-1"),
    "nan_counts": _made("token counts are NaN", COUNTS, _COUNT, b"NaN"),
    "keys_twice": Hostile(does="a key of the reply occurs twice", kills=READ, payload=_twice),
    "nested_arrays": Hostile(
        does="the reply is 200,000 opening brackets", kills=READ, payload=partial(_instead, b"[" * 200_000)
    ),
    "nested_objects": Hostile(
        does="the reply is 50,000 nested objects that never close",
        kills=READ,
        payload=partial(_instead, b'{"a":' * 50_000),
    ),
}
