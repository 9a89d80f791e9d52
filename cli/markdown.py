"""`glm-matrix help --markdown`: the help of every verb as one page, at one width whatever the terminal is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Final

from cli.tree import front_page, verb_parser
from cli.verb import EVERY_VERB, GROUPS
from cli.verbs import VERBS
from matrix.output.markdown import format_markdown_table

WIDTH: Final = 100  # characters


def render_reference() -> str:
    """Exit codes, the front page, then a section for each verb and each verb of a verb."""
    parts = [_exit_codes(), f"## glm-matrix\n\n{_block(front_page(VERBS.values()))}"]
    for group, title in GROUPS.items():
        parts.append(f"## {title}\n")
        for verb in (v for v in VERBS.values() if v.group == group):
            parts += [f"### {p.prog}\n\n{_block(p.format_help())}" for p in walk_parsers(verb_parser(verb))]
    return "\n".join(parts)


def walk_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its verbs that have options, at the page's width."""
    # argparse asks the terminal for its width, and the page would differ from one host to the next
    parser.formatter_class = _fixed_width(parser.formatter_class)
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                # a verb of a verb without options says no more than its line in the list above
                if len(verb._actions) > 1:  # more than --help
                    yield from walk_parsers(verb)


def _fixed_width(kind: Callable[..., argparse.HelpFormatter]) -> Callable[..., argparse.HelpFormatter]:
    def make(prog: str) -> argparse.HelpFormatter:
        return kind(prog, width=WIDTH)

    return make


def _exit_codes() -> str:
    rows = [(code, "every verb", meaning) for code, meaning in EVERY_VERB.items()] + [
        (code, f"`{verb.name}`", meaning) for verb in VERBS.values() for code, meaning in verb.exit_codes.items()
    ]
    rows.sort(key=lambda row: row[0])
    return f"## Exit codes\n\n{format_markdown_table(('code', 'of', 'meaning'), rows)}"


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"
