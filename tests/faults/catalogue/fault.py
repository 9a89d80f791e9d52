"""A fault as data: which part of an exchange it touches, how, and who must notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fixtures.client.reply import Reply

Json = Any
Family = Literal[
    "text",
    "attention",
    "tools",
    "thinking",
    "clients",
    "structured",
    "fields",
    "instructions",
    "protocol",
    "bleed",
    "performance",
    "features",
    "lifecycle",
    "identity",
    "together",
    "reuse",
    "hostile",
]
COMPLETIONS = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for a completion, and the circumstances in which it came."""

    body: Mapping[str, Json]
    number: int  # of the completions asked for since the fault was set, from 1
    in_flight: int  # completions being answered just now, this one included
    earlier: Reply | None = None  # the last reply to somebody else, undamaged
    beside: str = ""  # what the other requests in flight ask

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def load(self) -> bool:
        """A load request: every reply has the length that was asked for."""
        return bool(self.body.get("ignore_eos"))

    @property
    def prompt(self) -> str:
        told = self.body.get("messages", ())
        # A suite asks what is no valid request, too.
        return "\n".join(str(m.get("content") or "") for m in told) if isinstance(told, list) else str(told)


def always(asked: Asked) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One named way to damage what passes. Everything that a fault does not name passes as the engine sent it.

    A streamed completion that `reply` damages is read to its end and sent again; `event` and `pause_s` work on the
    chunks in passing, at the engine's own pace.
    """

    family: Family
    does: str
    kills: tuple[str, ...]
    invisible: str = ""  # why nothing can notice it from one run; such a fault does not count
    touches: Callable[[Asked], bool] = always
    request: Callable[[dict[str, Json], Asked], dict[str, Json]] | None = None
    reply: Callable[[Reply, Asked], Reply] | None = None
    event: Callable[[dict[str, Json], int], dict[str, Json] | None] | None = None  # a streamed chunk; None drops it
    pause_s: Callable[[int, Asked], float] | None = None  # before the n-th chunk, from 0
    done: bool = True  # whether [DONE] passes
    # A chunk of text behind the moment at which another client hung up; None ends the stream.
    at_hang_up: Callable[[dict[str, Json]], dict[str, Json] | None] | None = None
    cut_after: int | None = None  # chunks, then the connection is reset; a whole reply is cut in its body
    stall_after: int | None = None  # chunks, then silence; a whole reply never begins
    payload: Callable[[bytes], bytes] | None = None  # change of the bytes of a whole reply, or of each chunk
    chunk_size: bytes | None = None  # said of every chunk instead of the true one; a whole reply is sent in one
    drip_s: float = 0.0  # between single bytes
    instead: tuple[int, str, bytes] | None = None  # status, content type and body, without asking the engine
    refuse: bool = False  # hang up without asking the engine
    documents: Mapping[str, Callable[[str], str]] = field(default_factory=dict)  # GET path -> change of its text
    statuses: Mapping[str, int] = field(default_factory=dict)  # GET path -> status instead of the engine's
    reads_on: bool = False  # the engine's stream is read to its end, though the client is gone
    slow: bool = False  # costs the client's patience at each request

    def touches_completions(self) -> bool:
        return any(
            (
                self.request,
                self.reply,
                self.event,
                self.at_hang_up,
                self.pause_s,
                not self.done,
                self.cut_after is not None,
                self.stall_after is not None,
                self.drip_s,
                self.instead,
                self.refuse,
                self.payload,
                self.chunk_size,
            )
        )
