"""One completion on its way back through a fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from fixtures.client.reply import Reply
from fixtures.client.reply_assembly import Assembly, parse_document
from fixtures.client.reply_assembly import assemble_whole as assembled
from matrix.errors import EngineReplyMalformed
from tests.faults.catalogue import wire
from tests.faults.catalogue.answer import Answer
from tests.faults.catalogue.fault import Asked, Fault

DONE = b"[DONE]"


class Hangup(Exception):
    """The fault asks for a connection reset."""


@dataclass(slots=True)
class State:
    """Counts since a fault was set. One loop touches it, so nothing is locked."""

    fault: Fault | None
    number: int = 0
    open: dict[int, str] = field(default_factory=dict)  # number of a request in flight -> what it asks
    earlier: Reply | None = None
    hang_ups: int = 0  # clients that went before the end of their reply

    def asking(self, body: dict[str, Any]) -> Asking:
        self.number += 1
        beside = "\n".join(self.open.values())
        asked = Asked(body=body, number=self.number, in_flight=len(self.open) + 1, earlier=self.earlier, beside=beside)
        return Asking(self, asked)


@dataclass(slots=True)
class Asking:
    state: State
    asked: Asked

    def __enter__(self) -> Asked:
        self.state.open[self.asked.number] = self.asked.prompt
        return self.asked

    def __exit__(self, *error: object) -> None:
        del self.state.open[self.asked.number]


@dataclass(slots=True)
class Passing:
    """One completion on its way back."""

    fault: Fault
    asked: Asked
    state: State
    writer: asyncio.StreamWriter
    stall_s: float

    async def whole(self, answer: Answer) -> None:
        body = await answer.read()
        fault, touched = self.fault, self.fault.touches(self.asked)
        if touched and fault.stall_after is not None:
            await self._stall()
        with suppress(EngineReplyMalformed):
            reply = assembled(parse_document(body))
            if touched and fault.reply and (damaged := fault.reply(reply, self.asked)) != reply:
                body = json.dumps(wire.whole(damaged)).encode()
            self.state.earlier = reply
        if touched and fault.payload:
            body = fault.payload(body)
        if touched and fault.chunk_size:
            await self._send(head(answer.status, answer.kind, b"Transfer-Encoding: chunked"))
            return await self._send(_chunk(body, fault.chunk_size))
        top = head(answer.status, answer.kind, b"Content-Length: %d" % len(body))
        if touched and fault.cut_after is not None:
            await self._send(top + body[: len(body) // 2])
            raise Hangup
        await self._send(top)
        return await self._send(body, drips=touched)

    async def stream(self, answer: Answer) -> None:
        await self._send(head(answer.status, answer.kind, b"Transfer-Encoding: chunked"))
        rebuilt = self.fault.reply is not None and self.fault.touches(self.asked)
        touched = self.fault.touches(self.asked)
        gone = False
        async for payload in self._rebuilt(answer) if rebuilt else self._passed(answer):
            changed = self.fault.payload(payload) if touched and self.fault.payload and payload != DONE else payload
            size = self.fault.chunk_size if touched else None
            try:
                if not gone:
                    await self._send(_chunk(b"data: " + changed + b"\n\n", size), drips=touched)
            except OSError:
                if not self.fault.reads_on:
                    raise
                gone = True
        if not gone:
            await self._send(b"0\r\n\r\n")

    async def _rebuilt(self, answer: Answer) -> AsyncIterator[bytes]:
        """Read to the end, damaged, and cut anew; the engine's own chunks where nothing was damaged."""
        payloads, assembly, usage = [p async for p in answer.events()], Assembly(), None
        for payload in payloads:
            if payload != DONE:
                usage = parse_document(payload)
                assembly.add(usage)
        reply = assembly.reply(done_seen=DONE in payloads)
        assert self.fault.reply is not None
        damaged = self.fault.reply(reply, self.asked)
        self.state.earlier = reply
        if damaged == reply:
            for payload in payloads:
                yield payload
            return
        for chunk in wire.chunks(damaged):
            yield json.dumps(chunk).encode()
        yield DONE

    async def _passed(self, answer: Answer) -> AsyncIterator[bytes]:
        """Chunk by chunk, at the engine's pace."""
        fault, index, hang_ups = self.fault, 0, self.state.hang_ups
        if not fault.touches(self.asked):
            fault = replace(fault, event=None, pause_s=None, done=True, cut_after=None, stall_after=None)
        async for payload in answer.events():
            if payload == DONE:
                if fault.done:
                    yield payload
                continue
            await self._before(fault, index)
            if fault.at_hang_up and self.state.hang_ups > hang_ups and _has_text(event := json.loads(payload)):
                disturbed, hang_ups = fault.at_hang_up(event), self.state.hang_ups
                yield json.dumps(disturbed or _end(event)).encode()
                if disturbed is None:
                    yield DONE
                    return
                continue
            changed = fault.event(json.loads(payload), index) if fault.event else None
            if fault.event is None:
                yield payload
            elif changed is not None:
                yield json.dumps(changed).encode()
            index += 1

    async def _before(self, fault: Fault, index: int) -> None:
        if fault.stall_after is not None and index >= fault.stall_after:
            await self._stall()
        if fault.cut_after is not None and index >= fault.cut_after:
            raise Hangup
        if fault.pause_s and (pause := fault.pause_s(index, self.asked)):
            await asyncio.sleep(pause)

    async def _stall(self) -> None:
        await asyncio.sleep(self.stall_s)
        raise Hangup

    async def _send(self, data: bytes, *, drips: bool = False) -> None:
        if not (drips and self.fault.drip_s):
            self.writer.write(data)
            return await self.writer.drain()
        for i in range(len(data)):
            self.writer.write(data[i : i + 1])
            await self.writer.drain()
            await asyncio.sleep(self.fault.drip_s)
        return None


def _has_text(event: dict[str, Any]) -> bool:
    return any((choice.get("delta") or {}).get("content") for choice in event.get("choices") or ())


def _end(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "choices": [{**event["choices"][0], "delta": {}, "finish_reason": "stop"}]}


def head(status: int, kind: str, framing: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: %s\r\n%s\r\nConnection: close\r\n\r\n" % (status, kind.encode(), framing)


def _chunk(data: bytes, size: bytes | None = None) -> bytes:
    return b"%b\r\n%b\r\n" % (size or b"%x" % len(data), data)
