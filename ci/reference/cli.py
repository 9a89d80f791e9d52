"""Generates docs/reference/cli.md from the help of every command, at one width that depends on no terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from ci.reference.markdown import format_block
from matrix.checkout import CHECKOUT
from matrix.planning.select import all_marks
from matrix.yaml.loaded import Matrix

WIDTH = 100  # characters
GROUP = "GLM-5 serving matrix:"  # the heading of our options in `pytest --help`


def make_page() -> str:
    """Make the page of commands. The command itself prints the help tree: it knows every layer, and ci imports only
    two of them."""
    verbs = _run("cli", "help", "--markdown")
    return f"# Command line\n\n{verbs}\n## pytest\n\n{format_block(_pytest_options())}"


def make_code_page(kind: str) -> str:
    """Make the page of every code of a kind, as `glm-matrix why` prints it."""
    return _run("cli", "why", "--markdown", kind)


def _run(module: str, *words: str) -> str:
    """Run one of our programs in its own process and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=CHECKOUT,
        env={**os.environ, "COLUMNS": str(WIDTH)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _pytest_options() -> str:
    """Our options, which come from every layer."""
    lines = _run("pytest", "--help").splitlines()
    rest = lines[lines.index(GROUP) + 1 :]
    return "\n".join(rest[: rest.index("")])


def test_marks(known: Matrix) -> Mapping[str, str]:
    """List the marks of the suites' tests: those that our pytest knows and that neither the axes nor plain pytest
    define."""
    others = {*_parse_marks(_run("pytest", "--noconftest", "--markers")), *all_marks(known)}
    return {name: what for name, what in _parse_marks(_run("pytest", "--markers")).items() if name not in others}


def _parse_marks(listing: str) -> dict[str, str]:
    lines = (line.removeprefix("@pytest.mark.") for line in listing.splitlines() if line.startswith("@pytest.mark."))
    return {line.split(":")[0].split("(")[0]: line.partition(": ")[2] for line in lines}
