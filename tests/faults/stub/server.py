"""HTTP in front of the stub: threads, one request each, and every way to end a reply badly."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol

from fixtures.launch.attached.engine import STUB
from tests.faults.stub import surfaces
from tests.faults.stub.claims import Claims
from tests.faults.stub.defect import Answer, Defect
from tests.faults.stub.dialect import Dialect, Setting
from tests.faults.stub.refusals import read_request
from tests.faults.stub.replies import document, events, spent

Json = Any
CHAT: Final = "/v1/chat/completions"
SLOTS: Final = "/slots/0?action="
STALL_S: Final = 600.0
LOOKS_EVERY_S: Final = 0.05
REST: Final = " of the other one"  # of a stream that was left


class Pace(Protocol):
    """How long things take."""

    @property
    def itl_s(self) -> float: ...


class Engine(Protocol):
    """What answers behind the HTTP: the stub (`tests.faults.stub.engine`)."""

    defect: Defect
    dialect: Dialect
    setting: Setting
    claims: Claims
    api_key: str
    in_process: bool
    refused: int
    hang_ups: int
    stopping: threading.Event

    @property
    def pace(self) -> Pace: ...

    def answer(self, request: Mapping[str, Json]) -> Answer: ...

    def leave(self) -> None: ...

    def end_prefill(self) -> None: ...

    def block_for(self, seconds: float) -> None: ...

    def lose_reader(self, unsent: int) -> None: ...

    def flush(self) -> None: ...

    def take_slot(self, action: str) -> tuple[int, Json]: ...

    def metrics(self) -> str: ...

    def stop(self) -> None: ...


def _document_of(answer: Answer, speaks: Dialect, request: Mapping[str, Json]) -> Json:
    if surface := request.get("surface"):
        return surfaces.document(surface, answer)
    made = document(answer, speaks, logprobs=bool(request.get("logprobs")))
    return answer.retell([made])[0] if answer.retell else made


def _events_of(answer: Answer, speaks: Dialect, request: Mapping[str, Json]) -> Iterator[Json]:
    if surface := request.get("surface"):
        made = surfaces.events(surface, replace(answer, usage=answer.usage and _counts_stream(surface, request)))
    else:
        made = events(answer, speaks, logprobs=bool(request.get("logprobs")))
    return iter(answer.retell(list(made))) if answer.retell else made


def _counts_stream(surface: str, request: Mapping[str, Json]) -> bool:
    """As vLLM and SGLang do: a stream of completions counts only where it is asked to."""
    return surface != "completions" or bool((request.get("stream_options") or {}).get("include_usage"))


def _disturb(stub: Engine, told: Iterator[Json]) -> Iterator[Json]:
    """Yield a stream's events, and do what the defect does to it when another client hangs up."""
    before = stub.hang_ups
    for event in told:
        delta = next((c.get("delta") or {} for c in event.get("choices") or ()), {})
        if stub.hang_ups > before and delta.get("content"):
            before = stub.hang_ups
            if stub.defect.beside_hang_up == "end":
                yield {**event, "choices": [{**event["choices"][0], "delta": {}, "finish_reason": "stop"}]}
                break
            if stub.defect.beside_hang_up == "get its rest":
                delta["content"] += REST
        yield event


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], stub: Engine) -> None:
        super().__init__(address, _Handler)
        self.stub = stub

    def handle_error(self, request: Json, client_address: Json) -> None:
        """Clients that hang up on a broken stub are no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = STUB
    sys_version = ""
    disable_nagle_algorithm = True  # 40 ms a stream otherwise

    def log_message(self, format: str, *args: Json) -> None:  # noqa: A002  the base class names it so
        """Silent: the log of a stub is not evidence."""

    def do_GET(self) -> None:
        stub, speaks = self.server.stub, self.server.stub.dialect
        documents = speaks.documents(stub.setting)
        if self.path == "/health":
            self._json(200 if stub.defect.healthy else 503, {"status": "ok"})
        elif self.path == "/v1/models":
            says, length = stub.claims, stub.setting.context
            entry = {"id": says.model, "object": "model", "owned_by": says.owner, "max_model_len": length}
            self._json(200, {"object": "list", "data": [entry]})
        elif self.path == speaks.metrics_path:
            self._send(200, stub.metrics().encode(), "text/plain")
        elif self.path in documents:
            self._json(200, documents[self.path])
        elif self.path == speaks.flush_path:
            stub.flush()
            self._send(200, b"Cache flushed.\n", "text/plain")
        else:
            self._json(404, speaks.error(404, "no such path"))

    def do_POST(self) -> None:
        stub = self.server.stub
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {stub.api_key}":
            return self._json(401, stub.dialect.error(401, "invalid API key"))
        if self.path.startswith(SLOTS):
            return self._json(*stub.take_slot(self.path.removeprefix(SLOTS)))
        given, wrong = read_request(body)
        if wrong and self.path == CHAT:
            return self._refuse(wrong)
        request = surfaces.as_chat(self.path, given)
        try:
            return self._reply(stub.answer(request), request)
        finally:
            stub.leave()

    def _refuse(self, wrong: Sequence[str]) -> None:
        stub = self.server.stub
        stub.refused += 1
        status = next((found for name in wrong if (found := stub.defect.refuses_with.get(name))), 400)
        said = stub.defect.refuses_saying
        self._json(status, stub.dialect.error(status, f"invalid {', '.join(wrong)}" if said is None else said))

    def _reply(self, answer: Answer, request: Mapping[str, Json]) -> None:
        stub = self.server.stub
        if answer.hold_s and self._is_left_within(answer.hold_s):
            return stub.lose_reader(0)
        stub.end_prefill()
        if answer.die:
            return self._die(answer.exit_code)
        if answer.status != 200:
            return self._json(answer.status, stub.dialect.error(answer.status, answer.error))
        if request.get("stream"):
            return self._stream_until_left(answer, _events_of(answer, stub.dialect, request))
        if answer.stall_after is not None:
            stub.stopping.wait(STALL_S)
        if answer.cut_after is not None:
            return self._cut()
        return self._whole(answer, json.dumps(_document_of(answer, stub.dialect, request)))

    def _whole(self, answer: Answer, text: str) -> None:
        body = answer.payload(text.encode()) if answer.payload else text.encode()
        if answer.chunk_size is None:
            return self._send(200, body, "application/json")
        self._begin_chunks("application/json")
        return self._chunk(body, answer.chunk_size)

    def _die(self, code: int) -> None:
        stub = self.server.stub
        if stub.in_process:
            os._exit(code)
        self._cut()
        threading.Thread(target=stub.stop, daemon=True).start()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _json(self, status: int, document: Json) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_left_within(self, seconds: float) -> bool:
        """Hold the reply, and return whether the client hung up meanwhile."""
        until = time.monotonic() + seconds
        while not self._is_left() and (rest := until - time.monotonic()) > 0:
            if self.server.stub.stopping.wait(min(rest, LOOKS_EVERY_S)):
                break
        return self._is_left()

    def _is_left(self) -> bool:
        """Return whether the client hung up: its half of the connection is at an end."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _stream_until_left(self, answer: Answer, told: Iterator[Json]) -> None:
        stub = self.server.stub
        # A third more: a stream takes longer than its pauses.
        stub.block_for(1.3 * spent(answer) * (stub.pace.itl_s + answer.delay_s))
        try:
            self._stream(answer, told)
        except OSError:
            stub.lose_reader(sum(1 for _ in told))
            raise
        stub.block_for(0)

    def _stream(self, answer: Answer, told: Iterator[Json]) -> None:
        stub = self.server.stub
        self._begin_chunks("text/event-stream")
        for sent, event in enumerate(_disturb(stub, told)):
            if answer.stall_after is not None and sent >= answer.stall_after:
                stub.stopping.wait(STALL_S)
            if answer.cut_after is not None and sent >= answer.cut_after:
                return self._cut()
            if pause := stub.pace.itl_s + answer.delay_s:
                time.sleep(pause)
            payload = json.dumps(event).encode()
            payload = answer.payload(payload) if answer.payload else payload
            self._chunk(b"data: " + payload + b"\n\n", answer.chunk_size)
        if answer.done:
            self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _begin_chunks(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes, size: bytes | None = None) -> None:
        self.wfile.write(b"%b\r\n%b\r\n" % (size or b"%x" % len(data), data))
        self.wfile.flush()
