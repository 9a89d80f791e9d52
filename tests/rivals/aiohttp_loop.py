"""aiohttp as `vllm bench serve` uses it: one task per request, lines parsed as they come."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise

import aiohttp  # type: ignore[import-not-found]

from tests.rivals.asked import Asked, asked, body, quantile, tell


async def one(session: aiohttp.ClientSession, given: Asked, index: int) -> tuple[float, list[float]]:
    """When it was sent, and when each chunk with choices came."""
    began, stamps, rest = time.perf_counter(), list[float](), b""
    async with session.post(f"{given.url}/v1/chat/completions", json=body(index, given.output_len)) as response:
        async for piece in response.content.iter_any():
            *events, rest = (rest + piece).split(b"\n\n")
            for event in events:
                data = event.removeprefix(b"data: ")
                if data != b"[DONE]" and json.loads(data).get("choices"):
                    stamps.append(time.perf_counter())
    return began, stamps


async def main() -> None:
    given, unlimited = asked(), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=unlimited, timeout=aiohttp.ClientTimeout(total=None)) as session:
        seen = await asyncio.gather(*(one(session, given, i) for i in range(given.streams)))
    ttft = [1000 * (stamps[0] - began) for began, stamps in seen]
    gaps = [1000 * (b - a) for _, stamps in seen for a, b in pairwise(stamps)]
    tpot = [1000 * (stamps[-1] - stamps[0]) / (given.output_len - 1) for _, stamps in seen]
    tell(
        {
            "median_ttft_ms": quantile(ttft, 50),
            "p99_ttft_ms": quantile(ttft, 99),
            "median_tpot_ms": quantile(tpot, 50),
            "p99_itl_ms": quantile(gaps, 99),
        }
    )


if __name__ == "__main__":
    asyncio.run(main())
