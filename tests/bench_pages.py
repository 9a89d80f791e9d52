"""`make bench`, the pages and certificates of a large report: 5,000 cells in CPU seconds, memory and sizes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from matrix.checkout import CHECKOUT
from reports.evidence.files import format_line
from tests.chromium import Chromium, find_chromium

EVIDENCE: Final = CHECKOUT / "docs/evidence/sm90-h100/canaries.jsonl"
CELLS: Final = 5_000
PY: Final = sys.executable


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
    pages = sum(path.stat().st_size for path in index.with_suffix(".cells").iterdir())
    return cpu, memory, index.stat().st_size / 1e6, pages / 1e6, _open_in_browser(index, folder)


def _open_in_browser(page: Path, folder: Path) -> float | None:
    binary = find_chromium()
    if binary is None:
        return None
    with Chromium(binary, folder / "chromium") as browser:
        browser.open(page)
        return float(browser.run("performance.getEntriesByType('navigation')[0].domComplete")) / 1000
