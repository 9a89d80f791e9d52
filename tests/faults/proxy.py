"""A loopback proxy in front of a real engine. Without a fault it is a pipe; with one it damages what passes.

    with FaultProxy(engine.base_url) as proxy:
        Client(proxy.base_url, engine.model, engine.api_key)     the key passes through; the proxy never reads it
        proxy.use("drops_zero_argument_call")                    from the next connection on
        proxy.use(None)

What a fault does not concern passes byte for byte, at the engine's pace, both ways. A connection is judged by its
first request (our clients open one per question); replies that a fault touches end it, and say so in a header.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httptools

from matrix.errors import suggest_nearest
from tests.faults.catalogue.answer import PIECE_BYTES, Answer
from tests.faults.catalogue.fault import COMPLETIONS, Fault
from tests.faults.catalogue.passing import Hangup, Passing, State, head
from tests.faults.catalogue.table import FAULTS

HOST = "127.0.0.1"
STALL_S = 600.0
HTTP_OK = 200
RST = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


@dataclass(slots=True)
class Request:
    """A request as it came; `raw` is every byte of it."""

    method: str
    path: str
    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        return self.head + self.body

    def with_body(self, body: bytes) -> bytes:
        lines = self.head.rstrip(b"\r\n").split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith(b"content-length:")]
        return b"\r\n".join([*kept, b"Content-Length: %d" % len(body), b"", b""]) + body


class FaultProxy:
    """The proxy, on an event loop in a thread of this process."""

    def __init__(self, upstream: str, *, fault: str | None = None, stall_s: float = STALL_S) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or HOST, parts.port or 80)
        self.stall_s = stall_s
        self._state = State(_named(fault))
        self._port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def use(self, fault: str | None) -> None:
        """Damage with this fault from the next connection on; counting begins anew."""
        self._state = State(_named(fault))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, HOST, 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connection(reader, writer)
        except Hangup:
            _reset(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, httptools.HttpParserError):
            pass  # either side went away, or we are stopping: the other side learns it by the close
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state = self._state
        if state.fault is None:
            await self._pipe(reader, writer, b"")
        else:
            await self._faulty(state, state.fault, await _request(reader), reader, writer)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes) -> None:
        """Bytes both ways until the engine closes, or the client does and the engine with it."""
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        try:
            if first:
                up_writer.write(first)
            there = asyncio.ensure_future(_pump(reader, up_writer))
            back = asyncio.ensure_future(_pump(up_reader, writer))
            _, left = await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        finally:
            up_writer.close()

    async def _faulty(
        self, state: State, fault: Fault, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request.path in fault.statuses:
            await _plain(writer, fault.statuses[request.path], "text/plain", b"planted")
        elif request.path in fault.documents:
            await self._changed_document(fault, request, writer)
        elif request.path == COMPLETIONS and fault.touches_completions():
            with state.asking(_read_body(request.body)) as asked:
                passing = Passing(fault, asked, state, writer, self.stall_s)
                await (
                    self._watched(passing, request, reader) if fault.at_hang_up else self._completion(passing, request)
                )
        else:
            await self._pipe(reader, writer, request.raw)

    async def _changed_document(self, fault: Fault, request: Request, writer: asyncio.StreamWriter) -> None:
        async with self._asked(request.raw) as answer:
            text = (await answer.read()).decode()
            changed = fault.documents[request.path](text) if answer.status == HTTP_OK else text
            await _plain(writer, answer.status, answer.kind, changed.encode())

    async def _watched(self, passing: Passing, request: Request, reader: asyncio.StreamReader) -> None:
        """Pass a completion until it ends or its client hangs up, which the engine is told."""
        passes = asyncio.ensure_future(self._completion(passing, request))
        gone = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({passes, gone}, return_when=asyncio.FIRST_COMPLETED)
        passing.state.hang_ups += not passes.done()
        for task in (passes, gone):
            task.cancel()
        await asyncio.gather(passes, gone, return_exceptions=True)

    async def _completion(self, passing: Passing, request: Request) -> None:
        fault, asked = passing.fault, passing.asked
        touched, raw = fault.touches(asked), request.raw
        if fault.instead and touched:
            await _plain(passing.writer, *fault.instead)
            return
        if fault.refuse and touched:
            raise Hangup
        if fault.request and touched:
            raw = request.with_body(json.dumps(fault.request(dict(asked.body), asked)).encode())
        async with self._asked(raw) as answer:
            if answer.status != HTTP_OK:
                await _plain(passing.writer, answer.status, answer.kind, await answer.read())
            else:
                await (passing.stream(answer) if asked.stream else passing.whole(answer))

    @asynccontextmanager
    async def _asked(self, raw: bytes) -> AsyncIterator[Answer]:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(raw)
            answer = Answer(reader)
            await answer.headers()
            yield answer
        finally:
            writer.close()


def _named(fault: str | None) -> Fault | None:
    if fault is not None and fault not in FAULTS:
        raise ValueError(f"no fault {fault!r}{suggest_nearest(fault, FAULTS)}")
    return FAULTS[fault] if fault else None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(PIECE_BYTES):
        writer.write(data)
        await writer.drain()


async def _request(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    method, target, _ = lines[0].decode("latin-1").split(" ", 2)
    lengths = [line.split(b":", 1)[1] for line in lines if line.lower().startswith(b"content-length:")]
    body = await reader.readexactly(int(lengths[0])) if lengths else b""
    return Request(method, urlsplit(target).path, head, body)


def _read_body(body: bytes) -> dict[str, Any]:
    """Return the fields of a request; none of half a body, which a suite sends, too."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _plain(writer: asyncio.StreamWriter, status: int, kind: str, body: bytes) -> None:
    writer.write(head(status, kind, b"Content-Length: %d" % len(body)) + body)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
    writer.transport.abort()
