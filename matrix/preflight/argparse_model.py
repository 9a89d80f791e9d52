"""How argparse would read an argv, without stopping at the first error and without the engine.

What is modelled (CPython 3.11 to 3.13, allow_abbrev on, which is what SGLang and vLLM use): exact options,
`--flag=value`, unique prefixes, ambiguous prefixes, single-dash options with a glued value, nargs None ? * + N,
negative numbers as values, `--`, types and choices. `tests/matrix/preflight/test_argparse_model.py` holds it against
the real argparse on generated command lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from matrix.preflight.snapshot import Flag, Snapshot

NUMERIC = re.compile(r"\d+(?:\.\d+)?")
NEGATIVE_NUMBER = re.compile(r"^-\d+$|^-\d*\.\d+$")  # argparse's own pattern

Problem = Literal["unknown", "ambiguous", "missing_value", "unexpected_value", "extra"]


@dataclass(frozen=True, kw_only=True)
class Use:
    """One option (or positional) as it stands on the command line, and the flag it means."""

    written: str
    flag: Flag | None
    values: tuple[str, ...] = ()
    problem: Problem | None = None
    candidates: tuple[str, ...] = ()  # options that an ambiguous prefix matches
    expanded: str = ""  # the full option that an abbreviation stands for


@dataclass(frozen=True)
class WordMatch:
    """What one argv word means to the parser before its values are counted."""

    option: str = ""
    flag: Flag | None = None
    explicit: str | None = None
    candidates: tuple[str, ...] = ()


def parse_argv(argv: Sequence[str], snapshot: Snapshot) -> list[Use]:
    """Every option and positional of `argv`, in order, with what is wrong about its form."""
    words = [_classify_word(word, snapshot) for word in _until_dashes(argv)]
    # behind `--` nothing is an option, and the two lists stay of one length
    words += [None] * (len(argv) - len(words))
    uses: list[Use] = []
    loose: list[str] = []
    position = 0
    while position < len(argv):
        match = words[position]
        if match is None:
            # the first `--` is a mark and falls away; a second one is a word like any other
            if argv[position] != "--" or "--" in argv[:position]:
                loose.append(argv[position])
            position += 1
            continue
        use, taken = _consume_option(argv, position, match, words)
        uses.append(use)
        position += 1 + taken
    return uses + list(_assign_positionals(loose, snapshot))


def _until_dashes(argv: Sequence[str]) -> Sequence[str]:
    return argv[: argv.index("--")] if "--" in argv else argv


def _classify_word(word: str, snapshot: Snapshot) -> WordMatch | None:
    """Find the option of a word; None when it is a value. Mirrors ArgumentParser._parse_optional."""
    if not word.startswith("-") or word == "-":
        return None
    options = snapshot.options
    if word in options:
        return WordMatch(word, options[word])
    name, equals, value = word.partition("=")
    if equals and name in options:
        return WordMatch(name, options[name], value)
    found = list(_find_abbreviated(word, snapshot)) if snapshot.abbreviates else []
    if len(found) > 1:
        return WordMatch(name, None, value if equals else None, tuple(m.option for m in found))
    if found:
        return found[0]
    # argparse's own order: a word with a blank is a value even where it begins with a dash
    if NEGATIVE_NUMBER.match(word) or " " in word:
        return None
    return WordMatch(name if equals else word, None, value if equals else None)


def _find_abbreviated(word: str, snapshot: Snapshot) -> Iterator[WordMatch]:
    """Options that the word abbreviates. Mirrors ArgumentParser._get_option_tuples."""
    name, equals, value = word.partition("=")
    explicit = value if equals else None
    for option, flag in snapshot.options.items():
        if word.startswith("--"):
            if option.startswith(name):
                yield WordMatch(option, flag, explicit)
        elif option == word[:2]:
            yield WordMatch(option, flag, word[2:])
        elif option.startswith(name):
            yield WordMatch(option, flag, explicit)


def _consume_option(
    argv: Sequence[str], position: int, match: WordMatch, words: Sequence[WordMatch | None]
) -> tuple[Use, int]:
    """Consume the option at `position`; return its use and the number of following words it takes."""
    written = argv[position].partition("=")[0] if match.explicit is not None else argv[position]
    if match.flag is None:
        return _consume_unresolved(argv, position, match, words, written)
    # `-tp8` is written with its value glued on and abbreviates nothing
    expanded = match.option if match.option != written and not written.startswith(match.option) else ""
    if match.explicit is not None:
        problem: Problem | None = None if _allows_value(match.flag, 1) else "unexpected_value"
        if problem is None and not _is_enough(match.flag, 1):
            problem = "missing_value"
        use = Use(written=written, flag=match.flag, values=(match.explicit,), problem=problem, expanded=expanded)
        return use, 0
    count = _count_taken(match.flag, _count_free(argv, position, words))
    values = tuple(argv[position + 1 : position + 1 + count])
    short = not _is_enough(match.flag, count)
    use = Use(
        written=written, flag=match.flag, values=values, problem="missing_value" if short else None, expanded=expanded
    )
    return use, count


def _consume_unresolved(
    argv: Sequence[str], position: int, match: WordMatch, words: Sequence[WordMatch | None], written: str
) -> tuple[Use, int]:
    """Consume an unknown or ambiguous option together with its apparent value, so that it is reported once."""
    problem: Problem = "ambiguous" if match.candidates else "unknown"
    if match.explicit is not None:
        values, count = (match.explicit,), 0
    else:
        # its value goes with it: left behind, it would be reported as an extra argument of its own
        free = _count_free(argv, position, words)
        count = min(free, 1)
        # a list of numbers is one value, too: `--cuda-graph-bs 1 2 4`
        while 0 < count < free and all(NUMERIC.fullmatch(argv[position + 1 + at]) for at in (count - 1, count)):
            count += 1
        values = tuple(argv[position + 1 : position + 1 + count])  # type: ignore[assignment]
    return Use(written=written, flag=None, values=values, problem=problem, candidates=match.candidates), count


def _count_free(argv: Sequence[str], position: int, words: Sequence[WordMatch | None]) -> int:
    """Value words directly after `position`."""
    count = 0
    for following in range(position + 1, len(argv)):
        if words[following] is not None or argv[following] == "--":
            break
        count += 1
    return count


def _count_taken(flag: Flag, free: int) -> int:
    if not flag.takes_value:
        return 0
    match flag.nargs:
        case None | "?":
            return min(free, 1)
        case int(wanted):
            return min(free, wanted)
        case _:
            return free


def _is_enough(flag: Flag, count: int) -> bool:
    if not flag.takes_value:
        return True
    match flag.nargs:
        case None | "+":
            return count >= 1
        case int(wanted):
            return count == wanted
        case _:
            return True


def _allows_value(flag: Flag, count: int) -> bool:
    """Whether `--flag=value` may carry a value at all."""
    return flag.takes_value and flag.nargs != 0 and count >= 1


def _assign_positionals(words: Sequence[str], snapshot: Snapshot) -> Iterator[Use]:
    """Loose words fill the positionals in order; what is left over is an error to argparse."""
    left = list(words)
    for flag in snapshot.positionals:
        count = _count_taken(flag, len(left))
        if count:
            yield Use(written=left[0], flag=flag, values=tuple(left[:count]))
        left = left[count:]
    for word in left:
        yield Use(written=word, flag=None, problem="extra")
