"""llmeter: the openai SDK (httpx) in threads, one per stream. It keeps no gaps between chunks."""

from __future__ import annotations

import asyncio

from llmeter.endpoints.openai import OpenAICompletionStreamEndpoint  # type: ignore[import-not-found]
from llmeter.runner import Runner  # type: ignore[import-not-found]

from tests.rivals.asked import asked, body, quantile, tell


async def main() -> None:
    given = asked()
    endpoint = OpenAICompletionStreamEndpoint(
        model_id="mock", endpoint_name="mock", api_key="none", base_url=f"{given.url}/v1"
    )
    payloads = [body(i, given.output_len) for i in range(given.streams)]
    result = await Runner(endpoint, timeout=600).run(payload=payloads, n_requests=1, clients=given.streams)
    good = [r for r in result.responses if not r.error]
    assert len(good) == given.streams, next((r.error for r in result.responses if r.error), "too few")
    ttft = [1000 * r.time_to_first_token for r in good]
    tpot = [1000 * (r.time_to_last_token - r.time_to_first_token) / (given.output_len - 1) for r in good]
    tell(
        {
            "median_ttft_ms": quantile(ttft, 50),
            "p99_ttft_ms": quantile(ttft, 99),
            "median_tpot_ms": quantile(tpot, 50),
        }
    )


if __name__ == "__main__":
    asyncio.run(main())
