"""`make bench`, the pages of a large report: 5,000 cells in CPU seconds, memory and the size of the first page."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from matrix.checkout import CHECKOUT
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


def measure_pages(folder: Path) -> tuple[float, float, float, float, float | None]:
    """Make the pages; return CPU seconds, peak MB of memory, MB of the first page, MB of all cells' pages, and seconds
    until a browser has opened the first; None without one."""
    evidence, index = folder / "large.jsonl", folder / "out/index.html"
    write_large_evidence(evidence)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    argv = [PY, "-m", "reports", "html", "--evidence", str(evidence), "--out", str(index)]
    subprocess.run(argv, cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    pages = sum(path.stat().st_size for path in index.with_suffix(".cells").iterdir())
    return cpu, after.ru_maxrss / 1024, index.stat().st_size / 1e6, pages / 1e6, _open_in_browser(index, folder)


def _open_in_browser(page: Path, folder: Path) -> float | None:
    binary = find_chromium()
    if binary is None:
        return None
    with Chromium(binary, folder / "chromium") as browser:
        browser.open(page)
        return float(browser.run("performance.getEntriesByType('navigation')[0].domComplete")) / 1000
