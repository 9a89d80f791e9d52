"""`make bench`, what the size of the matrix and of the evidence costs: CPU seconds and peak memory of whole processes.

python -m tests.bench_scale plan 3        plans the matrix with three times the rigs
python -m tests.bench_scale plan 2.4      with 2.4 times the rigs: the 350,000 combinations of the aim
python -m tests.bench_scale gate 240      judges evidence of 240 cells

Wall time says little on a shared machine. Compare rows of one run: four times the evidence, four times the CPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from matrix.checkout import CHECKOUT
from matrix.yaml.load import load_matrix
from matrix.yaml.loaded import Matrix

PY: Final = sys.executable
GATE_CELLS: Final = 60
TIMES: Final = (1, 4, 16)
PLAN_TIMES: Final = 3  # times the rigs of today: about 440,000 combinations
PLAN_AIM: Final = 2.4  # times: about 350,000, of which the aim speaks
WORKER: Final = (
    "-m",
    "pytest",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:benchmark",
)  # as where only run.lock is installed


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process took."""

    name: str
    cpu_s: float
    rss_mb: float
    aim: str = ""
    note: str = ""


def measure_process(argv: Sequence[str]) -> tuple[float, float, str]:
    """Run a command; return its CPU seconds (user and system), its peak MB of memory and its last line."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen([PY, *argv], cwd=CHECKOUT, stdout=out, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, list(argv))
        out.seek(0)
        said = out.read().decode().strip().splitlines()
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said[-1] if said else ""


def measure_scale() -> list[Cost]:
    """Measure planning, collection and the gate, each in a process of its own."""
    own = "tests.bench_scale"
    wanted = (
        ("interpreter with pytest and no test", (*WORKER, "--version"), ""),
        ("list", ("-m", "matrix", "list"), "< 120 MB"),
        ("plan today's combinations", ("-m", own, "plan", "1"), ""),
        (f"plan {PLAN_AIM} times as many", ("-m", own, "plan", str(PLAN_AIM)), "< 3 s"),
        ("plan three times as many", ("-m", own, "plan", str(PLAN_TIMES)), "120 MB"),
        ("collect sm120, a worker's share too", (*WORKER, "-m", "sm120", "--collect-only", "-q"), "< 2 s, 80 MB"),
        ("collect one cell's rig", (*WORKER, "-m", "cpu", "--collect-only", "-q"), ""),
        ("collect everything", (*WORKER, "--collect-only", "-q"), ""),
        *((f"gate, {n * GATE_CELLS} cells", ("-m", own, "gate", str(n * GATE_CELLS)), f"{n} x") for n in TIMES),
    )
    return [_measure(name, argv, aim) for name, argv, aim in wanted]


def _measure(name: str, argv: Sequence[str], aim: str) -> Cost:
    cpu_s, rss_mb, said = measure_process(argv)
    return Cost(name=name, cpu_s=cpu_s, rss_mb=rss_mb, aim=aim, note=said[:90])


def enlarge_matrix(matrix: Matrix, times: float) -> Matrix:
    """Return the matrix with so many copies of each rig, under ids of their own; the last copy may be of some rigs."""
    wanted = round(times * len(matrix.rigs))
    copies = {
        name if n == 0 else f"{name}_{n}": rig if n == 0 else replace(rig, id=f"{name}_{n}")
        for n in range(int(times) + 1)
        for name, rig in matrix.rigs.items()
    }
    return replace(matrix, rigs=dict(islice(copies.items(), wanted)))


def plan_matrix(times: float) -> str:
    from matrix.planning.expand import expand_matrix

    matrix = enlarge_matrix(load_matrix(), times)
    began = time.process_time()
    world = expand_matrix(matrix)
    took = time.process_time() - began
    return f"{len(world):,} combinations, {len(world.runnable):,} runnable, expanded in {took:.2f} CPU s"


def judge_large(cells: float) -> str:
    """Judge the evidence of so many cells."""
    from reports.evidence.files import read_records
    from reports.gate.gate import judge_evidence
    from reports.gate.policy import load_policy
    from tests.bench_pages import expect_copies, write_large_evidence

    matrix = load_matrix()
    policy, _ = load_policy(CHECKOUT / "ci/gates/sm90_h200_vllm.yaml")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.jsonl"
        write_large_evidence(path, int(cells))
        records = read_records(path)
    expected = expect_copies(matrix, {r.cell for r in records if r.cell})
    began = time.process_time()
    verdict = judge_evidence(policy, expected, records, now=datetime.now(UTC))
    took = time.process_time() - began
    return f"{len(records):,} records, {len(verdict.rows)} cells, judged in {took:.2f} CPU s"


if __name__ == "__main__":
    print({"plan": plan_matrix, "gate": judge_large}[sys.argv[1]](float(sys.argv[2])))
