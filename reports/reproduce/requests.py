"""Finds the request of a failure among the kept questions of its test.

A finding does not name its request. What it quotes of the reply and the hash of its prompt identify the request; where
they do not, the choice is a guess, and the result says so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from reports.evidence import kept
from reports.evidence.kept import Exchange, KeptTape, Unreadable
from reports.evidence.types import Found
from reports.reproduce.ask import read_reply
from reports.reproduce.failures import ReproducedFailure

HTTP: Final = "http"
HTTP_OK: Final = 200
LEAST_QUOTE: Final = 4  # characters of a quoted reply that identify it
Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRequest:
    """One HTTP request of a test with its reply. `exchange` is its place among the test's exchanges."""

    exchange: int
    method: str
    path: str
    body: Json  # parsed JSON; None without a body
    status: int  # 0: no reply
    reply: bytes
    lane: str = ""
    why: str = ""  # how the request was chosen
    certain: bool = True

    @property
    def said(self) -> Mapping[str, Json]:
        return read_reply(self.status, self.reply)

    @property
    def request(self) -> Mapping[str, Json]:
        """The request as JSON data, as `ask.py` reads it."""
        own = {"exchange": self.exchange, "method": self.method, "path": self.path, "body": self.body}
        return {**own, "lane": self.lane} if self.lane else own


def read_tape_of(failure: ReproducedFailure) -> KeptTape:
    """Read what the failed test asked and was told.

    Raises:
        Unreadable: nothing was kept, or the file is absent or damaged.
    """
    if failure.kept is None or not failure.kept.sha256:
        why = "; ".join(failure.kept.dropped) if failure.kept else "this evidence was written before replies were kept"
        raise Unreadable(why or "nothing was kept")
    return kept.read_tape(kept.folder_of(failure.evidence), failure.kept.sha256)


def list_requests(tape: KeptTape) -> list[AskedRequest]:
    """List every request of a test that has a body, in the order of asking."""
    # One without a body reads metrics or names of models, and no finding quotes it.
    return [asked for n, each in enumerate(tape.exchanges) if (asked := _read_exchange(n, each)) and asked.body]


def choose_request(
    requests: Sequence[AskedRequest], finding: Found | None, alike: Sequence[str] = ()
) -> AskedRequest | None:
    """Choose the request of a finding; without a finding, the last one that was not answered properly.

    `alike` are the items of the test that quote the same reply: as many equal replies are theirs in order.
    """
    if not requests:
        return None
    scored = [(_score(asked, finding), asked) for asked in requests]
    best = max(score for score, _ in scored)
    fitting = [asked for score, asked in scored if score == best]
    in_order = finding is not None and len(fitting) == len(alike) > 1 and any(best)
    # Where no sign points to any of them it is the last one: a test ends with the question that it fails by.
    place = alike.index(finding.item) if in_order and finding else 0 if any(best) else -1
    why = f"{_explain_choice(best, 1, len(requests))}, in the order of the items" if in_order else ""
    why = why or _explain_choice(best, len(fitting), len(requests))
    certain = len(requests) == 1 or (any(best) and (len(fitting) == 1 or in_order))
    return replace(fitting[place], why=why, certain=certain)


def _score(asked: AskedRequest, finding: Found | None) -> tuple[bool, bool, bool]:
    if finding is None:  # nothing is quoted, so what the server refused is the likeliest
        return asked.status != HTTP_OK, False, False
    said = asked.said
    quoted = finding.got.strip()
    whole = [str(said.get(name) or "").strip() for name in ("content", "reasoning", "text")]
    same = bool(quoted) and quoted in whole
    part = len(quoted) >= LEAST_QUOTE and any(quoted in text for text in (*whole, json.dumps(said, ensure_ascii=False)))
    wanted = str(finding.data.get("prompt_sha256") or "")
    # In this order, since tuples compare from the left: the hash is of one prompt, a quotation may be of many replies.
    return bool(wanted) and wanted == digest_prompt(asked.body), same, part


def _explain_choice(best: tuple[bool, bool, bool], fitting: int, requests: int) -> str:
    if requests == 1:
        return "the only request of its test"
    signs = ("its prompt has the recorded hash", "its reply is the quoted one", "its reply contains the quoted text")
    why = " and ".join(sign for sign, seen in zip(signs[:2], best[:2], strict=True) if seen) or (best[2] and signs[2])
    if not why:
        return f"a guess: the last of {requests} requests, none of which can be told to be the one"
    return f"{why}, as of {fitting - 1} more requests: the first of them" if fitting > 1 else str(why)


def digest_prompt(body: Json) -> str:
    """Compute the hash of messages and tools, as the checks record it."""
    if not isinstance(body, Mapping):
        return ""
    asked = {"messages": body.get("messages", []), "tools": body.get("tools", [])}
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read_exchange(number: int, each: Exchange) -> AskedRequest | None:
    question, answer = each.question, each.answer
    if each.kind != HTTP or not isinstance(question, Mapping):
        return None
    answer = answer if isinstance(answer, Mapping) else {}
    return AskedRequest(
        exchange=number,
        method=str(question.get("method", "POST")),
        path=str(question.get("path", "")),
        body=_parse_body(question.get("body")),
        status=int(answer.get("status") or 0),
        reply=_decode_bytes(answer.get("body")),
        lane=each.lane,
    )


def _parse_body(body: Json) -> Json:
    """Parse a request's body; a redacted one is already data."""
    if isinstance(body, Mapping) and set(body) != {"base64"}:
        return body
    try:
        return json.loads(_decode_bytes(body)) if body is not None else None
    except ValueError:
        return None


def _decode_bytes(value: Json) -> bytes:
    """Decode a body as it is kept: text, or base64 of what is no UTF-8."""
    if isinstance(value, Mapping):
        try:
            return base64.b64decode(str(value.get("base64", "")), validate=True)
        except binascii.Error:
            return b""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""
