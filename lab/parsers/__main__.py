"""Command line: `python -m lab.parsers vllm==0.33.0 sglang==0.5.23` runs their parsers and records the answers.

`--snapshots` takes every release that has a snapshot and no record yet; `--again` takes them all.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.parsers.run import run_release
from lab.parsers.suites import PAIRS
from lab.snapshot.stub import PACKAGES as STUBS
from matrix.errors import MatrixError
from matrix.output.command_line import CommandLine
from matrix.parsers.record import load_releases, save_run
from matrix.parsers.sources import load_sources
from matrix.preflight.snapshot import SNAPSHOTS


def make_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    own = CommandLine(prog="python -m lab.parsers", description="run each release's parsers over the corpus")
    own.add_argument("release", nargs="*", metavar="NAME==VERSION", help="the releases to run")
    own.add_argument("--snapshots", action="store_true", help="every release with a snapshot that has not run")
    own.add_argument("--again", action="store_true", help="with --snapshots: also those that have run")
    own.add_argument(
        "--wheel",
        type=Path,
        help="the wheel of the one release, or a checkout of its source, instead of downloading it",
    )
    return own


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when all ran, 2 when one did not."""
    options = make_parser().parse_args(arguments)
    asked = [*options.release, *(_with_snapshots(options.again) if options.snapshots else [])]
    if not asked and options.snapshots:
        print("the parsers of every release with a snapshot have run")
        return 0
    if not asked:
        make_parser().error("expected NAME==VERSION, or --snapshots")
    failed = 0
    for requirement in asked:
        start = time.monotonic()
        try:
            ran = run_release(requirement, options.wheel)
        except MatrixError as error:
            print(f"{requirement}: {error}", file=sys.stderr)
            # the next release all the same: of forty wheels one may be gone from the index
            failed += 1
            continue
        save_run(ran)
        missing = "".join(f"\n  {pair}: {found['error']}" for pair, found in ran.suites.items() if "error" in found)
        cases = sum(len(found) for found in ran.suites.values() if "error" not in found)
        print(f"{requirement}: {cases} cases, {time.monotonic() - start:.0f} s{missing}", flush=True)
    return 2 if failed else 0


def _with_snapshots(again: bool) -> list[str]:
    """Return requirements of all snapshots of engines that have parsers, as far as there is code of theirs to run."""
    names = [path.stem for path in SNAPSHOTS.glob("*.json") if again or path.stem not in load_releases()]
    # a stub that nobody has pinned files of is no failure of every day: the reference page counts them
    parts = [
        name.partition("_") for name in sorted(names) if name.partition("_")[0] not in STUBS or name in load_sources()
    ]
    return [
        f"{engine}=={rest.replace('_post', '.post').replace('_', '.')}" for engine, _, rest in parts if engine in PAIRS
    ]


if __name__ == "__main__":
    sys.exit(main())
