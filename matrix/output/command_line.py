"""Command lines that name the nearest valid word for a misspelt option, verb or choice.

argparse complains first of what is missing: `gate --polcy F` said that --policy is required, and nothing of --polcy.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

from matrix.errors import suggest_nearest

OPTION: Final = re.compile(r"-(?!\d|\.\d)[^\s]+")  # a word that argparse may take for an option; -1 and -.5 are numbers
END: Final = "--"  # what follows belongs to another program, or is no option
EVIDENCE: Final = (".jsonl", ".jsonl.gz", ".tar.xz")  # of files that some verbs take as they are, and others by option
FOLLOWING: Final = ("unrecognized arguments", "the following arguments are required")  # from a misspelt option


class CommandLine(argparse.ArgumentParser):
    """An ArgumentParser, also of its verbs, that names the nearest word. Every program of ours makes its line of it."""

    words: Sequence[str] = ()  # those of the parse under way

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse like argparse, but refuse what is not known: a verb's parser knows its own options, its parent not.

        Raises:
            SystemExit: 2, the line is wrong; the message went to stderr.
        """
        self.words = args = list(sys.argv[1:] if args is None else args)
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"{FOLLOWING[0]}: {' '.join(rest)}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, the misspelt options first, and exit with 2."""
        unknown = list(find_unknown_options(self, self.words))
        own = [] if unknown and message.startswith(FOLLOWING) else [message + _suggest_option(self, message)]
        super().error("; ".join([*([f"{FOLLOWING[0]}: {', '.join(unknown)}"] if unknown else []), *own]))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += _suggest_choice(action, value)
            raise


def _suggest_option(parser: argparse.ArgumentParser, message: str) -> str:
    """Name --evidence where somebody named a run as a plain word, as diff, certify and replay take it."""
    plain = message.startswith(FOLLOWING[0]) and any(word.endswith(EVIDENCE) for word in message.split())
    return "; evidence stands behind --evidence" if plain and "--evidence" in list_options(parser) else ""


def find_unknown_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> Iterator[str]:
    """Yield each option among the words that neither the parser nor its verbs have, with the nearest one."""
    known = [*list_options(parser)]
    for word in words[: words.index(END)] if END in words else words:
        name = word.partition("=")[0]
        short = not name.startswith("--") and name[:2] in known  # -qq or -j4
        begun = parser.allow_abbrev and any(option.startswith(name) for option in known)
        if OPTION.fullmatch(name) and name not in known and not short and not begun:
            yield f"{name}{suggest_nearest(name, known)}"


def find_wrong_choices(parser: argparse.ArgumentParser, words: Sequence[str]) -> Iterator[str]:
    """Yield each option among the words whose value is none of its choices, with the nearest choice."""
    by_name = {name: a for a in parser._actions if a.choices for name in a.option_strings}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, given, value = word.partition("=")
        action, value = by_name.get(name), value if given else following
        if action is not None and value not in map(str, action.choices or ()):
            yield f"{name} has no {value!r}{_suggest_choice(action, value)}"


def list_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a parser and of its verbs, at any depth."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from list_options(verb)


def _suggest_choice(action: argparse.Action, value: object) -> str:
    known = [str(choice) for choice in action.choices or ()]
    hint = suggest_nearest(str(value), known)
    return hint if "did you mean" in hint else ""  # argparse lists them all
