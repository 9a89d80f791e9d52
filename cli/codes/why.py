"""`glm-matrix why CODE`: print what a status, rule, check, known failure or fault sees, and what to do."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from cli.codes.catalogue import CATALOGUE, find_pages
from cli.codes.code import render_page
from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.output.command_line import CommandLine

WIDTH: Final = 100  # columns


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(prog="glm-matrix why", description=(__doc__ or "").partition(": ")[2])
    asked = own.add_mutually_exclusive_group(required=True)
    asked.add_argument("code", nargs="?", metavar="CODE", help="e.g. XPASS, needle.found, planted_fsfs")
    asked.add_argument("--list", action="store_true", help="print every code, one a line")
    asked.add_argument("--markdown", choices=tuple(CATALOGUE), help="print the whole page of one kind")
    return own


def main(argv: Sequence[str] | None = None) -> int:
    """Print one page, every code, or a kind's page."""
    options = make_parser().parse_args(argv)
    if options.markdown:
        sys.stdout.write(render_page(options.markdown, CATALOGUE[options.markdown]()))
    elif options.list:
        sys.stdout.write("".join(f"{code}\n" for code in sorted(find_pages())))
    else:
        sys.stdout.write(_wrap_page(find_page(options.code)))
    return 0


def find_page(code: str) -> str:
    """Find the page of a code; `throughput.ttft` is found under `throughput.*`.

    Raises:
        ConfigError: there is no such code.
    """
    pages = find_pages()
    if code in pages:
        return pages[code]
    # a family of checks has one page (`throughput.*`), and findings print the whole name
    patterns = [name for name in pages if "*" in name and fnmatchcase(code, name)]
    if not patterns:
        raise ConfigError([Problem("CODE", 0, "", f"no such code {code!r}{suggest_nearest(code, pages)}")])
    # the longest pattern says the most about this code
    return pages[max(patterns, key=len)]


def _wrap_page(page: str) -> str:
    """Return the page for a terminal: no Markdown, lines of at most WIDTH columns."""
    lines = [line.removeprefix("## ").replace("**", "") for line in page.splitlines()]
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in lines]
    return "\n".join(wrapped) + "\n"
