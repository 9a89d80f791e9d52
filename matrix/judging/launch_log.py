"""An engine's log as failures: the exceptions that it tells, with the rank that tells them and what they became.

Ranks write into one file, each in its own manner. vLLM puts `(EngineCore pid=7) ERROR 11-29 02:03:25 [core.py:9]` in
front of every line, SGLang `[2026-11-29 02:03:25 TP0]` in front of the first line of a record only, torch `[rank0]:`.
A traceback is read until its exception, whatever its form. Pure, one pass, no line beyond LINE_CHARS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

LINE_CHARS: Final = 2000  # of a line that are read; the words that matter stand in front
DETAIL_LINES: Final = 4  # behind an exception: pydantic and torch tell the reason there
FAILURE_CHARS: Final = 1500
STOPPED: Final = re.compile(r"supervisor: (?:SIG|killed)")  # what follows is our own stop, and no cause
ANSI: Final = re.compile(r"\x1b(?:\[[0-9;?]{0,20}[A-Za-z]|\][^\x07]{0,200}\x07)")
ENDS: Final = re.compile(r"\r\n|[\r\n]")

_PROCESS = re.compile(r"\((?P<who>[A-Za-z]\w{0,40})(?P<more>[^()\n]{0,120}?\b(?:pid|rank)=[^()\n]{0,120})\)\s?")
_LEVEL = re.compile(
    r"(?P<level>DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b:?\s{1,10}"
    r"(?:\d\d-\d\d \d\d:\d\d:\d\d\S{0,8}\s)?(?:\[[\w./<>-]{1,80}:\d+\]\s?)?"
)
_BRACKET = re.compile(r"\[(?P<inside>[^\[\]\n]{1,100})\]:?\s?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S{0,16}\s(?:- )?")
_MPI = re.compile(r"\[?\d{1,4},\d{1,4}\]?<(?:stdout|stderr)>:\s?")
_GROUP = re.compile(r"^\s{0,40}(?:\|\s|\+-[+\d -]{0,60}$|\+ (?=Exception Group Traceback))")  # of an exception group
_INSIDE = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d|\d\d/\d\d/\d{4}|\d\d:\d\d:\d\d|\b(?:TP|DP|PP|EP)_?\d|(?i:\brank\W?\d)"
    r"|^TRT-LLM$|^[EWIFV]$|^[EWIF]\d{4} "
)
_RANK = re.compile(r"(?i)(?<![A-Z])(?P<kind>TP|DP|PP|EP|rank)[ _=]{0,2}(?P<number>\d{1,4})\b")
_GLOG = {"E": "ERROR", "F": "FATAL", "W": "WARNING", "I": "INFO", "V": "DEBUG"}

TRACEBACK: Final = "Traceback (most recent call last):"
CAUSED: Final = "The above exception was the direct cause of the following exception"
HANDLING: Final = "During handling of the above exception, another exception occurred"
_KIND = re.compile(r"[A-Za-z_][\w.]{0,120}(?::\s|:?$)")
BARE: Final = re.compile(r"(?:[A-Za-z_]\w{0,60}\.){0,8}[A-Z]\w{0,60}(?:Error|Exception|Interrupt|Exit|Fault)\b: \S")
INLINE: Final = re.compile(r"\b[A-Z]\w{0,60}(?:Error|Exception): \S|\bwhat\(\): |panicked at ")
QUIET: Final = frozenset({"DEBUG", "INFO", "WARN", "WARNING"})


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line without what its writer puts in front. `rank` is `TP0`, `rank 3`, `EngineCore` or empty."""

    number: int  # from 1
    body: str
    rank: str = ""
    level: str = ""
    prefixed: bool = False


@dataclass(slots=True)
class LoggedFailure:
    """One exception, or one line outside of any. `text` begins with the exception; a `chain` was raised together."""

    number: int
    text: str
    rank: str = ""
    level: str = ""
    exception: bool = False
    chain: int = 0


@dataclass(slots=True)
class _OpenTraceback:
    """A traceback that has not come to its exception yet."""

    number: int
    rank: str
    level: str
    chain: int
    prefixed: bool | None = None  # whether its lines carry the writer's prefix; known with the first of them


@dataclass(slots=True)
class _FailureReader:
    open: dict[str, _OpenTraceback] = field(default_factory=dict)
    follows: dict[str, int] = field(default_factory=dict)  # rank -> chain that its next traceback belongs to
    last: dict[str, int] = field(default_factory=dict)
    latest: str = ""
    chains: int = 0
    growing: LoggedFailure | None = None  # an exception whose details may follow
    details: int = 0


def split_lines(text: str) -> Iterator[LogLine]:
    """Lines up to our own stop of the engine, without colours and writers' prefixes."""
    for number, raw in enumerate(ENDS.split(text), 1):
        # Cut before any pattern sees it: some of them would take seconds for a line of a megabyte.
        line = ANSI.sub("", raw[:LINE_CHARS])
        if STOPPED.match(line):
            return
        yield _strip_prefix(number, line)


def _strip_prefix(number: int, line: str) -> LogLine:
    at, rank, level = 0, "", ""
    for _ in range(6):  # no writer that was seen puts more in front
        if match := _PROCESS.match(line, at):
            rank = _rank_of(match[0]) or match["who"]
        elif match := _LEVEL.match(line, at):
            level = match["level"]
        elif (match := _BRACKET.match(line, at)) and _INSIDE.search(match["inside"]):
            rank = _rank_of(match["inside"]) or rank
            if re.match(r"[EWIFV](?:\d{4} |$)", match["inside"]):
                level = _GLOG[match["inside"][0]]
        elif not (match := _TIME.match(line, at) or _MPI.match(line, at)):
            break
        at = match.end()
    body = _GROUP.sub("", line[at:])
    return LogLine(number, body.rstrip(), rank, level, at > 0)


def _rank_of(text: str) -> str:
    found = [(m["kind"].upper(), m["number"]) for m in _RANK.finditer(text)]
    # PP0 and EP0 stand in every line of a launch without these, and name nobody.
    return " ".join(f"{k}{n}" if k != "RANK" else f"rank {n}" for k, n in found if k not in ("PP", "EP") or n != "0")


def read_failures(text: str) -> Iterator[LoggedFailure]:
    """Every exception and every other line, in order; the frames of a traceback are no lines of their own."""
    reader = _FailureReader()
    for line in split_lines(text):
        if _continue_details(reader, line):
            continue
        yield from _end_details(reader)
        yield from _read_line(reader, line)
    yield from _end_details(reader)


def _continue_details(reader: _FailureReader, line: LogLine) -> bool:
    failure, body = reader.growing, line.body
    if failure is None or reader.details == DETAIL_LINES or TRACEBACK in body or not body[:1].isspace():
        return False
    failure.text = f"{failure.text}\n{body.strip()}"[:FAILURE_CHARS]
    reader.details += 1
    return True


def _end_details(reader: _FailureReader) -> Iterator[LoggedFailure]:
    if reader.growing is not None:
        yield reader.growing
    reader.growing, reader.details = None, 0


def _read_line(reader: _FailureReader, line: LogLine) -> Iterator[LoggedFailure]:
    body = line.body
    if TRACEBACK in body:
        _open_trace(reader, line)
        before = body.partition(TRACEBACK)[0].strip(" :+")
        if before and not before.startswith("Exception Group"):
            yield LoggedFailure(line.number, before, line.rank, line.level)
    elif CAUSED in body or HANDLING in body:
        rank = line.rank or reader.latest
        reader.follows[rank] = reader.last.get(rank, 0)
    elif trace := _trace_of(reader, line):
        if not body.strip() or body[:1].isspace():
            return
        reader.open.pop(trace.rank, None)
        # A traceback that ends in no exception was cut off by another writer's line.
        if not _KIND.match(body):
            yield LoggedFailure(line.number, body, line.rank, line.level)
            return
        reader.last[trace.rank] = trace.chain
        reader.growing = LoggedFailure(line.number, body[:FAILURE_CHARS], trace.rank, trace.level, True, trace.chain)
    elif BARE.match(body):
        reader.growing = LoggedFailure(line.number, body[:FAILURE_CHARS], line.rank, line.level, exception=True)
    elif body.strip():
        yield LoggedFailure(line.number, body, line.rank, line.level)


def _open_trace(reader: _FailureReader, line: LogLine) -> None:
    # A chained traceback without a prefix belongs to the rank that spoke last, or the chain would be lost.
    rank = line.rank or (reader.latest if reader.follows.get(reader.latest) else "")
    chain = reader.follows.pop(rank, 0)
    if not chain:
        reader.chains += 1
        chain = reader.chains
    reader.open[rank] = _OpenTraceback(line.number, rank, line.level, chain)
    reader.latest = rank


def _trace_of(reader: _FailureReader, line: LogLine) -> _OpenTraceback | None:
    """Find the open traceback that a line continues; a new record of the same writer ends one whose lines are bare."""
    trace = reader.open.get(line.rank if line.prefixed else reader.latest)
    if trace is None:
        return None
    if trace.prefixed is None:
        trace.prefixed = line.prefixed
    if line.prefixed and not trace.prefixed:
        reader.open.pop(trace.rank, None)
        return None
    return trace if line.prefixed == trace.prefixed else None
