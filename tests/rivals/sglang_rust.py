"""SGLang's own Rust client, out of its wheel: the extension needs neither SGLang's Python nor torch."""

from __future__ import annotations

import importlib.util
import json
import sysconfig
from pathlib import Path

from tests.rivals.asked import WORDS, asked, tell

WHERE = "sglang/srt/rust_extensions/_bench*.so"
PROMPT_TOKENS = len(WORDS) // 4


def main() -> None:
    given = asked()
    file = next(Path(sysconfig.get_path("purelib")).glob(WHERE))
    spec = importlib.util.spec_from_file_location("_bench", file)
    assert spec is not None and spec.loader is not None
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    result = extension.run_config(
        json.dumps(
            {
                "backend": "vllm-chat",
                "base_url": given.url,
                "model": "mock",
                "tokenizer": given.tokenizer,
                "dataset_name": "random-ids",
                "num_prompts": given.streams,
                "max_concurrency": given.streams,
                "random_input_len": PROMPT_TOKENS,
                "random_output_len": given.output_len,
                "random_range_ratio": 1.0,
                "warmup_requests": 0,
                "disable_tqdm": True,
            }
        )
    )
    found = json.loads(result) if isinstance(result, str) else result
    tell({n: found[n] for n in ("median_ttft_ms", "p99_ttft_ms", "median_tpot_ms", "p99_itl_ms")})


if __name__ == "__main__":
    main()
