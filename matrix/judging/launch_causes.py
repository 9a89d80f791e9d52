"""Why an engine ended or stands still, by its own log: the first exception decides, and patterns (data) name its class.

Everything is read, not the last lines: of eight ranks the first to fail knows why, and the parent, which speaks last,
knows only that a child is gone. What is told, in this order:

    cause        an exception, or a line that a pattern of that role meets     the first one
    symptom      somebody noticed that nothing moves, or was killed            only where there is no cause
    complaint    a rank's or an error record's line that no pattern knows      class `unknown`
    consequence  another process's end                                         only where there is nothing better
    murmur       any other line that says error or failed                      class `unknown`
    quiet        a known cause in a line that calls itself a warning           last of all

Lines that call themselves information, and those that `noise` names, are no words about a failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Literal

from matrix.judging.launch_log import INLINE, QUIET, LoggedFailure, read_failures
from matrix.model import Cause
from matrix.wording import cut_line

UNKNOWN: Final = "unknown"
HANG: Final = "hang"
HANG_UNDER_LOAD: Final = "hang_under_load"
SHOWN_CHARS: Final = 400
RANKS_SHOWN: Final = 16  # lines of other ranks in an excerpt
HEIGHT: Final[Mapping[str, int]] = {"cause": 0, "symptom": 1, "complaint": 2, "consequence": 3, "murmur": 4}
QUIETER: Final = len(HEIGHT)  # what a warning says comes after everything that is said aloud
_BENIGN = re.compile(
    r"(?i)\bignor(?:e|ed|ing)\b|\bfall(?:s|ing)?.?back\b|\bretry(?:ing)?\b|\bwarning\b|deprecat|\boptional\b"
    r"|\bskip(?:s|ped|ping)?\b|\bwill (?:use|be)\b|\busing \w+ instead\b|\bdisabl(?:e|ed|ing)\b|ulimit|RLIMIT"
)
# An echo of arguments or prompts holds no words of the engine's own.
_ECHO = re.compile(r"\w[Aa]rgs\(|non-default args|Namespace\(|_config=|Received request|\bprompts?[\"']?[:=]")
ECHO: Final = _ECHO
_COMPLAINT = re.compile(
    r"(?i)\b(?:error|fatal|fail(?:ed|ure)?|exception|abort(?:ed|ing)?|panic|crash(?:ed)?|cannot|dead)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchCause:
    """`id` is the class, `line` the exception as the engine tells it, `ranks` the first word of every rank."""

    id: str
    line: str
    number: int  # of the line in the text that was read
    rank: str = ""
    remedy: str = ""
    source: str = ""
    what: str = ""  # the library, tensor or program that the pattern named
    fault: Literal["engine", "host"] = "engine"
    role: str = "cause"
    became: str = ""  # the exception that the first one ended as, where it is another
    ranks: tuple[str, ...] = ()
    quiet: bool = False  # only a warning said so
    words: tuple[str, ...] = ()  # of a cause: what each rank said first, with all that was raised together

    def describe(self) -> str:
        """One sentence: the exception, its class, its rank, and the next step."""
        told = ", ".join(filter(None, (self.rank, f"class {self.id}", "told as a warning" if self.quiet else "")))
        became = f"; it became {self.became}" if self.became else ""
        remedy = f". Next: {self.remedy}" if self.remedy else ""
        return f"{self.line} [{told}]{became}{remedy}"

    def excerpt(self) -> str:
        """Return the text with which a signature is compared: class, exception, and the first words of every rank."""
        return "\n".join((f"class {self.id}", self.line, *([self.became] if self.became else []), *self.ranks))


@dataclass(frozen=True, slots=True)
class _JudgedFailure:
    role: str
    quiet: bool
    failure: LoggedFailure
    cause: Cause | None
    match: re.Match[str] | None = None

    @property
    def height(self) -> int:
        return HEIGHT[self.role] + (QUIETER if self.quiet else 0)


def find_launch_cause(
    log_text: str, patterns: Sequence[Cause], *, noise: Sequence[str] = (), serving: bool = False
) -> LaunchCause | None:
    """Find the cause that a log reports, or None when it reports no trouble.

    `patterns` are asked in order; `noise` are patterns of lines that are passed over (probes, heartbeats, loads).
    `serving`: the engine had answered before, so a standstill is one under load.
    """
    judged = list(_judge_all(log_text, tuple(patterns), tuple(re.compile(p) for p in noise)))
    if not judged:
        return None
    lowest = min(j.height for j in judged)
    first = next(j for j in judged if j.height == lowest)
    chosen, became = _choose_in_chain(first, judged)
    told = _make_cause(chosen, became, tuple(_first_of_each_rank(judged, lowest)), serving)
    return replace(told, words=tuple(_words_of_each_rank(judged))) if lowest == HEIGHT["cause"] else told


def _judge_all(
    log_text: str, patterns: tuple[Cause, ...], noise: Sequence[re.Pattern[str]]
) -> Iterator[_JudgedFailure]:
    for failure in read_failures(log_text):
        if _says_nothing(failure, noise):
            continue
        cause, match = classify_failure(failure.text, patterns)
        # An exception is never quiet by its words: "falling back" inside its text is not what became of it.
        quiet = failure.level in QUIET or (not failure.exception and _BENIGN.search(failure.text) is not None)
        role = cause.role if cause else _role_unclassified(failure)
        if role and (not quiet or (cause is not None and role != "consequence")):
            yield _JudgedFailure(role, quiet, failure, cause, match)


def _says_nothing(failure: LoggedFailure, noise: Sequence[re.Pattern[str]]) -> bool:
    if failure.exception:
        return False
    echo = failure.level in ("DEBUG", "INFO") or _ECHO.search(failure.text) is not None
    return echo or any(n.search(failure.text) for n in noise)


def _role_unclassified(failure: LoggedFailure) -> str:
    if failure.exception or INLINE.search(failure.text):
        return "cause"
    if failure.level in ("ERROR", "CRITICAL", "FATAL"):
        return "complaint"
    if _COMPLAINT.search(failure.text):
        return "complaint" if failure.rank else "murmur"
    return ""


def classify_failure(text: str, patterns: tuple[Cause, ...]) -> tuple[Cause | None, re.Match[str] | None]:
    """Classify a text by the first class with a matching pattern."""
    for cause, expressions in _compile_patterns(patterns):
        for expression in expressions:
            if match := expression.search(text):
                return cause, match
    return None, None


@cache
def _compile_patterns(patterns: tuple[Cause, ...]) -> tuple[tuple[Cause, tuple[re.Pattern[str], ...]], ...]:
    return tuple((cause, tuple(re.compile(p) for p in cause.any)) for cause in patterns)


def _choose_in_chain(first: _JudgedFailure, judged: Iterable[_JudgedFailure]) -> tuple[_JudgedFailure, str]:
    """Of exceptions that were raised from one another: the first with a class, else the innermost; and the last one."""
    chain = first.failure.chain
    own = [j for j in judged if chain and j.failure.chain == chain]
    if len(own) < 2:
        return first, ""
    # Only of the first one's height: a known cause that was told as a warning must not replace an exception, and the
    # end of a pipe, which only says that another process is gone, must not replace what its reader then says of it.
    known = next((j for j in own if j.cause and j.cause.role == "cause" and j.height == first.height), None)
    chosen, last = known or next(j for j in own if j.height == first.height), own[-1].failure.text
    return chosen, "" if last == chosen.failure.text else cut_line(last, SHOWN_CHARS)


def _first_of_each_rank(judged: Iterable[_JudgedFailure], height: int) -> Iterator[str]:
    """`TP0 (and 7 more): ...`: what each rank said first, equal words told once."""
    firsts: dict[str, str] = {}
    for each in judged:
        if each.height == height and each.failure.rank not in firsts:
            firsts[each.failure.rank] = cut_line(_telling_part(each.failure.text, each.match), SHOWN_CHARS)
    said: dict[str, list[str]] = {}
    for rank, text in firsts.items():
        said.setdefault(text, []).append(rank)
    for text, ranks in list(said.items())[:RANKS_SHOWN]:
        more = f" (and {len(ranks) - 1} more)" if len(ranks) > 1 else ""
        yield f"{ranks[0]}{more}: {text}" if ranks[0] or more else text


def _words_of_each_rank(judged: Sequence[_JudgedFailure]) -> Iterator[str]:
    """Yield the words of each rank's failure: its first exception, and those raised together with it; equal words once.

    A later one of another class is a part of its own: the first may have been survived.
    """
    said: dict[str, None] = {}
    for rank in dict.fromkeys(j.failure.rank for j in judged):
        own = [j for j in judged if j.failure.rank == rank and j.height == HEIGHT["cause"]]
        chain = own[0].failure.chain if own else 0
        raised = [j for j in own if chain and j.failure.chain == chain] or own[:1]
        classes = {j.cause.id for j in raised if j.cause}
        later = ([j] for j in own if j not in raised and j.cause and j.cause.id not in classes)
        for together in filter(None, (raised, *later)):
            said["\n".join(cut_line(_telling_part(j.failure.text, j.match), SHOWN_CHARS) for j in together)] = None
    yield from said


def _make_cause(judged: _JudgedFailure, became: str, ranks: tuple[str, ...], serving: bool) -> LaunchCause:
    cause, failure = judged.cause, judged.failure
    groups = {k: v for k, v in judged.match.groupdict().items() if v} if judged.match else {}
    what = next(iter(groups.values()), "")
    id_ = cause.id if cause and cause.role != "consequence" else UNKNOWN
    return LaunchCause(
        id=HANG_UNDER_LOAD if serving and id_ == HANG else id_,
        line=cut_line(_telling_part(failure.text, judged.match), SHOWN_CHARS),
        number=failure.number,
        rank=failure.rank,
        remedy=cause.remedy.replace("{what}", what) if cause else "",
        source=cause.source if cause else "",
        what=what,
        fault=cause.fault if cause else "engine",
        role=judged.role,
        became=became,
        ranks=ranks,
        quiet=judged.quiet,
    )


def _telling_part(text: str, match: re.Match[str] | None) -> str:
    """Return the exception's own line, with the lines behind it where only those show the class."""
    first = text.partition("\n")[0]
    inside = match is not None and match.end() <= len(first)
    # pydantic's and torch's first line only announces the reason.
    return first if inside or (match is None and not (first.endswith(":") or "validation error" in first)) else text
