"""Writes the page of a folder of hardware evidence from the evidence itself.

    python -m ci.evidence_page docs/evidence/sm90-h200        writes cells.md there
    python -m ci.evidence_page --unpack DIR docs/evidence/sm90-h200     what it holds, for glm-matrix gate and replay

The folder holds one archive a run, NAME.tar.xz, with NAME.jsonl and its replies in NAME.kept. Everything in cells.md
comes from their records; a test writes it again and compares.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from matrix.judging.status import Status
from matrix.output.command_line import CommandLine
from matrix.output.markdown import format_markdown_table
from reports.evidence.archive import SUFFIX
from reports.evidence.defuse import defuse_for_code
from reports.evidence.files import is_sealed, read_records
from reports.evidence.summary import CellRow, make_board
from reports.evidence.types import End, Record, Run

RUN_HEAD: Final = ("archive", "run", "commit", "depth", "cells", "tests", "began", "took", "sealed")
CELL_HEAD: Final = ("engine", "canary", "features", "tests", "launch", "proven")
PAGE: Final = "cells.md"
COMMAND: Final = "python -m ci.evidence_page"
MESSAGE_CHARS: Final = 220
WORDS: Final = {
    Status.PASS: "passed",
    Status.XFAIL: "known failure",
    Status.FAIL: "failed",
    Status.CRASH: "crashed",
    Status.NOT_ASKED: "not asked",
    Status.NOT_RUN_AS_KNOWN: "did not run, as known",
}


def unpack_evidence(folder: Path, target: Path) -> list[Path]:
    """Unpack every archive of a folder; return the evidence files, by name."""
    for archive in sorted(folder.glob(f"*{SUFFIX}")):
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter="data")
    return sorted(target.glob("*.jsonl"))


def make_page(runs: Mapping[str, Sequence[Record]]) -> str:
    """Return the page of these runs, by archive: what ran, each cell with its outcome, and what was not green."""
    lines = [f"<!-- Written by `{COMMAND}` from the archives beside it. Do not edit. -->", "", "# Cells", ""]
    lines += [format_markdown_table(RUN_HEAD, (_describe_run(name, records) for name, records in runs.items()))]
    rows = [row for records in runs.values() for row in make_board(records).rows]
    lines += [format_markdown_table(CELL_HEAD, map(_describe_row, rows))]
    lines += ["## Not green", ""]
    lines += [line for row in rows for line in _tell_troubles(row)]
    return "\n".join([*lines, ""])


def _describe_run(name: str, records: Sequence[Record]) -> tuple[str, ...]:
    run = next(r for r in records if isinstance(r, Run))
    end = next((r for r in records if isinstance(r, End)), None)
    board = make_board(records)
    tests = sum(1 for row in board.rows for t in row.tests if t.result)
    took = f"{end.duration_s / 60:.1f} min{', interrupted' if end.interrupted else ''}" if end else "no end"
    sealed = "yes" if is_sealed(records) else "no"
    answered = sum(1 for row in board.rows if any(t.result for t in row.tests))
    commit = f"{run.commit[:12]}{'' if run.dirty is False else ', not clean'}"
    asked = (f"{answered} of {len(board.rows)}", str(tests), f"{run.t:%Y-%m-%d %H:%M} UTC", took, sealed)
    return (f"{name}{SUFFIX}", run.run, commit, run.depth, *asked)


def _describe_row(row: CellRow) -> tuple[str, ...]:
    facts, launch = row.facts, row.launch
    told = Counter(t.status for t in row.tests if t.result)
    said = ", ".join(f"{n} {WORDS.get(status, status.value)}" for status, n in told.items()) or "not reached"
    seconds = f"{launch.launch_s:.0f} s" if launch is not None and launch.launch_s is not None else ""
    proven = ", ".join(sorted({p.feature for p in row.proofs if p.outcome == "proven"}))
    features = ", ".join(row.features) or "baseline"
    return (str(facts.get("release", "")), str(facts.get("checkpoint", "")), features, said, seconds, proven)


def _tell_troubles(row: CellRow) -> Iterator[str]:
    """One line a cell that did not run or a test that is not green; of tests that were owed and not asked, nothing."""
    if row.not_run:
        yield f"- `{row.cell}` did not run, as known: {defuse_for_code(row.why_not_run, MESSAGE_CHARS)}"
        return
    for test in row.tests:
        if test.result and not test.green and test.status is not Status.NOT_ASKED:
            said = defuse_for_code(test.message, MESSAGE_CHARS)
            yield f"- `{row.cell}` {test.name.partition('[')[0]} {test.status.value}: {said}"


def write_page(folder: Path) -> Path:
    """Write the page of a folder and return its path."""
    with TemporaryDirectory(prefix="glm-evidence-") as scratch:
        text = make_page({path.stem: read_records(path) for path in unpack_evidence(folder, Path(scratch))})
    page = folder / PAGE
    page.write_text(text, encoding="utf-8")
    return page


def main() -> None:
    parser = CommandLine(prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with one NAME.tar.xz a run")
    parser.add_argument(
        "--unpack", type=Path, metavar="DIR", help="unpack the archives there instead of writing the page"
    )
    args = parser.parse_args()
    if args.unpack is not None:
        sys.stdout.writelines(f"{path}\n" for path in unpack_evidence(args.folder, args.unpack))
        return
    sys.stdout.write(f"{write_page(args.folder)} written\n")


if __name__ == "__main__":
    main()
