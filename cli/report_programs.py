"""Verbs of `python -m reports` that load their own room alone: the gate and the pages take half a second to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from cli.programs import take_subparser
from cli.verb import COMMAND, Program


def load_history() -> Program:
    from reports.history import command

    return _make_reports_program("history", command.add_parser, command.run_history)


def load_registry() -> Program:
    from reports.registry import command

    return _make_reports_program("registry", command.add_parser, command.run_registry)


def load_certify() -> Program:
    from reports.certify import command

    return _make_reports_program("certify", command.add_parser, command.run_certify)


def load_claims() -> Program:
    from reports.ledger import command

    return _make_reports_program("claims", command.add_parser, command.run_claims)


def _make_reports_program(
    name: str, add_parser: Callable[[Any], None], run: Callable[[argparse.Namespace], int]
) -> Program:
    from matrix.output.command_line import CommandLine
    from reports.evidence.given import unpack_given

    def main(words: Sequence[str]) -> int:
        args = whole.parse_args([name, *words])
        with unpack_given(args):
            return run(args)

    # a parser of this one verb, made by the same function that `python -m reports` uses: one place for its options
    whole = CommandLine(prog=COMMAND)
    add_parser(whole.add_subparsers(dest="verb", required=True, metavar="VERB"))
    return Program(lambda: take_subparser(whole, name), main)
