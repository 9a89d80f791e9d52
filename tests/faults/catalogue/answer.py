"""An engine's reply as it arrives: parsed, not collected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httptools

from fixtures.client.sse import SseParser

PIECE_BYTES = 65536


class Answer:
    """An engine's reply as it arrives, parsed but not collected."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._parser: Any = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._head = self._complete = False
        self.kind = "application/json"

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self.kind = value.decode()

    def on_headers_complete(self) -> None:
        self._head = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._complete = True

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    async def headers(self) -> None:
        while not self._head:
            await self._more()

    async def pieces(self) -> AsyncIterator[bytes]:
        while True:
            while self._pieces:
                yield self._pieces.pop(0)
            if self._complete:
                return
            await self._more()

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])

    async def events(self) -> AsyncIterator[bytes]:
        parser = SseParser()
        async for piece in self.pieces():
            for payload in parser.feed(piece):
                yield payload
        for payload in parser.flush():
            yield payload

    async def _more(self) -> None:
        data = await self._reader.read(PIECE_BYTES)
        if not data:
            raise ConnectionResetError("the engine closed inside a reply")
        self._parser.feed_data(data)
