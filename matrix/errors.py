"""Whose fault it is, as one exception tree.

MatrixError
  ConfigError        the YAML (or a command line) is wrong   -> fix the file and line in the message
  HostError          this machine cannot run it              -> no GPU, port taken, package missing
  EngineError        the engine misbehaved                   -> this is a *result* and goes in the report
    PlanRejected       the pinned release's own text refuses the plan; nothing was started
    EngineExited       the process ended before or while serving
    EngineNotReady     it lives but never became healthy, or hung
    EngineReplyMalformed   it answered with something that is not the protocol
    OtherServer        what answers is not the engine that was started or named

Infrastructure trouble is never reported as the engine's answer; only HostError may be retried.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

PART = "\x1e"  # ASCII's record separator, between the words of one failure and another's


class MatrixError(Exception):
    """Anything this project raises on purpose."""

    at: str = ""  # of a launch that failed: before_ready, first_request, attach or relaunch; "" after it


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in one place: `file:line where: message`."""

    file: str
    line: int
    where: str
    message: str
    follows: bool = False  # from another one, it may be: told after those that stand for themselves

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class ConfigError(MatrixError):
    """One or more YAML files or options are wrong; carries every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda p: (p.follows, p)))
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the configuration:"
        super().__init__("\n".join([head, *(f"  {p}" for p in self.problems)]))


class HostError(MatrixError):
    """This machine cannot run the cell; the text says what to install, free or set."""


class EngineError(MatrixError):
    """The engine misbehaved: a result, reported against the cell.

    `cause` is the class that its log was given (an id of matrix/causes.yaml or of the engine's own, `unknown` for an
    exception of no class, empty where no log was read); `log_excerpt` is what the class was read from: the first
    exception of every rank, redacted and bounded. Whoever reads the log sets these (fixtures.launch.autopsy).
    """

    cause: str = ""
    log_excerpt: str = ""
    words: str = ""  # what a signature is compared with, where a log was read: parts between PART, each must fit
    http_status: int | None = None  # where it answered with an error status


class PlanRejected(EngineError):
    """The release's own parser, pins or registry refuse the plan: known without starting or loading anything."""


class EngineExited(EngineError):
    """The engine process ended although it should be serving."""


class EngineNotReady(EngineError):
    """The engine lives but did not become healthy, or stopped making progress."""


class EngineReplyMalformed(EngineError):
    """The engine answered with something that is not the protocol it claims to speak.

    `received` is the answer itself, as far as it is kept; evidence holds it beside the message.
    """

    def __init__(self, message: str, *, received: str = "") -> None:
        self.received = received
        super().__init__(message)


class OtherServer(EngineError):
    """What answers is not the engine that was started, or not the model that was asked.

    `replied` is the model's name in a reply, where that is what told.
    """

    def __init__(self, message: str, *, replied: str = "") -> None:
        self.replied = replied
        super().__init__(message)


def iterate_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception, the ones it was raised from, and those a group holds."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from iterate_causes(inner)
        error = error.__cause__


def find_launch_error(error: BaseException | None) -> MatrixError | None:
    """Find the outermost error of the chain that says at which stage a launch failed."""
    return next((e for e in iterate_causes(error) if isinstance(e, MatrixError) and e.at), None)


def suggest_nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or the list of valid words when nothing is close.

    >>> suggest_nearest("sm12O", ["sm120", "sm90"])
    "; did you mean 'sm120'?"
    """
    words = sorted({str(k) for k in known})
    if close := find_nearest(word, words):
        return f"; did you mean {close!r}?"
    return f"; valid: {', '.join(words[:20])}" if words else ""


def _measure_likeness(word: str, known: str) -> float:
    return round(difflib.SequenceMatcher(None, known, word).ratio(), 2)


SHORTEST_BEGINNING: Final = 3  # letters that name a word by its beginning
CONFUSED: Final = str.maketrans("OoIl", "0011")  # a letter where a digit looks the same


def find_nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that looks most like `word`; None where none is close."""
    words = sorted(known)
    if (read := word.translate(CONFUSED)) in words:
        return read
    for text in (word, word.lower()):
        if close := difflib.get_close_matches(text, words, n=5, cutoff=0.6):
            return min(
                close, key=lambda w: (-_measure_likeness(text, w), abs(len(w) - len(text)))
            )  # among equals: as long
    # An id is often known by its beginning alone: h200 of h200_141gb.
    begun = [w for w in words if len(word) >= SHORTEST_BEGINNING and w.lower().startswith(word.lower())]
    return begun[0] if len(begun) == 1 else None
