"""Shortens the prompt of a failure against a running server: asks, judges each reply, and keeps what still fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from matrix.errors import ConfigError, HostError, Problem
from reports.reproduce import ask
from reports.reproduce.folder import write_shrunk
from reports.reproduce.judge import FACTS, FOLDER, JudgedReplies, NewReply, judge_replies, read_facts
from reports.reproduce.shrink import TRIALS, Shrunk, shrink_request

HTTP_OK: Final = 200
Json = Any
Judge = Callable[[NewReply], JudgedReplies]
Send = Callable[[Json], tuple[int, bytes]]


class _FailureOracle:
    """Answers whether a shortened request still fails as the whole one does."""

    def __init__(self, send: Send, judge: Judge | None) -> None:
        self.send, self.judge = send, judge
        self._known: dict[str, str] = {}  # what a reply says -> its kind of failure; "" for none
        self.kind = ""

    def begin(self, body: Json) -> bool:
        """Ask the whole request; return whether it fails at all."""
        self.kind = self._classify(body)
        return bool(self.kind)

    def lasts(self, body: Json) -> bool:
        return self._classify(body) == self.kind

    def _classify(self, body: Json) -> str:
        status, reply = self.send(body)
        # A refusal is another kind of failure: a prompt that became invalid on the way is not the one to shorten.
        if status != HTTP_OK:
            return f"HTTP {status}"
        said = json.dumps(ask.read_reply(status, reply), sort_keys=True)
        # Judging is a run of pytest, and greedy decoding gives the same reply to many shortened prompts.
        if said not in self._known:
            self._known[said] = self._judge(NewReply(status=status, body=reply.decode("utf-8", "replace")), said)
        return self._known[said]

    def _judge(self, reply: NewReply, said: str) -> str:
        if self.judge is None:
            return said  # without a check, only the same reply is the same failure
        found = self.judge(reply)
        return "" if found.word == "right now" else found.kind or found.why


def minimise_folder(folder: Path, url: str, *, model: str = "", key: str = "", trials: int = TRIALS) -> Shrunk:
    """Shorten the request of a reproduction folder and write it there as `request.min.json`.

    Raises:
        ConfigError: the folder holds no request, or it does not fail at this URL.
        HostError: the server does not answer, or the check cannot be run again.
    """
    facts, request = read_facts(folder), _read_request(folder)

    def send(body: Json) -> tuple[int, bytes]:
        try:
            return ask.send_request(url, {**request, "body": body}, model, key)
        except ask.NoAnswer as error:
            raise HostError(f"no answer from the server, so nothing was shortened: {error}") from None

    def judge(reply: NewReply) -> JudgedReplies:
        return judge_replies(folder, {int(request["exchange"]): reply})

    oracle = _FailureOracle(send, judge if (folder / FOLDER).is_dir() else None)
    # Asked once before anything is left out: another server, or another day, may answer rightly.
    if not oracle.begin(request["body"]):
        raise ConfigError(
            [Problem(url, 0, "", "the request is answered rightly there: there is no failure to shorten")]
        )
    found = shrink_request(request["body"], oracle.lasts, expected=str(facts["expected"]), trials=trials)
    write_shrunk(folder, request, found.body)
    return found


def _read_request(folder: Path) -> Mapping[str, Json]:
    path = folder / "request.json"
    try:
        found: Mapping[str, Json] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        why = f"this failure has no request that could be shortened (see {FACTS})"
        raise ConfigError([Problem(str(path), 0, "", why)]) from None
    return found
