"""argv -> exit code. Bad input is one message, an interrupt cleans up, a closed pipe is quiet: never a traceback."""

from __future__ import annotations

import errno
import itertools
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final, NoReturn

from cli.verb import COMMAND, INNER
from cli.verbs import VERBS
from matrix.errors import ConfigError, HostError, MatrixError, suggest_nearest
from matrix.output.pipe import run_for_a_pipe

BAD_INPUT: Final = 2
# Of files and folders that are missing, read-only, full or of another kind; what else the system refuses is our fault.
UNUSABLE: Final = frozenset(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
)
WRITTEN: Final = ("--out", "--junit")  # options whose file a verb writes
INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell says it
TERMINATED: Final = 143  # 128 + SIGTERM


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb with the words after it; the exit codes are those of cli.verb.EVERY_VERB and of the verb."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        return _help(words[1:])
    name, *rest = words
    if name not in VERBS:
        sys.stderr.write(f"{COMMAND}: no such verb {name!r}{_suggest_verb(name)}\n{COMMAND} --help lists them all\n")
        return BAD_INPUT
    return _run_verb(name, rest)


def _help(words: Sequence[str]) -> int:
    """`glm-matrix help show` is `glm-matrix show --help`."""
    from cli.tree import front_page

    if words == ["--markdown"]:  # what docs/reference/cli.md is made of
        from cli.markdown import render_reference

        sys.stdout.write(f"{render_reference()}\n")
        return 0
    if words:
        return main([*words, "--help"])
    sys.stdout.write(f"{front_page(VERBS.values())}\n")
    return 0


def _run_verb(name: str, rest: Sequence[str]) -> int:
    from cli.tree import verb_parser

    verb = VERBS[name]
    try:
        # parsed twice, here and by the verb: this parser has the verb's example and exit codes at the end of its help
        own = rest[: rest.index("--")] if "--" in rest else rest  # after it stands another program's command line
        verb_parser(verb).parse_args(own)  # help and usage errors come with the verb's example and exit codes
        return verb.load().main(rest)
    except (ConfigError, HostError) as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    # neither bad input nor this host: the command itself failed, and 2 would send the user to look at their words
    except MatrixError as error:
        sys.stderr.write(f"{COMMAND} {name}: {error}\n")
        return 1
    except OSError as error:
        if error.errno not in UNUSABLE:
            raise
        sys.stderr.write(f"{COMMAND} {name}: {explain_unusable(error, rest)}\n")
        return BAD_INPUT


def _suggest_verb(name: str) -> str:
    """Name the verb that has such a verb of its own (badge: registry badge), else the nearest."""
    inner = [f"{COMMAND} {outer} {name}" for outer, verbs in INNER.items() if name in verbs]
    return f"; did you mean {' or '.join(map(repr, inner))}?" if inner else suggest_nearest(name, VERBS)


def explain_unusable(error: OSError, words: Sequence[str]) -> str:
    """Explain which file or folder this host does not let us use, and where else to go."""
    # a disk that is full has no name in the error: what is written goes to --out, or to standard output
    named = [after for word, after in itertools.pairwise(words) if word in WRITTEN]
    named += [word.partition("=")[2] for word in words if word.startswith(tuple(f"{each}=" for each in WRITTEN))]
    place = f"{error.filename or ' or '.join(named) or 'standard output'}:"
    return f"{place} cannot be used: {error.strerror}. Name another place (see --help; temporary files go to TMPDIR)"


def run() -> int:
    """Run the whole process: what .venv/bin/glm-matrix calls."""
    # before anything is started: the default would end the process, and engines and locks stay behind
    signal.signal(signal.SIGTERM, _unwind_on_signal)
    try:
        return run_for_a_pipe(main)
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{COMMAND}: interrupted\n")
        return INTERRUPTED


def _unwind_on_signal(_number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like Ctrl-C, so that temporary files and child processes go."""
    raise SystemExit(TERMINATED)
