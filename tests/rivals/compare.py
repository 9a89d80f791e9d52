"""Each client against the mock's truth, one after the other in one run.

Truth is what the mock saw: from the whole request read to its first event written, and the gaps between its writes. A
client's TTFT begins earlier, when it sends, so time on the way to the mock counts for everybody alike.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fixtures.traffic.bench import CASES, PROMPT, BenchCase, read_truth, run_mock
from fixtures.traffic.run import run_load
from fixtures.traffic.spec import LoadSpec
from matrix.checkout import CHECKOUT
from matrix.output.markdown import format_markdown_table

HEAD: Final = ("c", "client", "TTFT p50", "TTFT p99", "TPOT p50", "ITL p99", "CPU s", "x ours")
KEPT: Final = CHECKOUT / ".cache" / "rivals"  # environments, by name and pin
TOKENIZER: Final = CHECKOUT / "fixtures" / "canary" / "hf"
TIMEOUT_S: Final = 300
SHOWN_CHARS: Final = 160
OURS: Final = "this project"
Numbers = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another client: what to install, pinned, and the script beside this file that runs it."""

    name: str
    script: str
    pins: tuple[str, ...]
    alone: bool = False  # without its dependencies

    @property
    def home(self) -> Path:
        return KEPT / f"{self.script}-{self.pins[0].replace('==', '-')}"


RIVALS: Final = (
    Rival(name="sglang-bench (Rust) 0.5.23", script="sglang_rust", pins=("sglang==0.5.23",), alone=True),
    Rival(name="aiohttp 3.14.5", script="aiohttp_loop", pins=("aiohttp==3.14.5",)),
    Rival(
        name="llmeter 0.2.0 (openai, httpx)",
        script="llmeter_openai",
        pins=("llmeter[openai]==0.2.0", "openai==3.57.0", "httpx==0.28.1"),
    ),
)
# Those that also send by the clock, with the two above; they take minutes to install.
SENDERS: Final = (
    Rival(name="aiperf 0.13.0", script="aiperf_profile", pins=("aiperf==0.13.0",)),
    Rival(name="guidellm 0.8.1", script="guidellm_run", pins=("guidellm==0.8.1", "torch")),
)
# Not compared: why a person who looks for them does not find them here.
LEFT_OUT: Final = {
    "vllm bench serve": "needs torch and its engine (5.7 GB installed); it sends through aiohttp",
    "genai-perf": "0.0.16 installs and needs the program perf_analyzer; NVIDIA names AIPerf as its successor",
    "llmperf": "0.0.1, as published, is another project than the client of that name by Anyscale",
    "locust": "knows no tokens: its times end with the response",
    "inference-perf": "needs Python 3.12, and has random prompts only for /v1/completions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One client in one case; errors in ms, None where it does not measure that. `why` when it did not run."""

    client: str
    streams: int
    ttft_p50: float | None = None
    ttft_p99: float | None = None
    tpot_p50: float | None = None
    itl_p99: float | None = None
    cpu_s: float | None = None  # of all its processes, its start included
    why: str = ""


def compared() -> list[Compared]:
    """Every client in every case."""
    rivals = (*RIVALS, *SENDERS)
    missing = {rival.name: lack for rival in rivals if (lack := install(rival))}
    found = []
    for case in CASES:
        found.append(_measured(OURS, case, None))
        for rival in rivals:
            if why := missing.get(rival.name, ""):
                found.append(Compared(client=rival.name, streams=case.concurrency, why=why))
            else:
                found.append(_measured(rival.name, case, rival))
    return found


def install(rival: Rival) -> str:
    """Empty, or why it cannot be had. An environment that is there is used again."""
    if (rival.home / "ready").exists():
        return ""
    uv = str(Path(sys.executable).with_name("uv"))
    install = ["pip", "install", "-q", "--python", str(rival.home / "bin/python"), *rival.pins]
    for command in (["venv", "-q", "--clear", str(rival.home)], [*install, *["--no-deps"] * rival.alone]):
        done = subprocess.run([uv, *command], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"cannot be installed: {done.stderr.strip()[-SHOWN_CHARS:]}"
    (rival.home / "ready").touch()
    return ""


def _measured(name: str, case: BenchCase, rival: Rival | None) -> Compared:
    with run_mock(case) as url:
        before = measure_cpu_s()
        try:
            said = _ours(url, case) if rival is None else ask_theirs(url, case, rival)
        except (subprocess.SubprocessError, LookupError) as error:
            return Compared(client=name, streams=case.concurrency, why=f"did not run: {str(error)[-SHOWN_CHARS:]}")
        truth = read_truth(url)
        spent = measure_cpu_s() - before
    true = {
        "median_ttft_ms": truth["ttft_p50_ms"],
        "p99_ttft_ms": truth["ttft_p99_ms"],
        "median_tpot_ms": truth["gap_p50_ms"],
        "p99_itl_ms": truth["gap_p99_ms"],
    }
    off = {key: said[key] - value for key, value in true.items() if key in said}
    return Compared(
        client=name,
        streams=case.concurrency,
        ttft_p50=off.get("median_ttft_ms"),
        ttft_p99=off.get("p99_ttft_ms"),
        tpot_p50=off.get("median_tpot_ms"),
        itl_p99=off.get("p99_itl_ms"),
        cpu_s=spent,
    )


def measure_cpu_s() -> float:
    """CPU seconds of every process that this one has waited for; the mock is not among them while it runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ours(url: str, case: BenchCase) -> Numbers:
    prompts = tuple(({"role": "user", "content": f"{i} {PROMPT}"},) for i in range(case.concurrency))
    spec = LoadSpec(
        base_url=url, model="mock", prompts=prompts, concurrency=case.concurrency, output_len=case.output_len
    )
    result: dict[str, Any] = run_load(spec)
    return result


def ask_theirs(url: str, case: BenchCase, rival: Rival, pace: Sequence[str] = ()) -> Numbers:
    """Run their client. Raises: LookupError with the end of what it printed, if it printed no numbers."""
    command = [str(rival.home / "bin/python"), "-m", f"tests.rivals.{rival.script}", url]
    command += [str(case.concurrency), str(case.output_len), str(TOKENIZER), *pace]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with tempfile.TemporaryDirectory() as folder:  # some leave files where they run
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not told:
        raise LookupError(done.stderr.strip() or done.stdout)
    numbers: Numbers = json.loads(told[-1])
    return numbers


def table(rows: list[Compared]) -> str:
    """Markdown: client minus truth, in ms."""
    lines: list[list[object]] = []
    ours = {row.streams: row.cpu_s for row in rows if row.client == OURS}
    for row in rows:
        numbers = [row.ttft_p50, row.ttft_p99, row.tpot_p50, row.itl_p99]
        cells = [row.why, *[""] * 5] if row.why else ["-" if n is None else f"{n:+.2f}" for n in numbers]
        if row.cpu_s is not None:
            own = ours.get(row.streams)
            cells += [f"{row.cpu_s:.1f}", f"{row.cpu_s / own:.1f}" if own else "-"]
        lines.append([row.streams, row.client, *cells])
    left = [f"Left out: {name}: {why}.\n" for name, why in LEFT_OUT.items()]
    return "\n".join([format_markdown_table(HEAD, lines), "".join(left)])


if __name__ == "__main__":
    sys.stdout.write(table(compared()))
