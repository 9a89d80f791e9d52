"""A false engine that knows a bank's answers, speaks the engines' dialects, and can be told to be broken.

Only for showing that assertions can fail. It says `stub` in its Server header, also when its claims name another
engine, and evidence taken from it is red at the gate.

    with StubEngine(defect="forgets_needle", dialect="vllm") as stub:      in a thread, for our own tests
        client = Client(stub.base_url, "stub", stub.api_key)
        bank = stub.learn(CanaryBank())                    every item asked for is one it can answer
    python -m tests.faults.stub.engine --answers items.jsonl --defect dies     as a process, for launcher tests
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from fixtures.banks.bank import Bank
from fixtures.banks.canary.render import render_prompt
from fixtures.banks.item import Item
from matrix.errors import suggest_nearest
from tests.faults.stub import dialect as dialects
from tests.faults.stub.answers import item_from_json, obey_fields, right, tokens
from tests.faults.stub.claims import HONEST, Claims
from tests.faults.stub.defect import Answer, Asked, Defect
from tests.faults.stub.dialect import DIALECTS, Setting
from tests.faults.stub.fields_read import join_parts, read_fields
from tests.faults.stub.refusals import is_odd, list_arguments
from tests.faults.stub.replies import MODEL, spent
from tests.faults.stub.server import Server
from tests.faults.stub.table import DEFECTS

Json = Any
API_KEY_ENV: Final = "STUB_API_KEY"
DRAFT_ACCEPTED: Final = 0.8  # of the drafts, one token each, when healthy
HEALTHY: Final = Defect(family="none", kills=())
RENDERED: Final = ("fact", "chat")
_FILLER = re.compile(r"^(?: a)*\n")  # none where the question has the wanted length by itself
__all__ = ["API_KEY_ENV", "MODEL", "Pace", "StubEngine"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take; 0 is at once. A prompt of n tokens takes n * prefill_s before the first token."""

    prefill_s: float = 0.0
    itl_s: float = 0.0


class StubEngine:
    """The server, in threads of this process."""

    def __init__(
        self,
        *,
        defect: str | None = None,
        dialect: str | None = None,
        api_key: str = "stub-key",
        port: int = 0,
        index_topk: int = 256,
        chunk_tokens: int = 128,
        context: int = 4096,
        pace: Pace = Pace(),
        log: Path | None = None,
        in_process: bool = False,
        claims: Claims = HONEST,
    ) -> None:
        if defect is not None and defect not in DEFECTS:
            raise ValueError(f"no defect {defect!r}{suggest_nearest(defect, DEFECTS)}")
        self.defect = DEFECTS[defect] if defect else HEALTHY
        self.dialect, self.api_key, self.pace, self.in_process = (
            dialects.named(dialect or self.defect.dialect),
            api_key,
            pace,
            in_process,
        )
        self.index_topk, self.claims = index_topk, claims
        self.setting = Setting(context=context, chunk_tokens=chunk_tokens, version=claims.version)
        self.stopping = threading.Event()
        self.log_path = log
        self._book: dict[str, Item] = {}
        self._recalls: list[Item] = []
        self._counted: dict[str, float] = {}
        self._lock = threading.Lock()
        self._requests = self._inside = self._most_inside = self._loads = self.refused = self.hang_ups = 0
        self._cached: dict[str, int] = {}  # prefix -> its tokens
        self._before: Item | None = None
        self._thought_before = False
        self._open: dict[int, Asked] = {}  # thread -> the request that it answers
        self._half_read: dict[int, str] = {}  # request -> prefix that is not computed to its end
        self._blocked_until = 0.0
        self.boot = 1
        self._saved: dict[str, int] = {}
        self._reloaded = False
        self._server = Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._say(*self.dialect.started(self.setting))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> int:
        """How many requests it has taken."""
        return self._requests

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        self._server.serve_forever()

    def learn(self, bank: Bank) -> Bank:
        """Return the bank; the stub learns the answer to whatever is asked of it."""
        return _Overheard(bank, self)

    def know(self, item: Item) -> None:
        self._book[_key(item.messages, item.tools)] = item
        if item.kind in RENDERED and not item.tools:  # over /v1/completions
            self._book[_key([{"role": "user", "content": render_prompt(item.messages)}], ())] = item
        if item.kind == "recall":  # a turn of which may be edited, or left
            self._recalls.append(item)
        # Whoever asks puts the conversation so far before the one, and other arguments into the call before the other.
        if item.kind in ("agent_loop", "tool_result"):
            self._book[_turn_key(item.messages, item.tools)] = item

    def answer(self, request: Mapping[str, Json]) -> Answer:
        """Return the right answer, damaged by this stub's defect."""
        asked = self._take(request)
        prompt, cached = asked.prompt_tokens, asked.cached_tokens
        room = int(request.get("max_tokens", 16))
        room = int(request.get("max_completion_tokens", room))
        free = right(asked, room)
        said, asked = obey_fields(free, asked, room), replace(asked, unstopped=free.content)
        made = replace(said, model=self.claims.model, prompt_tokens=prompt, cached_tokens=cached)
        damaged = self.defect.damage(made, asked)
        if made.status == 200:
            self._count(prompt, cached, max(1, spent(made)))
        waits = self.pace.prefill_s * (prompt - cached) + max(0.0, self._blocked_until - time.monotonic())
        return replace(damaged, hold_s=damaged.hold_s + waits)

    def boot_again(self) -> None:
        """Begin anew as a fresh launch does: nothing cached, and the next number of a boot."""
        self.flush()
        self.boot += 1

    def take_slot(self, action: str) -> tuple[int, Json]:
        """Save or restore what is cached, as llama.cpp does with a slot: a status and a document."""
        if self.dialect.name != "llamacpp":
            return 404, self.dialect.error(404, "no such path")
        with self._lock:
            if action == "save":
                self._saved = dict(self._cached)
                return 200, {"n_saved": sum(self._saved.values())}
            self._cached, self._reloaded = dict(self._saved), True
            return 200, {"n_restored": sum(self._cached.values())}

    def flush(self) -> None:
        """Forget every prefix."""
        with self._lock:
            self._cached.clear()

    def _take(self, request: Mapping[str, Json]) -> Asked:
        """Return the request with its circumstances; `leave` ends what this begins."""
        tools, load = request.get("tools") or (), bool(request.get("ignore_eos"))
        key = _key(request["messages"], tools)
        item = self._book.get(key) or (
            self._book.get(_turn_key(request["messages"], tools)) if tools else self._remember(request["messages"])
        )
        prompt = _prompt_tokens(item, request)
        prefix = key + self._salt(request)
        found = self._find_cached(request, prompt) if request.get("cache_prompt", True) else 0
        with self._lock:
            self._requests, self._inside = self._requests + 1, self._inside + 1
            self._most_inside = max(self._most_inside, self._inside)
            self._loads += load
            asked = Asked(
                item=item,
                prompt_tokens=prompt,
                index_topk=self.index_topk,
                number=self._requests,
                load=load,
                inside=self._inside,
                boot=self.boot,
                reloaded=self._reloaded,
                most_inside=self._most_inside,
                loads=self._loads,
                cached=prefix in self._cached and request.get("cache_prompt", True),
                cached_tokens=found,
                over=prompt > self.setting.context,
                offered=tuple(t.get("function", t)["name"] for t in tools),
                before=self._before,
                seed=int(request.get("seed", self._requests)),
                fills=prompt < self.setting.context <= prompt + int(request.get("max_tokens", 16)),
                told_before=self._thought_before,
                spoiled=prefix in self._half_read.values(),
                beside=tuple(self._open.values()),
                refused=self.refused,
                hang_ups=self.hang_ups,
                odd=any(map(is_odd, list_arguments(request))),
                **read_fields(request),
            )
            if prefix not in self._cached:
                self._half_read[self._requests] = prefix
            self._cached[prefix] = prompt
            self._before = item or self._before
            self._thought_before = asked.thinking
            self._open[threading.get_ident()] = replace(asked, beside=())
        return asked

    def _remember(self, messages: Json) -> Item | None:
        """Return the item that asks the same at its end and whose answer this conversation tells."""
        told = " ".join(str(m.get("content")) for m in messages[:-1])
        known = (i for i in self._recalls if i.messages[-1] == messages[-1])
        return next((i for i in known if (i.answer or "?").split()[-1].strip(".") in told), None)

    def _salt(self, request: Mapping[str, Json]) -> str:
        return str(request.get("cache_salt", "")) * self.dialect.salted

    def _find_cached(self, request: Mapping[str, Json], prompt: int) -> int:
        """Tokens of the longest conversation asked before with which this one begins; one is always computed."""
        messages, tools = request["messages"], request.get("tools") or ()
        starts = (messages[:n] for n in range(len(messages), 0, -1) if messages[n - 1].get("role") == "user")
        keys = (_key(start, tools) + self._salt(request) for start in starts)
        return next((min(self._cached[key], prompt - 1) for key in keys if key in self._cached), 0)

    def leave(self) -> None:
        """One request less in work."""
        with self._lock:
            self._inside -= 1
            self._open.pop(threading.get_ident(), None)

    def end_prefill(self) -> None:
        """Note that this thread's prompt was computed to its end: its prefix may be read."""
        with self._lock:
            if asked := self._open.get(threading.get_ident()):
                self._half_read.pop(asked.number, None)

    def block_for(self, seconds: float) -> None:
        """Let requests that come wait so long, where the defect serves one stream after the other; 0 ends that."""
        if self.defect.after_hang_up == "blocks":
            self._blocked_until = time.monotonic() + seconds

    def lose_reader(self, unsent: int) -> None:
        """End a reply whose client hung up `unsent` events before its end, as the defect has it."""
        with self._lock:
            self.hang_ups += 1
            if self.defect.after_hang_up != "works on":
                self._counted["generated_tokens"] -= unsent

    def _count(self, prompt: int, cached: int, generated: int) -> None:
        """One token comes of the prefill; then each step drafts one and makes one or two."""
        drafts = math.ceil((generated - 1) / (1 + DRAFT_ACCEPTED))
        chunk = self.setting.chunk_tokens * self.defect.chunk_factor
        moved = {
            "requests": 1,
            "steps": math.ceil((prompt - cached) / chunk) + drafts,
            "prompt_tokens": prompt - cached,
            "generated_tokens": generated,
            "drafts": drafts,
            "drafted_tokens": drafts,
            "accepted_tokens": generated - 1 - drafts,
        }
        with self._lock:
            for name, by in moved.items():
                self._counted[name] = self._counted.get(name, 0.0) + by * self._factor(name)
            sizes = (min(chunk, prompt - cached - done) for done in range(0, prompt - cached, chunk))
            self._say(*(self.dialect.prefill_line.format(tokens=size, cached=cached) for size in sizes))

    def _factor(self, name: str) -> float:
        drift = self.defect.drift.get(name)
        return self.defect.metrics.get(name, 1.0) * (drift(self._requests) if drift else 1.0)

    def _say(self, *lines: str) -> None:
        if self.log_path is not None:
            with self.log_path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines if line)

    def metrics(self) -> str:
        return self.dialect.metrics(self._counted) + self.defect.more_metrics(self._requests)


class _Overheard:
    """A bank whose every item the stub gets to know."""

    def __init__(self, bank: Bank, stub: StubEngine) -> None:
        self._bank, self._stub = bank, stub

    def __getattr__(self, name: str) -> Json:
        value = getattr(self._bank, name)
        if not callable(value):
            return value

        def ask(*args: Json, **options: Json) -> Json:
            made = value(*args, **options)
            for item in made if isinstance(made, tuple) else (made,):
                if item is not None:
                    self._stub.know(item)
            return made

        return ask


def _key(messages: Json, tools: Json) -> str:
    """Return a key for what was asked. Filler before a question, which makes lengths exact, does not change it."""
    told = [{**m, "content": join_parts(m["content"])} if m.get("content") else m for m in messages]
    asked = [{**m, "content": _FILLER.sub("", m["content"])} if m.get("content") else m for m in told]
    return json.dumps([asked, list(tools)], sort_keys=True, ensure_ascii=False)


def _turn_key(messages: Json, tools: Json) -> str:
    """Return what was asked since the assistant spoke last, whatever ids its calls have."""
    last = max((i for i, m in enumerate(messages) if m["role"] == "assistant"), default=-1)
    return _key([{k: v for k, v in m.items() if k != "tool_call_id"} for m in messages[last + 1 :]], tools)


def _prompt_tokens(item: Item | None, request: Mapping[str, Json]) -> int:
    if item is not None and item.tokens_prompt_about is not None:
        return item.tokens_prompt_about
    return len(tokens("".join(str(join_parts(m.get("content"))) for m in request["messages"])))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.stub.engine")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dialect", choices=sorted(DIALECTS), default="llamacpp")
    parser.add_argument("--defect", choices=sorted(DEFECTS), metavar="NAME", help=", ".join(sorted(DEFECTS)))
    parser.add_argument("--answers", type=Path, help="items it can answer, one JSON object per line")
    options = parser.parse_args(argv)
    stub = StubEngine(
        defect=options.defect,
        dialect=options.dialect,
        port=options.port,
        api_key=os.environ.get(API_KEY_ENV, "stub-key"),
        in_process=True,
    )
    for line in options.answers.read_text().splitlines() if options.answers else ():
        stub.know(item_from_json(line))
    sys.stdout.write(f"stub engine listening on {stub.base_url}\n")
    sys.stdout.flush()
    stub.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
