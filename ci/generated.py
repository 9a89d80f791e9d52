"""Writes files that are generated and committed, or compares them with what a new generation would write
(`--check`)."""

# ruff: noqa: T201 - part of programs: printing is what they do
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.output.command_line import CommandLine

Files = Mapping[Path, str]  # below the checkout -> text


def find_stale(root: Path, wanted: Files) -> list[Path]:
    """List the files below `root` that are absent or differ from the `wanted` text."""
    return [p for p, text in wanted.items() if not (root / p).is_file() or (root / p).read_text("utf-8") != text]


def write_files(root: Path, wanted: Files) -> None:
    """Write every `wanted` file below `root`, with its folders."""
    for path, text in wanted.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def write_or_report(module: str, root: Path, wanted: Files, *, check: bool) -> int:
    """Write the files, or print which of them are stale and the command that renews them; return the exit code."""
    stale = find_stale(root, wanted)
    if not check:
        write_files(root, wanted)
    for path in stale:
        print(f"{path} {f'is stale: python -m {module}' if check else 'written'}", file=sys.stderr)
    return 1 if check and stale else 0


def run_generator(module: str, doc: str | None, files: Callable[[], Files], argv: Sequence[str] | None) -> int:
    """Run the command line of a generator. Exit codes: 0 fine, 1 stale, 2 bad input."""
    own = CommandLine(prog=f"python -m {module}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--check", action="store_true", help="write nothing; exit 1 when a committed file is stale")
    args = own.parse_args(argv)
    try:
        return write_or_report(module, CHECKOUT, files(), check=args.check)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
