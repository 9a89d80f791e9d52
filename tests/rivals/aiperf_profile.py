"""AIPerf's own command: a closed loop of so many streams, or Poisson arrivals where a rate is given. Lengths by its
synthetic data, tokens by the server's usage."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rivals.asked import Asked, asked, tell

PROMPT_TOKENS = 500
NAMES = {
    "median_ttft_ms": ("time_to_first_token", "p50"),
    "p99_ttft_ms": ("time_to_first_token", "p99"),
    "median_tpot_ms": ("inter_token_latency", "p50"),  # the mean of a request, in spite of its name
}


def command(given: Asked) -> list[str]:
    """Return the command line of `aiperf profile`."""
    pace = ["--concurrency", str(given.streams), "--request-count", str(given.streams)]
    if given.rate:
        pace = ["--request-rate", str(given.rate), "--arrival-pattern", "poisson"]
        pace += ["--benchmark-duration", str(given.window_s)]
    return [
        *(str(Path(sys.executable).with_name("aiperf")), "profile", "-m", "mock", "--url", given.url),
        *("--endpoint-type", "chat", "--streaming", "--tokenizer", given.tokenizer, "--use-server-token-count"),
        *("--synthetic-input-tokens-mean", str(PROMPT_TOKENS), "--output-tokens-mean", str(given.output_len)),
        *("--extra-inputs", "ignore_eos:true", "--ui", "none", *pace),
    ]


def main() -> None:
    given = asked()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command(given), cwd=folder, capture_output=True, text=True, check=False)
        files = list(Path(folder).rglob("profile_export_aiperf.json"))
        assert files, (done.stdout + done.stderr)[-400:]
        found = json.loads(files[0].read_text())
    tell({name: found[metric][stat] for name, (metric, stat) in NAMES.items()})


if __name__ == "__main__":
    main()
