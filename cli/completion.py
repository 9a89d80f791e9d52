"""`glm-matrix completion SHELL`: a completion script, made by shtab from the whole tree of parsers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence

from cli.tree import build_parser
from cli.verb import Program, Verb
from matrix.output.command_line import CommandLine


def make_parser() -> argparse.ArgumentParser:
    own = CommandLine(
        prog="glm-matrix completion", description="Print the completion script for a shell; renew it after an update."
    )
    own.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell reads the script")
    return own


def make_completion(verbs: Callable[[], Iterable[Verb]]) -> Program:
    """Make the program that prints the script for these verbs, of which it is one itself."""

    def main(words: Sequence[str]) -> int:
        # late: no other verb needs it, and each start would pay for it
        import shtab

        options = make_parser().parse_args(words)
        sys.stdout.write(f"{shtab.complete(build_parser(verbs()), shell=options.shell)}\n")
        return 0

    return Program(make_parser, main)
