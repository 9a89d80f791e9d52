"""`make bench`: how long things take, as ratios within one run where the machine is noisy. Never asserted in tests.

python -m tests.bench              everything but the clean-clone run
python -m tests.bench --clean      also `make try` and `make matrix` in fresh clones (makes environments, some minutes)
python -m tests.bench --only plan launch
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cli.verbs import CELL
from matrix.checkout import CHECKOUT
from tests.bench_pages import measure_certificates, measure_judged_pages, measure_pages
from tests.bench_scale import measure_scale
from tests.rivals.compare import compared, table

PY = sys.executable
REPEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    value: float
    unit: str
    aim: str = ""
    note: str = ""


LINE = ("--rig", "sm90x8", "--release", "vllm==0.33.0", "--", "vllm", "serve", "zai-org/GLM-5-FP8", "-tp", "8")


def median_s(argv: list[str], repeats: int = REPEATS, cwd: Path = CHECKOUT) -> float:
    """Median wall seconds of a command over some repeats."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run(argv, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def plan() -> list[Row]:
    """Time the whole matrix as JSON against an interpreter that does nothing."""
    bare, whole = median_s([PY, "-c", "pass"]), median_s([PY, "-m", "matrix", "list", "--json"])
    imports = median_s([PY, "-c", "import matrix.__main__"])
    check = median_s([PY, "-m", "cli", "check", *LINE])
    upgrade = median_s([PY, "-m", "cli", "upgrade", CELL, "--to", "0.5.17"])
    night = median_s([PY, "-m", "cli", "plan", "--rig", "sm120x4", "--json"], 3)
    return [
        Row(name="interpreter start", value=bare, unit="s"),
        Row(name="import matrix", value=imports - bare, unit="s", note="beyond interpreter start"),
        Row(name="list --json, every combination planned", value=whole - bare, unit="s", aim="< 1 s beyond start"),
        Row(name="check of a line", value=check - bare, unit="s", aim="< 0.5 s beyond start"),
        Row(name="plan of a whole rig, sm120x4", value=night - bare, unit="s", aim="< 5 s beyond start"),
        Row(name="upgrade of a cell, two releases", value=upgrade - bare, unit="s", aim="< 1 s beyond start"),
    ]


def environment() -> list[Row]:
    """Size of what `make matrix` installs, in a throw-away environment from the run lock."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "site"
        lock = CHECKOUT / "requirements/run.lock"
        uv = [PY.replace("/python", "/uv"), "pip", "install", "-q", "--require-hashes", "-r", str(lock)]
        began = time.perf_counter()
        subprocess.run([*uv, "--target", str(target)], check=True, cwd=CHECKOUT)
        took = time.perf_counter() - began
        size = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    return [
        Row(name="environment, installed", value=size / 1e6, unit="MB", aim="< 300 MB"),
        Row(name="environment, install", value=took, unit="s", note="warm package cache"),
    ]


def warm() -> list[Row]:
    """`make try` and `make matrix` when the environment exists, and the matrix as it was: every cell asked whole."""
    whole = ["make", "matrix", "ARGS=--depth quick"]
    rows = [
        ("make try", ["make", "try"], "< 30 s"),
        ("make matrix", ["make", "matrix"], "< 60 s"),
        ("make matrix, each cell whole", whole, ""),
    ]
    return [row for name, argv, aim in rows for row in _spend(f"{name}, environment exists", argv, aim)]


def _spend(name: str, argv: list[str], aim: str, cwd: Path = CHECKOUT) -> list[Row]:
    """Run a command once: wall seconds, and CPU seconds of it and its children, which a busy machine changes less."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [Row(name=name, value=wall, unit="s", aim=aim), Row(name=f"{name}, CPU", value=cpu, unit="s")]


def clean() -> list[Row]:
    """`make env`, `make try` and `make matrix`, each from a clean clone to its end."""
    aims = {"env": "", "try": "< 30 s", "matrix": "< 60 s"}
    return [row for target, aim in aims.items() for row in _spend_in_clone(target, aim)]


def _spend_in_clone(target: str, aim: str) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(CHECKOUT), str(clone)], check=True)
        return _spend(f"make {target}, clean clone", ["make", target], aim, clone)


def conversion() -> list[Row]:
    """safetensors -> GGUF of the canary, cold cache."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "GLM_MATRIX_CACHE": folder}
        began = time.perf_counter()
        argv = [PY, "-m", "fixtures.canary.gguf.gguf", "fixtures/canary/hf"]
        subprocess.run(argv, cwd=CHECKOUT, env=env, check=True, stdout=subprocess.DEVNULL)
        return [Row(name="canary to GGUF, cold", value=time.perf_counter() - began, unit="s")]


def clients() -> list[Row]:
    """Our load client and others against the mock's truth, side by side; the table is printed whole."""
    found = compared()
    print(table(found))
    return [
        Row(name=f"TTFT p50 error, {c.client}, c={c.streams}", value=c.ttft_p50, unit="ms", note=c.why)
        for c in found
        if c.ttft_p50 is not None
    ]


def certificates() -> list[Row]:
    """Time certificates for 5,000 cells."""
    with tempfile.TemporaryDirectory() as folder:
        cpu, memory, count = measure_certificates(Path(folder))
    return [
        Row(name="certificates of 5,000 cells, CPU", value=cpu, unit="s"),
        Row(name="certificates of 5,000 cells, memory", value=memory, unit="MB", aim="< 500 MB", note="peak"),
        Row(name="certificates of 5,000 cells, written", value=count, unit="files"),
    ]


def pages() -> list[Row]:
    """Time the pages of a report of 5,000 cells, without a policy and under one that requires each."""
    return [
        row
        for name, measure in (("", measure_pages), (" under a policy", measure_judged_pages))
        for row in _list_pages(f"pages of 5,000 cells{name}", measure)
    ]


def _list_pages(name: str, measure: Callable[[Path], tuple[float, float, float, float, float | None]]) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        cpu, memory, first, cells, opened = measure(Path(folder))
    found = [
        Row(name=f"{name}, CPU", value=cpu, unit="s", aim="< 30 s"),
        Row(name=f"{name}, memory", value=memory, unit="MB", aim="< 500 MB", note="peak"),
        Row(name=f"{name}, the first page", value=first, unit="MB", aim="< 1 MB"),
        Row(name=f"{name}, the cells' pages", value=cells, unit="MB"),
    ]
    return [*found, *([Row(name=f"{name}, opened", value=opened, unit="s", aim="< 2 s")] if opened else [])]


def scale() -> list[Row]:
    """Measure what the size of the matrix and of the evidence costs, process by process."""
    found = measure_scale()
    cpu = [Row(name=f"{c.name}, CPU", value=c.cpu_s, unit="s", aim=c.aim, note=c.note) for c in found]
    return [
        r
        for row, c in zip(cpu, found, strict=True)
        for r in (row, replace(row, name=f"{c.name}, memory", value=c.rss_mb, unit="MB", note=""))
    ]


BENCHES: dict[str, Callable[[], list[Row]]] = {
    "plan": plan,
    "environment": environment,
    "conversion": conversion,
    "clients": clients,
    "pages": pages,
    "certificates": certificates,
    "scale": scale,
    "warm": warm,
    "clean": clean,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHES), help="run these alone")
    parser.add_argument("--clean", action="store_true", help="also time `make try` and `make matrix` in fresh clones")
    args = parser.parse_args()
    names = args.only or [n for n in BENCHES if n != "clean" or args.clean]
    rows: list[Row] = []
    for name in names:
        for row in BENCHES[name]():
            rows.append(row)
            print(f"{row.name:<42} {row.value:>10.2f} {row.unit:<4} {row.aim:<20} {row.note}", flush=True)
    out = CHECKOUT / "reports/out/bench.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    print(f"written to {out.relative_to(CHECKOUT)}; {os.cpu_count()} cores here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
