"""`make bench`, the pages and certificates of a large report: 5,000 cells in CPU seconds, memory and sizes.

python -m tests.bench_pages EVIDENCE INDEX     the pages of such evidence under a policy that requires every cell of it
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from matrix.checkout import CHECKOUT
from matrix.yaml.loaded import Matrix
from reports.evidence.by_cell import CELL
from reports.evidence.files import format_line
from reports.expected import ExpectedCell
from tests.chromium import Chromium, find_chromium

EVIDENCE: Final = CHECKOUT / "docs/evidence/sm90-h100/canaries.jsonl"
CELLS: Final = 5_000
PY: Final = sys.executable
POLICY: Final = "ci/gates/sm90_h200_vllm.yaml"


def write_large_evidence(path: Path, cells: int = CELLS) -> None:
    """Write evidence of so many cells: those of the committed run, again and again under names of their own."""
    lines = EVIDENCE.read_text(encoding="utf-8").splitlines()
    parsed = [json.loads(line).get("cell", "") for line in lines]
    names = list(dict.fromkeys(filter(None, parsed)))
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line, cell in zip(lines, parsed, strict=True) if not cell)
        for text in _iterate_copies(lines, parsed, names, cells):
            file.write(text)


def _iterate_copies(lines: list[str], parsed: list[str], names: list[str], cells: int) -> Iterator[str]:
    for start in range(0, cells, len(names)):
        wanted = set(names[: cells - start])
        number = start // len(names)
        for line, cell in zip(lines, parsed, strict=True):
            if cell in wanted:
                release = cell.split(".")[1]
                made = line.replace(cell, cell.replace(release, f"{release}_{number}"))
                made = made.replace('"fingerprint":"', f'"fingerprint":"{number}-')  # an engine of its own
                yield made.replace(f'"release":"{release}"', f'"release":"{release}_{number}"') + "\n"


def seal_evidence(path: Path) -> None:
    """Write the file again, with the ends of its runs last and about what is in it now."""
    seals: dict[str, Any] = {}
    ends: dict[str, Any] = {}
    sealed = path.with_suffix(".sealed")
    with path.open("rb") as file, sealed.open("wb") as out:
        for line in file:
            fields = json.loads(line)
            if fields["kind"] == "end":
                ends[fields["run"]] = fields
                continue
            digest, count = seals.get(fields["run"], (hashlib.sha256(), 0))
            digest.update(line)
            seals[fields["run"]] = digest, count + 1
            out.write(line)
        for run, end in ends.items():
            out.write(format_line({**end, "records": seals[run][1], "sha256": seals[run][0].hexdigest()}))
    sealed.replace(path)


def measure_certificates(folder: Path) -> tuple[float, float, int]:
    """Certify every cell; return CPU seconds, peak MB of memory and the number of certificates."""
    evidence, out = folder / "large.jsonl", folder / "certificates"
    write_large_evidence(evidence)
    seal_evidence(evidence)
    cpu, memory = _measure_child([PY, "-m", "reports", "certify", str(evidence), "--out", str(out)])
    return cpu, memory, len(list(out.iterdir()))


def _measure_child(argv: list[str]) -> tuple[float, float]:
    """Run a program of ours; return its CPU seconds and peak MB of memory. wait4 knows this child alone."""
    child = subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode in (0, 1), argv
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure_pages(folder: Path) -> tuple[float, float, float, float, float | None]:
    """Make the pages; return CPU seconds, peak MB of memory, MB of the first page, MB of all cells' pages, and seconds
    until a browser has opened the first; None without one."""
    evidence, index = folder / "large.jsonl", folder / "out/index.html"
    write_large_evidence(evidence)
    cpu, memory = _measure_child([PY, "-m", "reports", "html", "--evidence", str(evidence), "--out", str(index)])
    return _measure_files(cpu, memory, index, folder)


def measure_judged_pages(folder: Path) -> tuple[float, float, float, float, float | None]:
    """Make the pages under a policy that requires all of them; return what `measure_pages` does. Without the replay,
    which is a process of its own and has no replies here."""
    evidence, index = folder / "large.jsonl", folder / "out/index.html"
    write_large_evidence(evidence)
    seal_evidence(evidence)
    cpu, memory = _measure_child([PY, "-m", "tests.bench_pages", str(evidence), str(index)])
    return _measure_files(cpu, memory, index, folder)


def _measure_files(
    cpu: float, memory: float, index: Path, folder: Path
) -> tuple[float, float, float, float, float | None]:
    pages = sum(path.stat().st_size for path in index.with_suffix(".cells").iterdir())
    return cpu, memory, index.stat().st_size / 1e6, pages / 1e6, _open_in_browser(index, folder)


def expect_copies(matrix: Matrix, names: Collection[str]) -> tuple[ExpectedCell, ...]:
    """List what a policy would expect of these copies, as cells of releases and checkpoints of their own: a copy is
    compared within itself, as in a larger matrix."""
    from matrix.planning.expand import expand_matrix
    from reports.gate.policy import make_expected

    known = {cell.id: cell for cell in expand_matrix(matrix).runnable}
    expected = []
    for name in sorted(names):
        rig, copied, *rest = name.split(".")
        release, _, number = copied.rpartition("_")
        if cell := known.get(".".join((rig, release, *rest))):
            made = make_expected(matrix, cell)
            facts = {**made.facts, "release": copied, "checkpoint": f"{cell.checkpoint.id}_{number}"}
            expected.append(replace(made, id=name, facts=facts, release=None))
    return tuple(expected)


def write_judged_pages(evidence: Path, index: Path) -> int:
    """Write the pages as `glm-matrix html --policy` does, of a policy that requires every cell of this evidence."""
    from reports.__main__ import main

    with evidence.open("rb") as file:
        names = {named[1].decode() for named in map(CELL.search, file) if named}
    argv = ["html", "--policy", POLICY, "--no-replay", "--evidence", str(evidence), "--out", str(index)]
    with patch("reports.gate.policy.expect_cells", lambda _policy, _doc, matrix: expect_copies(matrix, names)):
        return main(argv)


def _open_in_browser(page: Path, folder: Path) -> float | None:
    binary = find_chromium()
    if binary is None:
        return None
    with Chromium(binary, folder / "chromium") as browser:
        browser.open(page)
        return float(browser.run("performance.getEntriesByType('navigation')[0].domComplete")) / 1000


if __name__ == "__main__":
    sys.exit(write_judged_pages(*map(Path, sys.argv[1:])))
