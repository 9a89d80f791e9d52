"""Each client that sends by the clock against a server that stands still: `python -m tests.rivals.stalled`.

The server writes nothing for one second of every four. Truth is what it saw: from the whole request read to its first
event written. A closed loop is beside them: what it says is true of its own requests, and there were few in the stall.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fixtures.traffic.bench import BenchCase, read_truth, run_mock
from matrix.checkout import CHECKOUT
from tests.rivals.compare import OURS, SENDERS, Numbers, ask_theirs, install, measure_cpu_s

CASE: Final = BenchCase(concurrency=7, ttft_ms=100, itl_ms=10, output_len=5)
RATE, WINDOW_S = 50.0, 20.0
STALL: Final = ("--stall-every", "3", "--stall", "1")


def ask_ours(url: str, *pace: str) -> Numbers:
    """Run `glm-matrix load` as a user does."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "o.json"
        words = ["load", url, *pace, "--output-len", str(CASE.output_len), "--input-len", "500", "--out", str(out)]
        subprocess.run([sys.executable, "-m", "cli", *words], cwd=CHECKOUT, capture_output=True, check=False)
        step = json.loads(out.read_text())["steps"][0]
    numbers: Numbers = {name: step[name] for name in ("median_ttft_ms", "p99_ttft_ms", "p99_sent_late_ms")}
    return numbers


def main() -> None:
    window = ["--duration", f"{WINDOW_S:g}s"]
    asked: dict[str, Callable[[str], Numbers]] = {
        f"{OURS}, open loop": lambda url: ask_ours(url, "--rate", str(RATE), *window),
        f"{OURS}, closed loop, {CASE.concurrency} streams": lambda url: ask_ours(
            url, "-c", str(CASE.concurrency), "-n", "10000", *window
        ),
    }
    for rival in SENDERS:
        if lack := install(rival):
            sys.stdout.write(f"{rival.name}: {lack}\n")
        else:
            asked[rival.name] = lambda url, rival=rival: ask_theirs(  # type: ignore[misc]
                url, CASE, rival, [str(RATE), str(WINDOW_S)]
            )
    sys.stdout.write(
        "| client | requests | TTFT p50 | true | TTFT p99 | true | CPU s |\n|---|---|---|---|---|---|---|\n"
    )
    for name, ask in asked.items():
        before = measure_cpu_s()
        with run_mock(CASE, *STALL) as url:
            said = ask(url)
            spent = measure_cpu_s() - before
            truth = read_truth(url)
        row = [said["median_ttft_ms"], truth["ttft_p50_ms"], said["p99_ttft_ms"], truth["ttft_p99_ms"]]
        shown = " | ".join(f"{n:.0f}" for n in row)
        sys.stdout.write(f"| {name} | {truth['requests']} | {shown} | {spent:.1f} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
