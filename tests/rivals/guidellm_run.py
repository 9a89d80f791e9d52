"""GuideLLM's own command: a closed loop of so many streams, or Poisson arrivals where a rate is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rivals.asked import Asked, asked, tell

PROMPT_TOKENS = 500
NAMES = {
    "median_ttft_ms": ("time_to_first_token_ms", "p50"),
    "p99_ttft_ms": ("time_to_first_token_ms", "p99"),
    "median_tpot_ms": ("inter_token_latency_ms", "p50"),
    "p99_itl_ms": ("inter_token_latency_ms", "p99"),
}


def command(given: Asked) -> list[str]:
    """Return the command line of `guidellm run`."""
    profile, most = f"kind=concurrent,streams={given.streams}", f"kind=max_requests,count={given.streams}"
    if given.rate:
        profile, most = f"kind=poisson,rate={given.rate}", f"kind=max_duration,seconds={given.window_s}"
    lengths = f"kind=synthetic_text,prompt_tokens={PROMPT_TOKENS},output_tokens={given.output_len}"
    return [
        *(str(Path(sys.executable).with_name("guidellm")), "run", "--disable-progress"),
        *("--backend", f"kind=openai_http,target={given.url},model=mock", "--profile", profile, "--constraint", most),
        *(
            "--tokenizer",
            f"kind=hf_auto,model={given.tokenizer}",
            "--data",
            lengths,
            "--output",
            "kind=json,path=o.json",
        ),
    ]


def main() -> None:
    given = asked()
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command(given), cwd=folder, env=env, capture_output=True, text=True, check=False)
        out = Path(folder) / "o.json"
        assert out.exists(), (done.stdout + done.stderr)[-400:]
        metrics = json.loads(out.read_text())["benchmarks"][0]["metrics"]
    tell({name: metrics[metric]["successful"]["percentiles"][stat] for name, (metric, stat) in NAMES.items()})


if __name__ == "__main__":
    main()
