"""docs/reference/cli.md: every command's own help, at one width, so that the page does not depend on a terminal."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

import ci.plan
import matrix.__main__
import reports.__main__
from ci.reference.markdown import format_block
from matrix.checkout import CHECKOUT
from matrix.planning.select import all_marks
from matrix.yaml.loaded import Matrix

WIDTH = 100  # characters
GROUP = "GLM-5 serving matrix:"  # the heading of our options in `pytest --help`
PROGRAMS: tuple[Callable[[], argparse.ArgumentParser], ...] = (
    matrix.__main__.parser,
    reports.__main__.parser,
    ci.plan.make_parser,
)


def make_page() -> str:
    parts = ["# Command line\n", f"## pytest\n\n{format_block(_pytest_options())}"]
    for make in PROGRAMS:
        parts += [f"## {p.prog}\n\n{format_block(p.format_help())}" for p in _with_verbs(make())]
    return "\n".join(parts)


def _with_verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its verbs that say more than their name."""
    parser.formatter_class = _fixed_width(parser.formatter_class)  # type: ignore[arg-type]  # typeshed: any callable
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                if len(verb._actions) > 1:  # more than --help
                    yield from _with_verbs(verb)


def _fixed_width(kind: type[argparse.HelpFormatter]) -> type[argparse.HelpFormatter]:
    class FixedWidth(kind):  # type: ignore[valid-type,misc]
        def __init__(self, prog: str) -> None:
            super().__init__(prog, width=WIDTH)

    return FixedWidth


def _run_pytest(*words: str) -> str:
    """pytest in a process of its own: the options come from every layer, and ci imports only two of them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=CHECKOUT,
        env={**os.environ, "COLUMNS": str(WIDTH)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _pytest_options() -> str:
    lines = _run_pytest("--help").splitlines()
    rest = lines[lines.index(GROUP) + 1 :]
    return "\n".join(rest[: rest.index("")])


def test_marks(known: Matrix) -> Mapping[str, str]:
    """Marks that the suites give their tests: what our pytest knows beyond the cells' marks and beyond plain pytest."""
    others = {*_parse_marks(_run_pytest("--noconftest", "--markers")), *all_marks(known)}
    return {name: what for name, what in _parse_marks(_run_pytest("--markers")).items() if name not in others}


def _parse_marks(listing: str) -> dict[str, str]:
    lines = (line.removeprefix("@pytest.mark.") for line in listing.splitlines() if line.startswith("@pytest.mark."))
    return {line.split(":")[0].split("(")[0]: line.partition(": ")[2] for line in lines}
