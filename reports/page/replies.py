"""Finds what a test asked and was told, where that was kept: the prompt and the reply of a finding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reports.evidence.kept import Exchange, KeptTape, Unreadable, folder_of, read_tape
from reports.evidence.summary import CellRow, SettledTest
from reports.evidence.types import Found, Kept
from reports.reproduce.requests import AskedRequest, choose_request, list_requests

LOG: Final = "log"
EDGE_CHARS: Final = 1_500  # of a long prompt: its beginning and its end
SHORT_CHARS, REQUESTS = 300, 12  # of a prompt in the list of all, and of one test's requests there
LOG_LINES: Final = 12
MOST_BYTES: Final = 4 << 20  # packed: a larger file has megabytes of logs or of logprobs
Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One request and its reply as text. `doubt` says how sure it is that this is the finding's."""

    prompt: str
    reply: str
    sampling: str
    doubt: str


@dataclass(slots=True)
class Replies:
    """The kept replies beside some evidence files."""

    folders: Sequence[Path] = ()
    _read: dict[str, KeptTape | None] = field(default_factory=dict)

    @classmethod
    def beside(cls, evidence: Sequence[Path]) -> Replies:
        """Name the folders of these evidence files."""
        return cls(folders=[folder_of(path) for path in evidence])

    def find_talk(self, row: CellRow, test: SettledTest, found: Found | None) -> Talk | None:
        """Find the request of a finding, or of a failed test without one; None where nothing was kept."""
        tape = self._find_tape(row, test)
        if tape is None:
            return None
        alike = tuple(dict.fromkeys(f.item for f in test.findings if found and f.got == found.got))
        asked = choose_request(list_requests(tape), found, alike)
        return _tell_request(asked) if asked else None

    def list_talks(self, row: CellRow, test: SettledTest) -> list[Talk]:
        """List the requests of a test with their replies, each shortened; empty where nothing was kept."""
        tape = self._find_tape(row, test)
        return [_tell_request(asked, SHORT_CHARS) for asked in list_requests(tape)[:REQUESTS]] if tape else []

    def find_log(self, row: CellRow, test: SettledTest) -> str:
        """Return the last lines of the engine's log that a test looked at; empty where none were kept."""
        tape = self._find_tape(row, test)
        looks = [_read_log(each) for each in tape.exchanges if each.kind == LOG] if tape else []
        text = next((text for text in reversed(looks) if text.strip()), "")
        return "\n".join(text.rstrip().splitlines()[-LOG_LINES:])

    def _find_tape(self, row: CellRow, test: SettledTest) -> KeptTape | None:
        run = test.result.run if test.result else ""
        kept = next((k for k in row.kept if k.nodeid == test.nodeid and k.run == run), None)
        if kept is None or not kept.sha256 or kept.bytes > MOST_BYTES:
            return None
        if kept.sha256 not in self._read:
            self._read.clear()  # one test's at a time: tapes are large
            self._read[kept.sha256] = self._read_tape(kept)
        return self._read[kept.sha256]

    def _read_tape(self, kept: Kept) -> KeptTape | None:
        for folder in self.folders:
            try:
                return read_tape(folder, kept.sha256)
            except Unreadable:
                continue
        return None


def _tell_request(asked: AskedRequest, edge: int = EDGE_CHARS) -> Talk:
    body = asked.body if isinstance(asked.body, Mapping) else {}
    said = asked.said
    texts = [str(said[name]) for name in ("reasoning", "content", "text") if said.get(name)]
    calls = said.get("tool_calls")
    texts += [json.dumps(calls, ensure_ascii=False)] if calls else []
    sampling = {k: v for k, v in body.items() if k not in ("messages", "tools", "prompt", "model")}
    return Talk(
        prompt=_shorten("\n".join(_tell_messages(body)), edge),
        reply=_shorten("\n".join(texts) or asked.reply.decode("utf-8", "replace"), edge),
        sampling=", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in sampling.items())[:EDGE_CHARS],
        doubt=asked.why,
    )


def _tell_messages(body: Mapping[str, Json]) -> list[str]:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return [_say(body.get("prompt", ""))]
    told = [f"{m.get('role', '?')}: {_say(m.get('content'))}" for m in messages if isinstance(m, Mapping)]
    tools = body.get("tools")
    return [*told, f"tools: {_say(tools)}"] if tools else told


def _say(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shorten(text: str, edge: int) -> str:
    """Keep the beginning and the end of a long text, where a prompt says what it wants."""
    left_out = len(text) - 2 * edge
    return text if left_out <= 0 else f"{text[:edge]}\n[... {left_out:,} characters ...]\n{text[-edge:]}"


def _read_log(each: Exchange) -> str:
    value = each.answer.get("value") if isinstance(each.answer, Mapping) else None
    text = value.get("text") if isinstance(value, Mapping) else None
    return text if isinstance(text, str) else ""
