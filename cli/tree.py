"""Help: the front page, one verb's page, and the whole tree as one parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from cli.verb import COMMAND, GROUPS, Verb
from matrix.output.command_line import CommandLine

DESCRIPTION = "Does this engine version, on this GPU, with this GLM-5 checkpoint and this feature, really work?"
FIRST = f"""first steps:
  {COMMAND} doctor                what this host can run
  {COMMAND} list -m sm120x4       the cells of a rig
  pytest -m cpu                     run cells; see docs/index.md"""


def front_page(catalogue: Iterable[Verb]) -> str:
    """Return what `glm-matrix --help` prints: every verb under the heading of its group."""
    listed = list(catalogue)
    lines = [f"usage: {COMMAND} VERB ...", "", DESCRIPTION]
    for group, title in GROUPS.items():
        verbs = [v for v in listed if v.group == group]
        lines += ["", f"{title}:", *(f"  {v.name:<18} {v.summary}" for v in verbs)]
    return "\n".join([*lines, "", FIRST, "", f"`{COMMAND} VERB --help` says more about one."])


def verb_parser(verb: Verb) -> argparse.ArgumentParser:
    """Return the verb's own parser, with its example and exit codes at the end of its help."""
    parser = verb.load().parser()
    parser.prog = f"{COMMAND} {verb.name}"
    # the verb's own words first; its summary is a line of the front page, made into a sentence
    parser.description = parser.description or f"{verb.summary[:1].upper()}{verb.summary[1:]}."
    parser.epilog = verb.epilog
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def build_parser(catalogue: Iterable[Verb]) -> argparse.ArgumentParser:
    """Every verb in one parser, for completion. This imports what every verb imports."""
    top = CommandLine(prog=COMMAND, description=DESCRIPTION)
    verbs: Any = top.add_subparsers(dest="verb", metavar="VERB")
    for verb in catalogue:
        own = verb_parser(verb)
        # as a parent, which brings its own --help along: a second one would be refused
        verbs.add_parser(verb.name, help=verb.summary, parents=[own], add_help=False, epilog=own.epilog)
    return top
