"""Asks a server with limits of its own: waits as long as it wants, and leaves out a field that it refuses."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused, room_for
from fixtures.client.reply import Reply
from fixtures.launch.attached.greeting import STATUS_ADVICE, LimitTold
from fixtures.launch.readiness import AWAY
from matrix.errors import HostError

SWITCH: Final = "chat_template_kwargs"  # vLLM's, SGLang's and llama.cpp's field; OpenAI's protocol has none
NOT_ADMITTED: Final[Mapping[int, str]] = {
    **{status: STATUS_ADVICE[status][0].upper() + STATUS_ADVICE[status][1:] for status in (401, 403)},
    404: AWAY[404],
}
LONGEST_WAIT_S: Final = 60.0  # that one answer may ask for; longer is for another day
ROOM_FOR_THOUGHT: Final = 2_048  # tokens beside the answer
MOST_WAITS: Final = 5  # in a whole probe
DEFAULT_WAIT_S: Final = 5.0  # where a 429 does not say
Greeted = TypeVar("Greeted")


class LimitReached(Exception):
    """The server asks to wait longer than a probe does."""


@dataclass(slots=True)
class Asker:
    """Greedy questions over one client. Counts the waits that the server asked for, and remembers what it refused."""

    client: Client
    thinking: bool = False
    sleep: Callable[[float], None] = time.sleep
    waits: int = 0
    waited_s: float = 0.0
    left_out: str = ""
    tokens: list[int] = field(default_factory=lambda: [0, 0])  # prompt, completion

    def room(self, item: Item) -> int:
        """Return `max_tokens` of an item's request."""
        return room_for(item) + (ROOM_FOR_THOUGHT if self.thinking else 0)

    def ask(self, item: Item, *, max_tokens: int | None = None, stream: bool = False) -> Reply:
        """Return the reply, of at most `room` tokens where nothing else is said.

        Raises:
            LimitReached: it asks to wait too long, or too often.
            HostError: it does not admit us, or knows no such model.
            EngineError: as `Client.post`.
        """
        while True:
            try:
                reply = self.client.post(
                    "/v1/chat/completions", self._make_body(item, max_tokens or self.room(item), stream)
                )
            except EngineRefused as refused:
                if refused.status in NOT_ADMITTED:
                    raise HostError(f"{self.client.base_url}: {refused}. {NOT_ADMITTED[refused.status]}") from refused
                if not self._can_go_on(refused):
                    raise
            else:
                self.tokens[0] += reply.prompt_tokens or 0
                self.tokens[1] += reply.completion_tokens or 0
                return reply

    def greet(self, ask: Callable[[], Greeted]) -> Greeted:
        """Return what `ask` does, which may meet the limit before the first question does.

        Raises:
            HostError: as `ask`; the limit's own where it asks to wait too long, or too often.
        """
        while True:
            try:
                return ask()
            except LimitTold as limit:
                try:
                    self._wait(read_wait_s(limit.retry_after))
                except LimitReached:
                    raise limit from None

    def _make_body(self, item: Item, max_tokens: int, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.client.model, "messages": list(item.messages), "max_tokens": max_tokens}
        body["temperature"] = 0.0
        if not self.left_out:
            body[SWITCH] = {"enable_thinking": self.thinking}
        if item.tools:
            body["tools"] = list(item.tools)
        return body | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})

    def _can_go_on(self, refused: EngineRefused) -> bool:
        if refused.status == http.client.TOO_MANY_REQUESTS:
            self._wait(read_wait_s(refused.retry_after))
            return True
        unknown = refused.status in (http.client.BAD_REQUEST, http.client.UNPROCESSABLE_ENTITY)
        if unknown and SWITCH in refused.body and not self.left_out:
            self.left_out = f"{SWITCH}: it answers HTTP {refused.status} to it, so thinking is as its own default"
            return True
        return False

    def _wait(self, wanted_s: float) -> None:
        if wanted_s > LONGEST_WAIT_S or self.waits >= MOST_WAITS:
            raise LimitReached(f"it asks to wait {wanted_s:.0f} s, after {self.waits} waits of this probe")
        self.waits += 1
        self.waited_s += wanted_s
        self.sleep(wanted_s)


def read_wait_s(header: str) -> float:
    """Read Retry-After, seconds or an HTTP date, as seconds from now; DEFAULT_WAIT_S for neither.

    >>> read_wait_s("7")
    7.0
    """
    text = header.strip()
    if text.isdigit() and len(text) < 9:
        return float(text)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        until = parsedate_to_datetime(text)
        return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return DEFAULT_WAIT_S
